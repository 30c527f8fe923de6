/**
 * Sessions on real kernels: what probes see is held against what programs in the guest count
 * themselves (work.c), which also see to it that nothing they do went wrong.
 *
 * GUEST_CALLS is how many calls each process makes: 60 in `npm test`, thousands by hand; and
 * GUEST_FUNCTIONS of how many functions every instruction is probed, 2 or hundreds.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  type ConnectOptions,
  connect,
  type Guest as Session,
  ToolError,
} from "../../../src/index.ts";
import { Guest } from "../../support/guest.ts";
import { type GuestArch, needsGuest } from "../../support/guest-image.ts";

export interface Setup {
  readonly arch: GuestArch;
  readonly cpuCount: number;
  /** The handler of the console's interrupt, and what /proc/interrupts calls it. */
  readonly interrupt: readonly [handler: string, name: string];
}

const CALLS = Number(process.env["GUEST_CALLS"] ?? 60);
/** Functions of which every instruction is probed, and how many of them together. */
const FUNCTIONS = Number(process.env["GUEST_FUNCTIONS"] ?? 2);
const FUNCTIONS_AT_ONCE = 20;
/** Reads of a process that is moved meanwhile: each takes the pauses of who moves it, too. */
const MOVES = 20;
/** Nothing here takes this long, however many calls there are. */
const WORK_TIME_MS = 60_000 + 200 * CALLS;
const PROCESSES = 2;

