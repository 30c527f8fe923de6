/**
 * What is found of a kernel in a guest's memory, held against what the guest itself tells: its
 * /proc/kallsyms, its /sys/kernel/btf and its build-id. KASLR is on, and the guests differ in how
 * their page tables are made and in the modes that they are stopped in.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { formatAddress } from "../../src/base/address.ts";
import { ToolError } from "../../src/base/errors.ts";
import { isUserMode } from "../../src/guest/cpu-state.ts";
import { findKernel, type GuestKernel } from "../../src/guest/kernel.ts";
import { findKernelTables, listKernelCode } from "../../src/guest/kernel-tables.ts";
import { readBytes } from "../../src/guest/memory.ts";
import { findKernelSymbol, getKernelSymbol } from "../../src/symbols/kernel-symbols.ts";
import { Guest, type GuestOptions } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { SharedRam, type StoppedCpu, whileStopped } from "../support/guest-memory.ts";
import { sleep } from "../support/programs.ts";

/** A kernel maps all of itself again when it isolates its tables from the user's. */
const SETUPS: readonly (GuestOptions & { readonly what: string })[] = [
  { what: "amd64", arch: "amd64" },
  { what: "amd64 with page table isolation", arch: "amd64", append: "pti=on" },
  { what: "amd64 with tables of 5 levels", arch: "amd64", cpu: "max,-cx16", append: "pti=on" },
  { what: "arm64 with page table isolation", arch: "arm64" },
  { what: "arm64 without", arch: "arm64", append: "nokaslr kpti=off" },
  { what: "amd64, Debian 13", arch: "amd64", release: "trixie" },
  { what: "arm64, Debian 13", arch: "arm64", release: "trixie" },
  { what: "arm64 with all that QEMU has", arch: "arm64", cpu: "max,pauth-impdef=on" },
];

/** Until the vCPU that spins in user mode has been met there: with others it takes turns. */
const STOPS_MAX = 100;
/**
 * A guest that is stopped again at once has only just left the interrupt that it was stopped in.
 */
const STOP_PAUSE_MS = 20;

for (const { what, ...options } of SETUPS) {
  describe(`a kernel in a guest: ${what}`, {
    skip: needsGuest(options.arch, options.release),
  }, () => {
    test("is the guest's own, symbol by symbol and byte by byte", async () => {
      using guest = await Guest.boot({ ...options, cpuCount: 2, sharedMemory: true });
      using ram = new SharedRam(guest);
      const kernel = await whileStopped(guest, ([cpu]) => findKernel(ram, cpu!.state));
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

for (const arch of ["amd64", "arm64"] as const) {
  describe(`a guest of ${arch} that boots`, { skip: needsGuest(arch) }, () => {
    test("has a kernel as soon as that runs, and none before", async () => {
      using guest = await Guest.boot({ arch, sharedMemory: true, waitUntilUp: false });
      using ram = new SharedRam(guest);
      let tries = 0;
      let early: GuestKernel | undefined;
      while (early === undefined) {
        assert.ok(!guest.consoleText.includes("GUEST READY"), "it is up, and no kernel was found");
        early = await whileStopped(guest, ([cpu]) => tryFindKernel(ram, cpu!));
        tries += 1;
        await sleep(STOP_PAUSE_MS);
      }
      assert.ok(tries > 1);
      await guest.untilUp();
      const late = await whileStopped(guest, ([cpu]) => findKernel(ram, cpu!.state));
      assert.deepEqual(early.symbols, late.symbols);
      assert.equal(early.buildId, late.buildId);
      assert.equal(early.types?.count, late.types?.count);
    });
  });
}

function tryFindKernel(ram: SharedRam, { state }: StoppedCpu): GuestKernel | undefined {
  try {
    return findKernel(ram, state);
  } catch (error) {
    if (error instanceof ToolError && error.code === "kernel.notFound") return undefined;
    throw error;
  }
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
