/**
 * Sessions on real kernels under load: hits are held against the kernel's own count of the same
 * calls (a histogram trigger on a kprobe event of its own), returns against calls that sleep by the
 * dozen, and probes come and go at random beside work that must not notice.
 *
 * GUEST_LOAD_CALLS is how many calls each function gets at least: 40 in `npm test`, 10,000 by
 * hand; GUEST_LOAD_SECONDS how long probes come and go: 3, or 600. GUEST_LOAD_SEED starts the
 * random numbers.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect, type Guest as Session, ToolError } from "../../../src/index.ts";
import { Guest } from "../../support/guest.ts";
import { type GuestArch, needsGuest } from "../../support/guest-image.ts";

export interface LoadSetup {
  readonly arch: GuestArch;
  readonly cpuCount: number;
  /** The handler of the console's interrupt, what /proc/interrupts calls it, and its device. */
  readonly interrupt: readonly [handler: string, name: string, device: string];
  /**
   * Where in a function the kernel's own probe goes. On amd64 that is where ours is: its call of
   * the kernel's tracer is probed. On arm64 behind ours, past what its tracer patches.
   */
  readonly ownOffset: number;
}

const CALLS = Number(process.env["GUEST_LOAD_CALLS"] ?? 40);
const SECONDS = Number(process.env["GUEST_LOAD_SECONDS"] ?? 3);
const SEED = Number(process.env["GUEST_LOAD_SEED"] ?? 1);
/** Letters that are typed, for interrupts. */
const TYPED = CALLS;
const TIME_MS = 120_000 + 400 * CALLS;
const TRACING = "/sys/kernel/tracing";

/** Functions, and work that calls each of them at least once a round. */
const COUNTED = [
  ["vfs_read", "read"],
  ["ksys_write", "write"],
  ["do_sys_openat2", "open"],
  ["schedule", "pipe"],
  ["pipe_read", "pipe"],
] as const;

/** Functions in which a task sleeps, and work in which it does so for 100 ms. */
const SLEPT_IN = [
  ["do_nanosleep", "sleep", 0n],
  // The wait ends by its time: ETIMEDOUT.
  ["futex_wait", "futex", -110n],
] as const;

