/**
 * What is read of a guest's kernel once it is found, held against the guest's own account: the
 * tasks that run, their memory, the modules with their symbols and types, and the room in its code.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { type Address, addOffset, toAddress } from "../../../src/base/address.ts";
import { findFreeCode } from "../../../src/guest/free-code.ts";
import { findKernel, type GuestKernel } from "../../../src/guest/kernel.ts";
import { KernelStack, type NamedModule } from "../../../src/guest/kernel-stack.ts";
import { readBytes } from "../../../src/guest/memory.ts";
import { Modules } from "../../../src/guest/modules.ts";
import { Tasks } from "../../../src/guest/tasks.ts";
import { getKernelSymbol, type KernelSymbols } from "../../../src/symbols/kernel-symbols.ts";
import { Guest } from "../../support/guest.ts";
import { needsGuest } from "../../support/guest-image.ts";
import { SharedRam, type StoppedCpu, whileStopped } from "../../support/guest-memory.ts";
import { sleep } from "../../support/programs.ts";
import type { Setup } from "./kernel-check.ts";

const STOPS_MAX = 200;
const STOP_PAUSE_MS = 10;

/** Declare the tests of what is inside one guest's kernel. */
export function describeInside({ what, ...options }: Setup): void {
  describe(`inside a guest: ${what}`, { skip: needsGuest(options.arch, options.release) }, () => {
    test("tasks, modules and free code are as the guest tells", async () => {
      using guest = await Guest.boot({ ...options, cpuCount: 2, sharedMemory: true });
      using ram = new SharedRam(guest);
      const kernel = await whileStopped(guest, ([cpu]) => findKernel(ram, cpu!.state));
      await checkTables(guest, ram, kernel);
      await checkTasks(guest, ram, kernel);
      await checkModules(guest, kernel);
      checkFreeCode(kernel);
      await checkStacks(guest, ram, kernel);
    });
  });
}

/** The tables that are kept are the kernel's own, not those of a process that will end. */
async function checkTables(guest: Guest, ram: SharedRam, kernel: GuestKernel): Promise<void> {
  const pids = [await guest.start("exec work spin"), await guest.start("exec work spin")];
  const found = await whileStopped(guest, (cpus) =>
    cpus.map(({ state }) => ({
      root: findKernel(ram, state).tables.root,
      own: state.arch === "x86_64" ? Number(state.cr3 & ~0x1fffn) : undefined,
    })),
  );
  await guest.get(`kill ${pids.join(" ")}`);
  for (const { root, own } of found) {
    assert.equal(root, kernel.tables.root);
    if (own !== undefined) assert.notEqual(root - (root % 0x2000), own);
  }
}

async function checkTasks(guest: Guest, ram: SharedRam, kernel: GuestKernel): Promise<void> {
  const tasks = new Tasks(kernel, ram);
  // One that is in the kernel often, and says which it is and where a text of its own lies.
  await guest.start("exec work hold", "/tmp/hold");
  const said = await guest.get("until grep hold /tmp/hold; do usleep 1000; done");
  const [, pid, at, text] = /^hold (\d+) 0x([0-9a-f]+) (.*)$/.exec(said) ?? [];
  const seen = new Set<string>();
  const found = await meet(guest, (cpus) => {
    kernel.memory.forget();
    for (const [index, { state }] of cpus.entries()) {
      const task = tasks.current(state);
      if (task === undefined) continue;
      seen.add(`${task.name} ${task.threadId}`);
      assert.equal(task.cpu, index);
      if (task.threadId === 0) assert.equal(task.name, `swapper/${index}`);
      if (task.threadId === Number(pid)) return { task, user: tasks.userMemory(task, state)! };
    }
    return undefined;
  });
  assert.ok(found !== undefined, `the task that works was not met, but ${[...seen].join(", ")}`);
  assert.equal(found.task.processId, Number(pid));
  assert.equal(found.task.name, "work");
  assert.equal(text, `held by ${pid}`);
  // It is not current any more, perhaps.
  await whileStopped(guest, () => {
    found.user.forget();
    const bytes = readBytes(found.user, toAddress(BigInt(`0x${at}`)), text.length);
    assert.equal(Buffer.from(bytes).toString(), text);
    assert.equal(found.user.read(toAddress(0x10), new Uint8Array(8)), 0);
  });
}

async function checkModules(guest: Guest, kernel: GuestKernel): Promise<void> {
  const modules = new Modules(kernel);
  const look = <T>(read: () => T): Promise<T> =>
    whileStopped(guest, () => {
      kernel.memory.forget();
      return read();
    });
  assert.deepEqual(await look(() => modules.list()), []);
  await guest.get("insmod /modules/dummy.ko && insmod /modules/loop.ko");
  const listed = (await guest.get("cat /proc/modules")).split("\n");
  const found = await look(() =>
    modules.list().map((module) => ({
      module,
      symbols: modules.readSymbols(module),
      types: modules.readTypes(module),
    })),
  );
  assert.deepEqual(
    found.map(({ module }) => module.name),
    listed.map((line) => line.split(" ")[0]),
  );
  for (const [index, { module, symbols, types }] of found.entries()) {
    assert.ok(listed[index]?.endsWith(module.base.toString(16)) || listed[index]?.includes("0x"));
    const text = await guest.get(`grep '\\[${module.name}\\]' /proc/kallsyms`);
    assert.deepEqual(listSymbols(symbols), listLines(text));
    const sum = await guest.get(`sha256sum </sys/kernel/btf/${module.name}`);
    const ours = createHash("sha256").update(types!.bytes).digest("hex");
    assert.equal(`${ours}  -`, sum);
    // A module's function, by a type that the kernel has and one that only the module has.
    const own = module.name === "dummy" ? "dummy_xmit" : "loop_queue_rq";
    const type = types!.get(types!.find("function", own)!);
    assert.equal(type.kind, "function");
    assert.ok(types!.find("struct", "task_struct")! < types!.firstId);
  }
}

