/**
 * Programs with a user shadow stack (CET): what is refused in them, and what works. The kernel's
 * answer is made up here, as the program runs without one: so these tests hold what we refuse, not
 * what a processor with shadow stacks does.
 */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type Hit, type SessionEvent, ToolError } from "../../src/index.ts";
import { PtraceSpace } from "../../src/machine/ptrace/space.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const ok = { kind: "exited", code: 0 } as const;
const { hasShadowStack } = PtraceSpace.prototype;
let answer = true;

function isRefused(error: unknown): boolean {
  assert.ok(error instanceof ToolError, String(error));
  assert.deepEqual([error.code, error.details["reason"]], ["probe.refused", "shadow-stack"]);
  assert.match(error.message, /shadow stack/);
  return true;
}

describe("with a shadow stack", { skip: needsGcc }, () => {
  beforeEach(() => {
    answer = true;
    PtraceSpace.prototype.hasShadowStack = () => answer;
  });
  afterEach(() => {
    PtraceSpace.prototype.hasShadowStack = hasShadowStack;
  });

  test("return probes work at the return site, and say why", async () => {
    using program = launchProgram([build("calls.c")]);
    let returned = 0;
    const probe = program.session.kretprobe("fib", { handler: () => void returned++ });
    assert.equal(probe.sites[0]?.returnMechanism, "site");
    assert.match(probe.sites[0]?.whyReturnMechanism ?? "", /shadow stack/);
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, returned], [counts.get("fib"), counts.get("fib")]);
  });

  test("the trampoline is refused, and nothing is left of the probe", async () => {
    using program = launchProgram([build("calls.c")], { returnMechanism: "trampoline" });
    const { session } = program;
    assert.throws(() => session.kretprobe("f", {}), isRefused);
    assert.deepEqual(session.probes, []);
    const verdict = session.check("f")[0]?.verdict;
    assert.ok(verdict?.kind === "probe");
    assert.equal(verdict.returnMechanism, undefined);
    assert.match(verdict.whyReturnMechanism ?? "", /shadow stack/);
    assert.deepEqual((await program.finish()).status, ok);
  });

  test("a call is refused, and so is a function called by a handler", async () => {
    using program = launchProgram([build("calls.c")]);
    const { session } = program;
    const call = findCall(session, "f");
    assert.throws(() => session.kprobe(call, {}), isRefused);
    const g = session.symbols("calls:g")[0]?.address ?? 0n;
    const probe = session.kprobe("f", {
      pre: (hit: Hit) => assert.throws(() => hit.call(g, 1), /failed: .*shadow stack/),
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.equal(probe.errors, 0);
  });

  test("a call probed before it came on is taken out at its first hit, and told", async () => {
    answer = false;
    const events: SessionEvent[] = [];
    using program = launchProgram([build("calls.c")], {
      onEvent: (event) => void events.push(event),
    });
    const { session } = program;
    const probe = session.kprobe(findCall(session, "f"), { pre: () => {} });
    answer = true;
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, probe.missed], [0, 1]);
    const warnings = events.filter((event) => event.kind === "warning");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]?.message ?? "", /^call .*: its probe is taken out, .* shadow stack/);
  });
});

/** The first call in a function of calls.c. */
function findCall(session: ReturnType<typeof launchProgram>["session"], name: string): bigint {
  const found = session.symbols(`calls:${name}`)[0] ?? assert.fail(name);
  for (let offset = 0; offset < found.sizeBytes; ) {
    const at = found.address + BigInt(offset);
    const [one] = session.check(at);
    if (one?.instruction?.startsWith("call") === true) return at;
    offset += one?.bytes.length || 1;
  }
  return assert.fail(`no call in ${name}`);
}