export function describeLoad({ arch, cpuCount, interrupt, ownOffset }: LoadSetup): void {
  const skip = needsGuest(arch);
  describe(`a kernel of ${arch} with ${cpuCount} vCPUs under load`, { skip }, () => {
    let guest: Guest;
    before(async () => {
      guest = await Guest.boot({ arch, cpuCount });
    });
    after(() => guest[Symbol.dispose]());

    /** Run a command in the guest under a session, to the end of both. */
    async function under(session: Session, command: string, timeMs = TIME_MS): Promise<string> {
      const run = session.run();
      try {
        return await guest.get(command, timeMs);
      } finally {
        session.detach();
        assert.deepEqual(await run, { kind: "detached" });
      }
    }

    /** Let the kernel count calls of a function by tasks called work. */
    async function countInside(name: string): Promise<() => Promise<number>> {
      const event = `${TRACING}/events/kprobes/own_${name}`;
      const trigger = `hist:keys=common_pid:size=2048 if comm == "work"`;
      await guest.get(
        `echo 'p:own_${name} ${name}+${ownOffset}' >>${TRACING}/kprobe_events && echo '${trigger}' >${event}/trigger`,
      );
      return async () => {
        const hist = await guest.get(`cat ${event}/hist; echo '!${trigger}' >${event}/trigger`);
        await guest.get(`echo '-:own_${name}' >>${TRACING}/kprobe_events`);
        assert.match(hist, /Dropped: 0\n?/);
        return Number(/Hits: (\d+)/.exec(hist)?.[1]);
      };
    }

    for (const [name, work] of COUNTED) {
      test(`${name}: as many hits as the kernel counts itself`, async () => {
        const countOwn = await countInside(name);
        let hits = 0;
        let probe: ReturnType<Session["kprobe"]>;
        {
          using session = connect(`unix:${guest.gdbPath}`);
          probe = session.kprobe(name, {
            pre: (hit) => {
              if (hit.thread.name === "work") hits++;
            },
          });
          const said = await under(session, `work -j 4 ${work} ${Math.ceil(CALLS / 4)}`);
          assert.equal(said, `${work} ${4 * Math.ceil(CALLS / 4)}`);
        }
        const own = await countOwn();
        if (CALLS > 100) console.log(`${arch} ${name}: ${hits} hits, the kernel counts ${own}`);
        assert.ok(own >= CALLS, `${own}`);
        assert.equal(hits, own);
        assert.deepEqual([probe.missed, probe.errors], [0, 0]);
      });
    }

    test("an interrupt's handler: as many hits as /proc/interrupts counts", async () => {
      const [handler, irq, device] = interrupt;
      const count = `awk '/${irq}/ { for (i = 2; i <= 1 + ${cpuCount}; i++) n += $i } END { print n }' /proc/interrupts`;
      const marks: number[] = [];
      let hits = 0;
      using session = connect(`unix:${guest.gdbPath}`);
      session.kprobe(handler, { pre: () => void hits++ });
      session.kprobe("do_sys_openat2", {
        pre: (hit) => {
          if (hit.readCString(hit.arg(1)) === "/tmp/mark") marks.push(hits);
        },
      });
      // Interrupts come of what is typed, a few letters at a time. The counts are read, and the
      // marks made, while nothing is typed or printed.
      const timerId = setInterval(() => {
        if (marks.length === 1 && typed < TYPED) typed += guest.type("x");
      }, 15);
      let typed = 0;
      let said = "";
      try {
        const read = `head -c ${TYPED} </dev/${device} >/dev/null`;
        said = await under(
          session,
          `sleep 1; a=$(${count}); : >/tmp/mark; ${read}; sleep 1; : >/tmp/mark; b=$(${count}); echo "counts $a $b"`,
        );
      } finally {
        clearInterval(timerId);
      }
      const [, first, last] = /counts (\d+) (\d+)/.exec(said) ?? [];
      const own = Number(last) - Number(first);
      if (CALLS > 100) console.log(`${arch} ${handler}: the kernel counts ${own}`);
      assert.equal(marks.length, 2, said);
      assert.ok(own >= Math.min(5, TYPED), `${own}`);
      assert.equal((marks[1] ?? 0) - (marks[0] ?? 0), own);
    });

    for (const [name, work, result] of SLEPT_IN) {
      test(`${name}: each return finds its call, with a dozen tasks asleep in it`, async () => {
        using session = connect(`unix:${guest.gdbPath}`);
        const calls = { entered: 0, returned: 0, wrong: 0, open: 0, openMax: 0 };
        const probe = session.kretprobe(name, {
          entry: (hit, instance) => {
            if (hit.thread.name !== "work") return true;
            instance.data = hit.registers.sp;
            calls.entered++;
            calls.open++;
            calls.openMax = Math.max(calls.openMax, calls.open);
            return false;
          },
          handler: (hit, instance) => {
            calls.returned++;
            calls.open--;
            // On amd64 the return address has been popped.
            const spWanted = (instance.data as bigint) + (arch === "amd64" ? 8n : 0n);
            const isRight =
              hit.thread.id === instance.thread.id &&
              hit.registers.sp === spWanted &&
              BigInt.asIntN(32, hit.returnValue) === result;
            if (!isRight) calls.wrong++;
          },
        });
        const rounds = Math.ceil(CALLS / 12);
        const said = await under(session, `work -j 12 ${work} ${rounds} 100000`);
        assert.equal(said, `${work} ${12 * rounds}`);
        const { entered, returned, wrong } = calls;
        if (CALLS > 100) console.log(`${arch} ${name}: ${returned} returns`, calls);
        assert.deepEqual([entered, returned, wrong], [12 * rounds, 12 * rounds, 0]);
        assert.ok(calls.openMax > 3, `${calls.openMax} at once`);
        assert.deepEqual([probe.missed, probe.errors, probe.abandoned], [0, 0, 0]);
      });
    }

    test("a function in a module, as often as it is called", async () => {
      await guest.get("insmod /modules/tun.ko; mkdir -p /dev/net");
      using session = connect(`unix:${guest.gdbPath}`);
      let hits = 0;
      session.kprobe("tun:tun_chr_open", { pre: () => void hits++ });
      const rounds = Math.ceil(CALLS / 4);
      await under(session, `i=0; while [ $i -lt ${rounds} ]; do : </dev/net/tun; i=$((i+1)); done`);
      assert.equal(hits, rounds);
      await guest.get("rmmod tun");
    });

    test(`the guest survives ${SECONDS} s of probes that come and go at random`, async () => {
      const random = createRandom(SEED);
      const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
      using session = connect(`unix:${guest.gdbPath}`);
      const functions = listFunctions(session);
      const done = { armed: 0, removed: 0, disabled: 0, refused: 0, hits: 0 };
      const turn = (): void => {
        if (!session.live) return;
        const { probes } = session;
        if (probes.length > 12 || (probes.length > 0 && random(3) === 0)) {
          const probe = pick(probes);
          if (random(3) === 0) {
            done.disabled++;
            if (probe.enabled) probe.disable();
            else probe.enable();
          } else {
            done.removed++;
            probe.unregister();
          }
          return;
        }
        try {
          arm(session, pick(functions), random(4), () => done.hits++);
          done.armed++;
        } catch (error) {
          if (!(error instanceof ToolError && error.code === "probe.refused")) throw error;
          done.refused++;
        }
      };
      const timerId = setInterval(turn, 15);
      const run = session.run();
      const kinds = [
        "read 20",
        "write 20",
        "open 10",
        "pipe 10",
        "sleep 5 1000",
        "fork 2",
        "mmap 5",
      ];
      let rounds = 0;
      const endMs = performance.now() + 1000 * SECONDS;
      try {
        while (performance.now() < endMs) {
          const kind = pick(kinds);
          const [name, count] = kind.split(" ");
          const said = await guest.get(`work -j 2 ${kind}`, TIME_MS);
          assert.equal(said, `${name} ${2 * Number(count)}`, `seed ${SEED}`);
          rounds++;
        }
      } finally {
        clearInterval(timerId);
        session.detach();
        assert.deepEqual(await run, { kind: "detached" });
      }
      if (SECONDS > 10) console.log(arch, `${rounds} rounds of work`, done);
      assert.ok(done.armed > 5 && done.removed > 0 && done.hits > 0, JSON.stringify(done));
      assert.equal(await guest.get("work -j 2 read 1000"), "read 2000");
    });
  });
}

/** Functions that work goes through, by name; those that its system calls begin with are first. */
function listFunctions(session: Session): readonly string[] {
  const patterns = ["vfs_*", "ksys_*", "pipe_*", "do_sys_*", "path_*", "wake_up_*", "hrtimer_*"];
  const found = patterns.flatMap((pattern) =>
    session.symbols(`vmlinux:${pattern}`).map(({ name }) => name),
  );
  const isOnlyOne = (name: string): boolean => found.filter((one) => one === name).length === 1;
  return found.filter((name) => !name.includes(".") && isOnlyOne(name));
}

/** One probe of a kind: at the start, before and after, on each instruction, on returns. */
function arm(session: Session, name: string, kind: number, count: () => void): void {
  const where = `vmlinux:${name}`;
  if (kind === 0) session.kprobe(where, { pre: count });
  else if (kind === 1) session.kprobe(where, { pre: count, post: () => {} });
  else if (kind === 2) session.kretprobe(where, { handler: count });
  else session.kprobe(`${where}+*`, { pre: count });
}

/** A small generator (xorshift32): whole numbers below a bound. */
function createRandom(seed: number): (bound: number) => number {
  let state = seed * 2_654_435_761 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