/** The case of a letter says whether a symbol is exported, which is elsewhere. */
function listSymbols(symbols: KernelSymbols): readonly string[] {
  return Array.from({ length: symbols.count }, (_, row) => {
    const { address, type, name } = getKernelSymbol(symbols, row);
    return `${address.toString(16)} ${type.toLowerCase()} ${name}`;
  }).sort();
}

function listLines(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.split("\t")[0] ?? "")
    .map((line) => line.replace(/^(\S+) (.) /, (_, at, type) => `${at} ${type.toLowerCase()} `))
    .sort();
}

function checkFreeCode(kernel: GuestKernel): void {
  const ranges = findFreeCode(kernel);
  const sum = ranges.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  // Between parts that begin at large pages, or at pages.
  const wantedBytes = kernel.arch === "x86_64" ? 0x20_0000 : 0x4000;
  assert.ok(sum > wantedBytes, `${sum} bytes of free code`);
  const filler = kernel.arch === "x86_64" ? 0xcc : 0;
  for (const { start, sizeBytes } of ranges) {
    assert.ok(start >= kernel.code.start);
    assert.ok(addOffset(start, sizeBytes) <= addOffset(kernel.code.start, kernel.code.sizeBytes));
    assert.ok(readBytes(kernel.memory, start, sizeBytes).every((byte) => byte === filler));
  }
}

/** Where the kernel itself says that each process sleeps; some have run on meanwhile. */
async function checkStacks(guest: Guest, ram: SharedRam, kernel: GuestKernel): Promise<void> {
  await guest.get("killall work; until ! pidof work >/dev/null; do usleep 1000; done");
  await guest.get("insmod /modules/tun.ko");
  await guest.start("exec work tun", "/tmp/tun");
  const said = await guest.get("until grep tun /tmp/tun; do usleep 1000; done; usleep 100000");
  const tasks = new Tasks(kernel, ram);
  const stack = new KernelStack(kernel);
  assert.ok(stack.canWalk);
  const command = 'cd /proc; for p in [0-9]*; do echo "= $p $(cat $p/comm)"; cat $p/stack; done';
  const text = await guest.get(command);
  const expected = new Map(
    text
      .split(/^= /m)
      .slice(1)
      .map((part) => [part.split("\n")[0], part.split("\n").slice(1)] as const)
      .map(([head, lines]) => [
        head,
        lines.filter(Boolean).map((line) => line.replace(/^\[<0>\] (\S+)\/0x.*$/, "$1")),
      ]),
  );
  const actual = await whileStopped(guest, (cpus) => {
    kernel.memory.forget();
    const modules = new Modules(kernel);
    const named = modules
      .list()
      .map((module) => ({ module, symbols: modules.readSymbols(module) }));
    stack.useModules(named);
    const current = cpus.map(({ state }) => tasks.current(state)).find(Boolean);
    return tasks.list(current!).map((task) => {
      const from = stack.findSleeping(task)!;
      const names = stack.walk(from).map((pc) => nameCode(kernel, named, pc));
      return { head: `${task.threadId} ${task.name}`, names };
    });
  });
  // Each reads the names of those that the kernel lists: the same processes, but for the shell's
  // own.
  const same = actual.filter(({ head, names }) => {
    const lines = expected.get(head) ?? [];
    return lines.length > 0 && names.slice(-lines.length).join() === lines.join();
  });
  const others = actual.filter((one) => !same.includes(one) && expected.has(one.head));
  const report = others.map(({ head, names }) => ({ head, names, expected: expected.get(head) }));
  assert.ok(same.length > 20, JSON.stringify({ same, report }, undefined, 1));
  assert.ok(report.length < same.length / 8, JSON.stringify(report, undefined, 1));
  // One that sleeps in a module.
  const inTun = same.find(({ head }) => head === `${said.split(" ")[1]} work`);
  assert.match(inTun?.names.join(" ") ?? "", /tun_do_read\+/);
}

/** As the kernel writes it: the last symbol at or before the address, of those with text. */
function nameCode(kernel: GuestKernel, modules: readonly NamedModule[], pc: Address): string {
  const inModule = modules.find(({ module }) => {
    return pc >= module.base && pc < addOffset(module.base, module.sizeBytes);
  });
  const symbols = inModule?.symbols ?? kernel.symbols;
  const offset = Number(pc - symbols.base);
  let best = -1;
  for (let row = 0; row < symbols.count; row += 1) {
    const at = symbols.offsets[row]!;
    if (at <= offset && (best === -1 || at > symbols.offsets[best]!)) best = row;
  }
  // What a task that runs left behind when it last slept leads anywhere.
  if (best === -1) return `0x${pc.toString(16)}`;
  const { name, address } = getKernelSymbol(symbols, best);
  return `${name}+0x${(pc - address).toString(16)}`;
}

/** Stop again and again until what is looked for is there. */
async function meet<T>(
  guest: Guest,
  look: (cpus: readonly StoppedCpu[]) => T | undefined,
): Promise<T | undefined> {
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    const found = await whileStopped(guest, look);
    if (found !== undefined) return found;
    await sleep(STOP_PAUSE_MS);
  }
  return undefined;
}