export function describeSession({ arch, cpuCount, interrupt }: Setup): void {
  const skip = needsGuest(arch);
  describe(`a session on a kernel of ${arch} with ${cpuCount} vCPUs`, { skip }, () => {
    let guest: Guest;
    before(async () => {
      guest = await Guest.boot({ arch, cpuCount });
    });
    after(() => guest[Symbol.dispose]());

    function open(options: ConnectOptions = {}): Session {
      return connect(`unix:${guest.gdbPath}`, options);
    }

    /** Let the guest run a command under a session, to the end of both. */
    async function under(session: Session, command: string): Promise<string> {
      const run = session.run();
      try {
        return await guest.get(command, WORK_TIME_MS);
      } finally {
        session.detach();
        assert.deepEqual(await run, { kind: "detached" });
      }
    }

    test("finds the kernel that runs", async () => {
      const version = await guest.get("uname -r");
      const start = await guest.get("grep -m 1 -E ' [Tt] _stext$' /proc/kallsyms");
      using session = open();
      const info = session.guest;
      assert.equal(info.banner.split(" ")[2], version);
      assert.equal(info.cpuCount, cpuCount);
      assert.match(info.memory, /^memory of process \d+$/);
      const [stext] = session.symbols("vmlinux:_stext");
      assert.equal(stext?.address.toString(16), start.split(" ")[0]);
      assert.ok(info.typeCount > 50_000);
      assert.equal(session.modules()[0]?.name, "vmlinux");
    });

    test("a jprobe has the arguments by the kernel's own names and types", async () => {
      using session = open();
      let calls = 0;
      let right = 0;
      let others = 0;
      const probe = session.jprobe("vfs_read", ({ file, buf, count }, hit) => {
        calls++;
        if (hit.thread.name !== "work") others++;
        // At the end, reads of the program's own start: of its file, by the loader.
        else if (count === 1n && typeof file === "bigint" && buf !== undefined) right++;
      });
      const said = await under(session, `work -j ${PROCESSES} read ${CALLS}`);
      assert.equal(said, `read ${PROCESSES * CALLS}`);
      assert.equal(right, PROCESSES * CALLS);
      assert.equal(probe.missed, 0);
      assert.deepEqual([probe.hits, probe.errors], [calls, 0]);
      assert.ok(probe.hits >= right + others);
    });

    test("who hits, what with, and what comes back", async () => {
      using session = open();
      const files = new Map<string, number>();
      const results: bigint[] = [];
      const threads = new Set<number>();
      const probe = session.kretprobe("do_sys_openat2", {
        entry: (hit, instance) => {
          const isWork = hit.thread.name === "work";
          const file = hit.readCString(hit.arg(1)) ?? "";
          if (isWork) files.set(file, (files.get(file) ?? 0) + 1);
          instance.data = isWork && file === "/dev/null";
          threads.add(hit.thread.processId);
          assert.ok((hit.thread.cpu ?? -1) >= 0 && (hit.thread.cpu ?? 9) < cpuCount);
        },
        handler: (hit, instance) => {
          if (instance.data === true) results.push(BigInt.asIntN(32, hit.returnValue));
          assert.equal(hit.thread.id, instance.thread.id);
        },
      });
      const said = await under(session, `work open ${CALLS}`);
      assert.equal(said, `open ${CALLS}`);
      assert.equal(files.get("/dev/null"), CALLS);
      assert.equal(results.length, CALLS);
      assert.ok(results.every((fd) => fd >= 3n));
      assert.deepEqual([probe.missed, probe.errors], [0, 0]);
    });

    test("returns find their calls, of tasks that sleep and change the CPU", async () => {
      using session = open();
      const open_ = new Map<string, number>();
      let returned = 0;
      let moved = 0;
      const probe = session.kretprobe("pipe_read", {
        entry: (hit, instance) => {
          const key = `${hit.thread.id} ${hit.registers.sp}`;
          instance.data = key;
          open_.set(key, (open_.get(key) ?? 0) + 1);
        },
        handler: (hit, instance) => {
          const key = instance.data as string;
          assert.ok((open_.get(key) ?? 0) > 0);
          open_.set(key, (open_.get(key) ?? 0) - 1);
          assert.equal(hit.thread.id, instance.thread.id);
          if (hit.thread.name !== "work") return;
          assert.equal(hit.returnValue, 1n);
          returned++;
          if (hit.thread.cpu !== instance.thread.cpu) moved++;
        },
      });
      const said = await under(session, `work -j ${PROCESSES} pipe ${CALLS}; work move ${MOVES}`);
      assert.equal(said, `pipe ${PROCESSES * CALLS}\nmove ${MOVES}`);
      // Both ends of each pair read, and the one that is moved.
      assert.equal(returned, 2 * PROCESSES * CALLS + MOVES);
      assert.deepEqual([probe.missed, probe.errors, probe.abandoned], [0, 0, 0]);
      // Unless it had not come to its sleep yet, or was late for it.
      assert.ok(moved > 0, `${moved}`);
    });

    test("a stack is the kernel's, up to the system call", async () => {
      using session = open();
      let stack = "";
      session.kprobe("vfs_read", {
        pre: (hit) => {
          if (hit.thread.name !== "work" || stack !== "") return;
          stack = hit
            .stack()
            .map((address) => session.describe(address))
            .join("\n");
        },
      });
      await under(session, "work read 5");
      assert.match(stack, /^ksys_read\+0x[0-9a-f]+ \(vmlinux\)\n/);
      assert.match(stack, arch === "amd64" ? /do_syscall_64/ : /el0_svc/);
    });

    test("a stack goes through functions of modules, loaded before or meanwhile", async () => {
      const load = "insmod /modules/tun.ko; mkdir -p /dev/net";
      const use = "exec 3<>/dev/net/tun; exec 3>&-; rmmod tun";
      for (const [before, inside] of [
        [load, use],
        ["true", `${load}; ${use}`],
      ] as const) {
        await guest.get(before);
        using session = open();
        const stacks: string[] = [];
        // Opening the device makes a socket.
        session.kprobe("sk_alloc", {
          pre: (hit) => {
            if (hit.thread.name !== "sh") return;
            const names = hit.stack().map((address) => session.describe(address));
            stacks.push(names.join("\n"));
          },
        });
        await under(session, inside);
        assert.equal(stacks.length, 1);
        assert.match(stacks[0] ?? "", /^tun_chr_open\+0x[0-9a-f]+ \(tun\)\n/);
        assert.match(stacks[0] ?? "", arch === "amd64" ? /do_syscall_64/ : /el0_svc/);
      }
    });

    test("under the trampoline a stack ends at the call that is to return", async () => {
      using session = open({ returnMechanism: "trampoline" });
      const stacks = { entered: "", inside: "" };
      const isWork = (name: string): boolean => name === "work";
      const describe = (addresses: readonly bigint[]): string =>
        addresses.map((address) => session.describe(address).replace(/\+.*/, "")).join(" ");
      session.kprobe("ksys_read", {
        pre: (hit) => {
          if (isWork(hit.thread.name)) stacks.entered ||= describe(hit.stack());
        },
      });
      const returns = session.kretprobe("ksys_read", { handler: () => {} });
      session.kprobe("vfs_read", {
        pre: (hit) => {
          if (isWork(hit.thread.name)) stacks.inside ||= describe(hit.stack());
        },
      });
      assert.equal(returns.sites[0]?.returnMechanism, "trampoline");
      await under(session, `work read ${CALLS}`);
      if (arch === "amd64") {
        // Its own return address is known; where it lies in a deeper frame is not.
        assert.deepEqual(stacks, { entered: "do_syscall_64", inside: "ksys_read" });
      } else {
        // A link register is not replaced: returns are caught where they go.
        assert.match(stacks.entered, /^__arm64_sys_read .*el0_svc/);
        assert.equal(stacks.inside, `ksys_read ${stacks.entered}`);
      }
    });

    test("with every strategy a function does what it does, at each instruction that allows it", async () => {
      for (const strategy of [undefined, "boost", "emulate", "step"] as const) {
        using session = open(strategy === undefined ? {} : { strategy });
        const hits = new Map<string, number>();
        const inside = session.kprobe("ksys_write+*", {
          pre: (hit) => {
            if (hit.thread.name !== "work") return;
            const place = session.describe(hit.address);
            hits.set(place, (hits.get(place) ?? 0) + 1);
          },
        });
        // Only some can be emulated, or run elsewhere whatever they meet.
        const least = strategy === "boost" || strategy === "emulate" ? 2 : 21;
        assert.ok(inside.sites.length >= least, `${strategy}: ${inside.sites.length}`);
        if (strategy !== undefined) {
          assert.deepEqual([...new Set(inside.sites.map((site) => site.strategy))], [strategy]);
        }
        assert.equal(await under(session, "work write 5"), "write 5");
        // Each call goes through some of them once, and it writes what it says itself.
        assert.ok([...hits.values()].includes(6), `${strategy}: ${JSON.stringify([...hits])}`);
        assert.deepEqual([inside.missed, inside.errors], [0, 0]);
      }
    });

    test("a post handler, by default and by steps, counts as often as the other", async () => {
      for (const strategy of [undefined, "step"] as const) {
        using session = open(strategy === undefined ? {} : { strategy });
        const counts = { pre: 0, post: 0 };
        const isWork = (name: string): boolean => name === "work";
        session.kprobe("ksys_write", {
          pre: (hit) => {
            if (isWork(hit.thread.name)) counts.pre++;
          },
          post: (hit) => {
            if (isWork(hit.thread.name)) counts.post++;
          },
        });
        const said = await under(session, `work write ${CALLS}`);
        assert.equal(said, `write ${CALLS}`);
        // The last is what it says itself.
        assert.equal(counts.pre, CALLS + 1);
        assert.equal(counts.post, counts.pre);
      }
    });

    test("a module that is loaded later", async () => {
      using session = open();
      const seen: string[] = [];
      const probe = session.kprobe(
        "tun:tun_chr_open",
        { pre: (hit) => void seen.push(`${hit.module}:${hit.symbol} ${hit.thread.name}`) },
        { pending: true },
      );
      assert.equal(probe.pending, true);
      const open_ = "exec 3<>/dev/net/tun; exec 3>&-";
      await under(
        session,
        `insmod /modules/tun.ko; mkdir -p /dev/net; ${open_}; ${open_}; rmmod tun`,
      );
      assert.deepEqual(seen, ["tun:tun_chr_open sh", "tun:tun_chr_open sh"]);
    });

    test("a module that a probe is in is unloaded, and loaded again", async () => {
      const load = "insmod /modules/tun.ko; mkdir -p /dev/net";
      const use = "exec 3<>/dev/net/tun; exec 3>&-";
      using session = open();
      const run = session.run();
      try {
        // It was not there when the session was opened, and nobody waits for it.
        await guest.get(load);
        const seen: string[] = [];
        const probe = session.kprobe("tun:tun_chr_open", {
          pre: (hit) => void seen.push(`${hit.module}:${hit.symbol}`),
        });
        assert.ok(session.modules().some(({ name }) => name === "tun"));
        const [first] = probe.sites;
        await guest.get(`${use}; rmmod tun`);
        assert.deepEqual([seen.length, probe.sites.length], [1, 0]);
        assert.doesNotMatch(session.describe(first?.address ?? 0n), /tun/);
        assert.ok(!session.modules().some(({ name }) => name === "tun"));
        await guest.get(`${load}; ${use}; ${use}`);
        assert.deepEqual(seen, Array(3).fill("tun:tun_chr_open"));
        assert.equal(probe.sites.length, 1);
        await guest.get("rmmod tun");
        assert.deepEqual([probe.hits, probe.errors, probe.missed], [3, 0, 0]);
      } finally {
        session.detach();
        await run;
      }
    });

    test("an interrupt's handler, as often as the kernel counts", async () => {
      const [handler, name] = interrupt;
      const count = `awk '/${name}/ { for (i = 2; i <= 1 + ${cpuCount}; i++) n += $i } END { print n }' /proc/interrupts`;
      const before = Number(await guest.get(count));
      let hits = 0;
      using session = open();
      session.kprobe(handler, { pre: () => void hits++ });
      const inside = Number(await under(session, count));
      const after = Number(await guest.get(count));
      // Not exact: commands and answers go over the very console whose interrupts are counted. The
      // end of the first answer is sent before the session is there, in one to four interrupts, and
      // that of the last after it has gone.
      assert.ok(inside > before);
      assert.ok(
        hits >= inside - before - 4 && hits <= after - before,
        `${before} ${inside} ${after}: ${hits}`,
      );
    });

    test("every instruction of functions that work goes through", async () => {
      // Those that are gone through for sure come first.
      const named = [
        ...["vfs_read", "ksys_write", "do_sys_openat2", "pipe_read", "fput", "rw_verify_area"],
        ...["vfs_*", "ksys_*", "pipe_*", "path_*", "security_file_*", "do_*"],
      ];
      const found: string[] = [];
      {
        using session = open();
        for (const pattern of named) {
          const names = session.symbols(`vmlinux:${pattern}`).map(({ name }) => name);
          for (const name of names) {
            const isOnlyOne = names.indexOf(name) === names.lastIndexOf(name);
            if (isOnlyOne && !found.includes(name) && !name.includes(".")) found.push(name);
          }
        }
      }
      const refused = new Map<string, number>();
      let armed = 0;
      let hits = 0;
      for (let from = 0; from < Math.min(FUNCTIONS, found.length); from += FUNCTIONS_AT_ONCE) {
        using session = open({
          onEvent: (event) => {
            if (event.kind !== "probe-refused") return;
            const reason = event.error instanceof ToolError ? event.error.details["reason"] : "?";
            refused.set(String(reason), (refused.get(String(reason)) ?? 0) + 1);
          },
        });
        for (const name of found.slice(from, Math.min(from + FUNCTIONS_AT_ONCE, FUNCTIONS))) {
          session.kprobe(`vmlinux:${name}+*`, { pre: () => void hits++ });
        }
        armed += session.probes.reduce((sum, probe) => sum + probe.sites.length, 0);
        const said = await under(session, "work read 2; work write 2; work open 1; work pipe 2");
        assert.equal(said, "read 2\nwrite 2\nopen 1\npipe 2");
      }
      if (FUNCTIONS > FUNCTIONS_AT_ONCE) console.log({ armed, hits, refused });
      assert.ok(armed > 100 && hits > 100, `${armed} ${hits}`);
      const known = ["exclusive", "unsupported", "undecodable", "shadows-next"];
      assert.deepEqual(
        [...refused.keys()].filter((reason) => !known.includes(reason)),
        [],
      );
      assert.equal(await guest.get("work -j 2 read 1000"), "read 2000");
    });

    test("probes that come and go while it works", async () => {
      using session = open();
      const names = ["vfs_read", "ksys_read", "rw_verify_area", "fput", "schedule", "vfs_write"];
      let turns = 0;
      const timerId = setInterval(() => {
        if (!session.live) return;
        for (const probe of session.probes) probe.unregister();
        const pick = names.filter((_, index) => ((turns >> index) & 1) === 0);
        for (const name of pick) session.kretprobe(name, { handler: () => {} });
        turns++;
      }, 30);
      try {
        const said = await under(session, `work -j ${PROCESSES} pipe ${CALLS}; work read ${CALLS}`);
        assert.equal(said, `pipe ${PROCESSES * CALLS}\nread ${CALLS}`);
      } finally {
        clearInterval(timerId);
      }
      assert.ok(turns > 3);
      assert.equal(await guest.get("work -j 2 read 1000"), "read 2000");
    });

    test("a session that is dropped is detached when it is collected", async () => {
      setFlagsFromString("--expose-gc");
      const collect = runInNewContext("gc") as () => void;
      (() => {
        open().kprobe("vfs_read", {});
      })();
      const timerId = setInterval(collect, 20);
      try {
        // The guest is stopped until then.
        assert.equal(await guest.get("work read 5"), "read 5");
      } finally {
        clearInterval(timerId);
      }
    });

    test("what is not there, and what cannot be", async () => {
      {
        using session = open();
        let said = "";
        session.kprobe("vfs_read", {
          pre: (hit) => {
            try {
              hit.call(hit.address);
            } catch (error) {
              said = (error as Error).message;
            }
          },
        });
        await under(session, "work read 1");
        assert.match(said, /functions of a kernel are not called/);
      }
      using session = open();
      const code = (run: () => unknown): string => {
        try {
          run();
        } catch (error) {
          assert.ok(error instanceof ToolError, String(error));
          return error.code;
        }
        return "nothing";
      };
      assert.equal(
        code(() => session.kprobe("vfs_reed", {})),
        "symbol.unknown",
      );
      assert.equal(
        code(() => session.kprobe("nosuch:vfs_read", {})),
        "module.unknown",
      );
      assert.equal(
        code(() => session.jprobe("vfs_read", { entry: "vfs_write" })),
        "usage",
      );
      assert.equal(
        code(() => session.jprobeReturn),
        "usage",
      );
    });
  });
}
