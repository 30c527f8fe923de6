/**
 * The GDB machine on an unmodified Debian kernel under QEMU: functions found by the kernel's own
 * symbols, hits held against the calls that a program in the guest makes and counts itself.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Address, toAddress } from "../../src/base/address.ts";
import { findFreeCode } from "../../src/guest/free-code.ts";
import { findKernel, type GuestKernel } from "../../src/guest/kernel.ts";
import { findKernelSymbol } from "../../src/symbols/kernel-symbols.ts";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { SharedRam, whileStopped } from "../support/guest-memory.ts";
import { CountingHooks, CountingReturns, StubBench } from "./support/stub-bench.ts";

const CALLS = 100;
const PROCESSES = 2;
const TEXT = "trapline";
/** How often the kernel has complained, of whatever. */
const COMPLAINTS = "dmesg | grep -ciE 'oops|bug|warning|panic|rcu|lockup' || true";
const SERVE_TIME_MS_MAX = 120_000;

for (const cpuCount of [1, 2]) {
  describe(`a Debian kernel on ${cpuCount} vCPUs`, { skip: needsGuest("amd64") }, () => {
    it("calls of vfs_write are all hit and all return, and the guest's work is right", async () => {
      using guest = await Guest.boot({ arch: "amd64", cpuCount, sharedMemory: true });
      using ram = new SharedRam(guest);
      const kernel = await whileStopped(guest, ([cpu]) => findKernel(ram, cpu!.state));
      const complaints = await guest.get(COMPLAINTS);
      await guest.start(`work -j ${PROCESSES} -g write ${CALLS}`, "/tmp/out");
      await guest.get("until [ $(grep -c ready /tmp/out) = 1 ]; do usleep 1000; done");
      const bench = new StubBench({
        address: `unix:${guest.gdbPath}`,
        room: findFreeCode(kernel),
      });
      const wrote = probeWrites(bench, at(kernel, "vfs_write"));
      const returns = new CountingReturns();
      let sum = 0;
      returns.onReturn = (thread) => {
        sum += Number(
          BigInt.asIntN(64, thread.registers[bench.machine.arch.convention.returnRegister]!),
        );
      };
      const site = bench.target.site(at(kernel, "vfs_write"), undefined);
      wrote.onOurs = (thread) => bench.target.returns.open(thread, site, returns, "site");
      bench.target.returns.use(returns);
      // Its entry is a nop that is emulated; what follows is hit as often, from copies and in
      // place.
      const inside = bench.probe(toAddress(at(kernel, "ksys_write")));
      const gone = guest.get(
        "touch /tmp/go; until grep -q 'write' /tmp/out; do usleep 10000; done; cat /tmp/out",
      );
      const text = await serveUntilDone(bench, gone);
      assert.match(text, new RegExp(`write ${CALLS * PROCESSES}$`, "m"));
      assert.equal(wrote.count, CALLS * PROCESSES);
      assert.ok(inside.pres >= CALLS * PROCESSES);
      assert.deepEqual([returns.entries, returns.returns], [wrote.count, wrote.count]);
      assert.equal(sum, wrote.count * TEXT.length);
      assert.deepEqual(bench.warnings, []);
      assert.ok(bench.detach());
      // Without us it does the same.
      assert.match(await guest.get("work -j 2 write 1000"), /write 2000/);
      assert.equal(await guest.get(COMPLAINTS), complaints);
    });
  });
}

interface Writes {
  /** Writes of the text. */
  readonly count: number;
  onOurs: (thread: Parameters<CountingHooks["pre"]>[0]) => void;
}

/** Count writes of the work's own text, by what is in the caller's memory. */
function probeWrites(bench: StubBench, address: Address): Writes {
  const { names } = bench.machine.arch.registers;
  const [rsi, rdx] = ["rsi", "rdx"].map((name) => names.indexOf(name));
  const bytes = new Uint8Array(TEXT.length);
  const hooks = new CountingHooks();
  const writes = { count: 0, onOurs: (_thread: Parameters<CountingHooks["pre"]>[0]) => {} };
  hooks.onPre = (thread) => {
    if (thread.registers[rdx!] !== BigInt(TEXT.length)) return;
    if (!bench.machine.space.read(toAddress(thread.registers[rsi!]!), bytes)) return;
    if (Buffer.from(bytes).toString() !== TEXT) return;
    writes.count++;
    writes.onOurs(thread);
  };
  bench.probe(address, hooks);
  return writes;
}

/** Serve stops while the guest is asked for something. */
async function serveUntilDone(bench: StubBench, answer: Promise<string>): Promise<string> {
  let text: string | undefined;
  void answer.then((found) => {
    text = found;
  });
  const deadlineMs = performance.now() + SERVE_TIME_MS_MAX;
  while (text === undefined) {
    for (let turns = 0; turns < 20; turns++) bench.engine.turn(5);
    await new Promise((resolve) => setImmediate(resolve));
    if (performance.now() > deadlineMs) throw new Error("the guest did not answer");
  }
  return text;
}

function at(kernel: GuestKernel, name: string): Address {
  const symbol = findKernelSymbol(kernel.symbols, name);
  if (symbol === undefined) throw new Error(`the kernel has no ${name}`);
  return symbol.address;
}
