/**
 * The location `name+*`: every instruction of functions, and what of it is refused (K-01, K-09).
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type SessionEvent, ToolError } from "../../src/index.ts";
import { trapline } from "../cli/support/command.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

function refuses(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };
}

describe("every instruction of a function", { skip: needsGcc }, () => {
  const argv = needsGcc ? [] : [build("ownbreak.c"), "written", "5"];

  test("K-01 is one probe with a site for each, by name, by glob and by address", async () => {
    using program = launchProgram(argv);
    const { session } = program;
    const byName = session.kprobe("ownbreak:neighbour+*", {});
    assert.deepEqual(
      byName.sites.map(({ symbol, symbolOffset, instruction }) => [
        `${symbol}+${symbolOffset}`,
        instruction.split(" ")[0],
      ]),
      [
        ["neighbour+0", "lea"],
        ["neighbour+4", "push"],
        ["neighbour+5", "pop"],
        ["neighbour+6", "nop"],
        ["neighbour+7", "mov"],
        ["neighbour+10", "ret"],
      ],
    );
    const byGlob = session.kprobe("ownbreak:neighb*+*", {});
    // From an address in the middle of the function.
    const byAddress = session.kprobe(
      `0x${((byName.sites[2]?.address ?? 0n) + 0n).toString(16)}+*`,
      {},
    );
    const addresses = byName.sites.map(({ address }) => address);
    assert.deepEqual(
      byGlob.sites.map(({ address }) => address),
      addresses,
    );
    assert.deepEqual(
      byAddress.sites.map(({ address }) => address),
      addresses,
    );
    const { text } = await program.finish();
    assert.equal(text, "written 5\nok\n");
    for (const probe of [byName, byGlob, byAddress]) assert.equal(probe.hits, 6 * 10);
  });

  test("K-09 what is refused of it is told, each with its reason, and the rest is probed", () => {
    const events: SessionEvent[] = [];
    using program = launchProgram(argv, {
      strategy: "emulate",
      onEvent: (event) => events.push(event),
    });
    const { session } = program;
    const probe = session.kprobe("ownbreak:neighbour+*", {});
    assert.deepEqual(
      probe.sites.map(({ instruction }) => instruction.split(" ")[0]),
      ["push", "pop", "nop", "ret"],
    );
    const refused = events.flatMap((event) =>
      event.kind === "probe-refused" ? [event.error.message] : [],
    );
    assert.equal(refused.length, 2);
    for (const message of refused) assert.match(message, /cannot emulate.*\[unsupported\]$/);
    const verdicts = session.check("ownbreak:neighbour+*").map(({ verdict }) => verdict.kind);
    assert.deepEqual(verdicts, ["refuse", "probe", "probe", "probe", "refuse", "probe"]);
    program.kill("SIGKILL");
  });

  test("K-09 a return probe, a data symbol and an unknown name are refused", () => {
    using program = launchProgram(argv);
    const { session } = program;
    assert.throws(
      () => session.kretprobe("ownbreak:victim+*", {}),
      refuses("where.malformed", /without an offset/),
    );
    assert.throws(() => session.kprobe("ownbreak:traps+*", {}), refuses("symbol.unknown", /traps/));
    assert.throws(() => session.kprobe("libc:mallocc+*", {}), refuses("symbol.unknown", /mallocc/));
    program.kill("SIGKILL");
  });

  test("the command checks and traces it", async () => {
    const checked = await trapline(["check", "libc:a64l+*", "--json"]);
    assert.equal(checked.code, 0, checked.stderr);
    const rows = checked.stdout.trim().split("\n");
    assert.ok(rows.length > 10, checked.stdout);
    assert.equal(JSON.parse(rows.at(-1) ?? "").symbol, "a64l");
    const traced = await trapline(["trace", "--count", "neighbour+*", "--", ...argv]);
    assert.equal(traced.code, 0, traced.stderr);
    assert.match(traced.stderr, /60 (calls|arrivals|hits)/);
  });
});
