/**
 * What is found of a kernel in a guest's memory, held against what the guest itself tells: its
 * /proc/kallsyms, its /sys/kernel/btf and its build-id. KASLR is on, and the guests differ in how
 * their page tables are made and in the modes that they are stopped in.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { formatAddress } from "../../../src/base/address.ts";
import { isUserMode } from "../../../src/guest/cpu-state.ts";
import { findKernel, type GuestKernel } from "../../../src/guest/kernel.ts";
import { findKernelTables, listKernelCode } from "../../../src/guest/kernel-tables.ts";
import { readBytes } from "../../../src/guest/memory.ts";
import { findKernelSymbol, getKernelSymbol } from "../../../src/symbols/kernel-symbols.ts";
import { Guest, type GuestOptions } from "../../support/guest.ts";
import { needsGuest } from "../../support/guest-image.ts";
import { SharedRam, type StoppedCpu, whileStopped } from "../../support/guest-memory.ts";
import { sleep } from "../../support/programs.ts";

/** A guest, and what is special about it. */
export interface Setup extends GuestOptions {
  readonly what: string;
  /** Of its kernel's page tables, when it is not 48. */
  readonly addressBits?: number;
}

/** Until the vCPU that spins in user mode has been met there: with others it takes turns. */
const STOPS_MAX = 100;
/**
 * A guest that is stopped again at once has only just left the interrupt that it was stopped in.
 */
const STOP_PAUSE_MS = 20;

/** Declare the tests of one guest's kernel. */
export function describeKernel({ what, addressBits = 48, ...options }: Setup): void {
  describe(`a kernel in a guest: ${what}`, {
    skip: needsGuest(options.arch, options.release),
  }, () => {
    test("is the guest's own, symbol by symbol and byte by byte", async () => {
      using guest = await Guest.boot({ ...options, cpuCount: 2, sharedMemory: true });
      using ram = new SharedRam(guest);
      const kernel = await whileStopped(guest, ([cpu]) => findKernel(ram, cpu!.state));
      assert.equal(kernel.tables.format.addressBits, addressBits);
      assert.ok(kernel.banner.startsWith(`Linux version ${guest.image.version} (`));
      assert.ok(kernel.banner.endsWith(await guest.get("uname -v")));
      const notes = await guest.getBytes("cat /sys/kernel/notes");
      assert.ok(Buffer.from(notes).toString("hex").includes(`474e5500${kernel.buildId}`));

      const types = await guest.get("sha256sum </sys/kernel/btf/vmlinux");
      const ours = createHash("sha256").update(kernel.types!.bytes).digest("hex");
      assert.equal(`${ours}  -`, types);
      await compareSymbols(guest, kernel);
      await meetInUserMode(guest, ram, kernel);
    });
  });
}

/** All lines, in their order; a module's have its name in brackets. */
async function compareSymbols(guest: Guest, kernel: GuestKernel): Promise<void> {
  const actual = Array.from({ length: kernel.symbols.count }, (_, row) => {
    const { address, type, name } = getKernelSymbol(kernel.symbols, row);
    return `${formatAddress(address, 16).slice(2)} ${type} ${name}\n`;
  });
  assert.ok(actual.length > 40_000);
  const ours = createHash("sha256").update(actual.join("")).digest("hex");
  const lines = "grep -v '\\[' /proc/kallsyms";
  if ((await guest.get(`${lines} | sha256sum`)) === `${ours}  -`) return;
  // Megabytes over a serial line, so only to say what differs.
  const text = Buffer.from(await guest.getBytes(lines)).toString();
  const expected = text.split(/(?<=\n)/);
  const wrong = expected.findIndex((line, row) => line !== actual[row]);
  assert.equal(actual[wrong], expected[wrong]);
  assert.equal(actual.length, expected.length);
}

/** A vCPU in user mode leads to the same kernel, whose memory is all there. */
async function meetInUserMode(guest: Guest, ram: SharedRam, kernel: GuestKernel): Promise<void> {
  await guest.start("work -j 2 spin");
  const start = findKernelSymbol(kernel.symbols, "vfs_read")!.address;
  const code = readBytes(kernel.memory, start, 64);
  const check = ({ state }: StoppedCpu): boolean => {
    if (!isUserMode(state)) return false;
    const tables = findKernelTables(ram, state);
    assert.ok(tables !== undefined, "the kernel's tables");
    if (state.arch === "arm64") assert.equal(tables.root, kernel.tables.root);
    assert.ok(listKernelCode(ram, tables).some((range) => range.start === kernel.code.start));
    const again = findKernel(ram, state);
    assert.equal(again.symbols.base, kernel.symbols.base);
    assert.deepEqual(readBytes(again.memory, start, 64), code);
    // Data, too, which the tables of user mode do not map.
    const [data] = kernel.pieces;
    assert.deepEqual(readBytes(again.memory, data!.address, 4096), data!.bytes.slice(0, 4096));
    return true;
  };
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    const met = await whileStopped(guest, (cpus) => cpus.filter(check).length);
    if (met > 0) return;
    await sleep(STOP_PAUSE_MS);
  }
  assert.fail(`no vCPU in user mode in ${STOPS_MAX} stops`);
}
