/**
 * Programs behind seccomp filters that kill for the system calls which probes need made: as root
 * the filter is put out of force for them, otherwise a probe that needs them is refused and the
 * target lives on (K-09). And processes that may not be traced.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { attach, launch, type Session } from "../../src/index.ts";
import { Running } from "../real/support/tools.ts";
import { build, findResidue, launchProgram, needsGcc } from "../support/programs.ts";
import { AS_NOBODY, NOBODY, needsRoot, OpenFolder, runAsNobody } from "../support/unprivileged.ts";

const skip = needsGcc || needsRoot;
const FILTERS = ["whitelist", "nommap", "noexec", "container"];

/** Ten hits of work(), then detach. */
async function countTen(session: Session): Promise<number> {
  const probe = session.kprobe("filtered:work+*", {
    pre: () => {
      if (probe.hits === 10) session.detach();
    },
  });
  await session.run();
  return probe.hits;
}

describe("a program behind a seccomp filter, as root", { skip }, () => {
  for (const filter of FILTERS) {
    test(`${filter}: it is probed, detached from, and lives on`, async () => {
      using target = await Running.start([build("filtered.c"), filter], "ready");
      using session = attach(target.pid);
      assert.equal(await countTen(session), 10);
      assert.deepEqual(findResidue(target.pid), []);
      target.say();
      await target.until("ok");
      assert.equal(await target.ended, 0);
    });
  }

  test("one that puts its filter on while it is probed", async () => {
    using target = await Running.start([build("filtered.c"), "late"], "ready");
    using session = attach(target.pid);
    const probe = session.kprobe("filtered:work+*", { pre: () => {} });
    const end = session.run();
    process.kill(target.pid, "SIGUSR1");
    await target.until("filtered");
    const before = probe.hits;
    while (probe.hits < before + 10) await new Promise((resolve) => setTimeout(resolve, 5));
    session.detach();
    await end;
    assert.deepEqual(findResidue(target.pid), []);
    target.say();
    assert.equal(await target.ended, 0);
  });

  test("one that is launched", async () => {
    using program = launchProgram([build("filtered.c"), "whitelist"]);
    const probe = program.session.kprobe("filtered:work+*", { pre: () => {} });
    const { status, text } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 }, text);
    assert.ok(probe.hits > 0);
  });
});

describe("a program behind a seccomp filter, without rights", { skip }, () => {
  test("what needs memory is refused, what needs none is probed, it lives on", async () => {
    using folder = new OpenFolder();
    const program = folder.copy(build("filtered.c"), "filtered");
    const targets = await Promise.all(
      FILTERS.map((filter) => Running.start([...AS_NOBODY, program, filter], "ready")),
    );
    try {
      const told = runAsNobody(`
        for (const pid of ${JSON.stringify(targets.map(({ pid }) => pid))}) {
          const session = attach(pid);
          try { session.kprobe("filtered:work", {}); } catch (error) { report(failure(error)); }
          const last = session.check("filtered:work+*").find((one) => one.instruction === "ret");
          const probe = session.kprobe(last.address, {
            pre() { if (probe.hits === 10) session.detach(); },
          });
          await session.run();
          report(probe.hits);
        }
      `) as readonly Record<string, string>[];
      for (const [index, target] of targets.entries()) {
        const [refused, hits] = told.slice(2 * index);
        assert.equal(refused?.["code"], "probe.refused");
        const message = refused?.["message"] ?? "";
        assert.match(message, /seccomp filter may kill the process.*\[no-slot\]$/);
        assert.equal(hits, 10);
        assert.deepEqual(findResidue(target.pid), []);
        target.say();
        await target.until("ok");
        assert.equal(await target.ended, 0);
      }
    } finally {
      for (const target of targets) target[Symbol.dispose]();
    }
  });

  test("a filter that the user answers for", async () => {
    using folder = new OpenFolder();
    const program = folder.copy(build("filtered.c"), "filtered");
    using target = await Running.start([...AS_NOBODY, program, "container"], "ready");
    const [hits] = runAsNobody(`
      const session = attach(${target.pid}, { seccomp: "trust" });
      const probe = session.kprobe("filtered:work+*", {
        pre() { if (probe.hits === 10) session.detach(); },
      });
      await session.run();
      report(probe.hits);
    `);
    assert.equal(hits, 10);
    assert.deepEqual(findResidue(target.pid), []);
    target.say();
    assert.equal(await target.ended, 0);
  });

  test("one that puts its filter on while it is probed is left with our memory, and lives on", async () => {
    using folder = new OpenFolder();
    const program = folder.copy(build("filtered.c"), "filtered");
    using target = await Running.start([...AS_NOBODY, program, "late"], "ready");
    const [hits] = runAsNobody(`
      const session = attach(${target.pid});
      const probe = session.kprobe("filtered:work+*", {
        pre() {
          if (probe.hits === 5) process.kill(${target.pid}, "SIGUSR1");
          if (probe.hits === 50) session.detach();
        },
      });
      await session.run();
      report(probe.hits);
    `);
    assert.equal(hits, 50);
    await target.until("filtered");
    target.say();
    await target.until("ok");
    assert.equal(await target.ended, 0);
  });
});

describe("processes that may not be traced", { skip }, () => {
  test("a set-id program that is launched runs without its privileges", () => {
    using folder = new OpenFolder();
    const program = folder.copy("/usr/bin/id", "id", 0o4755);
    const plain = spawnSync(AS_NOBODY[0] ?? "", [...AS_NOBODY.slice(1), program, "-u"], {
      encoding: "utf8",
    });
    assert.equal(plain.stdout, "0\n", "unprobed it has them");
    const [hits, end] = runAsNobody(`
      const session = launch(["${program}", "-u"], { stdio: ["ignore", "ignore", "ignore"] });
      const uids = [];
      session.kretprobe("libc:geteuid", { handler: (hit) => void uids.push(Number(hit.returnValue)) });
      const end = await session.run();
      report(uids);
      report(end);
    `);
    assert.deepEqual(hits, [NOBODY]);
    assert.deepEqual(end, { kind: "exited", code: 0 });
  });

  test("a set-id program that runs already is refused", async () => {
    using folder = new OpenFolder();
    const program = folder.copy(build("filtered.c"), "filtered", 0o4755);
    using target = await Running.start([...AS_NOBODY, program, "none"], "ready");
    const [refused] = runAsNobody(`attach(${target.pid}); report("attached");`);
    const { code, message, hint } = refused as Record<string, string>;
    assert.equal(code, "attach.permission", message);
    assert.match(hint ?? "", /set-id|belongs to user 0/);
    target.say();
    assert.equal(await target.ended, 0);
  });

  test("a program that cannot be read is not dumpable, and is refused", async () => {
    using folder = new OpenFolder();
    const program = folder.copy(build("filtered.c"), "filtered", 0o711);
    using target = await Running.start([...AS_NOBODY, program, "none"], "ready");
    const [refused] = runAsNobody(`attach(${target.pid}); report("attached");`);
    const { code, hint, message } = refused as Record<string, string>;
    assert.equal(code, "attach.permission", message);
    assert.match(hint ?? "", /dumpable/);
    target.say();
    assert.equal(await target.ended, 0);
  });

  test("strict seccomp is refused, as it was", async () => {
    using target = await Running.start([build("filtered.c"), "strict"], "ready");
    assert.throws(() => attach(target.pid), /strict seccomp mode/);
    assert.equal(await target.ended, 0);
  });

  test("in a pid namespace of its own a program is launched and probed by its outer number", async () => {
    const argv = ["/usr/bin/unshare", "--pid", "--fork", build("calls.c"), "3"];
    using session = launch(argv, { followForks: true, stdio: ["ignore", "ignore", "ignore"] });
    const probe = session.kprobe("calls:f", { pre: () => {} }, { pending: true });
    assert.deepEqual(await session.run(), { kind: "exited", code: 0 });
    assert.equal(probe.hits, 3);
  });
});
