/**
 * Who runs: the current task of a vCPU, with what people know a thread by. Offsets come from the
 * kernel's own types, once; a task then costs one read.
 *
 *   x86-64  the GS base of the kernel is the vCPU's per-CPU area, where `current_task` is, alone or
 *           within `pcpu_hot` (6.2 to 6.14)
 *   arm64   SP_EL0, while the vCPU is in the kernel
 *
 * LIMIT: of an arm64 vCPU in user mode nothing in its registers leads to the task.
 */

import type { Address } from "../base/address.ts";
import { addOffset, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { findKernelSymbol } from "../symbols/kernel-symbols.ts";
import { decodeText } from "../symbols/text.ts";
import { findOffset, getOffset, type TypeTable } from "../symbols/type-table.ts";
import type { CpuState, X86CpuState } from "./cpu-state.ts";
import { isUserMode } from "./cpu-state.ts";
import type { GuestKernel } from "./kernel.ts";
import { userFormat } from "./kernel-tables.ts";
import type { PhysicalMemory, VirtualMemory } from "./memory.ts";
import { tryReadBytes, tryReadU64, viewOf } from "./memory.ts";
import type { PageTableFormat } from "./page-tables.ts";
import { PagedMemory } from "./paged-memory.ts";

/** A task of the guest: what user space calls a thread. */
export interface Task {
  /** Of its `task_struct`. */
  readonly address: Address;
  /** The thread's id, `pid` in the kernel. 0 for a vCPU's idle task. */
  readonly threadId: number;
  /** The process's id, `tgid` in the kernel. */
  readonly processId: number;
  /** Its name, cut to 15 bytes by the kernel. */
  readonly name: string;
  /** The CPU that it runs on, or has last run on. */
  readonly cpu: number;
  /** Its `mm_struct`: 0 for a thread of the kernel. */
  readonly memoryMap: Address;
  /** The lowest address of its kernel stack. */
  readonly stack: Address;
}

const NAME_BYTES = 16;

interface Offsets {
  readonly pid: number;
  readonly tgid: number;
  readonly comm: number;
  readonly cpu: number;
  readonly mm: number;
  readonly stack: number;
  /** Of `mm_struct`. */
  readonly pgd: number;
  /** Links: to the task that made it, and in the list of all processes. */
  readonly parent: number;
  readonly tasks: number;
}

export class Tasks {
  readonly #kernel: GuestKernel;
  readonly #physical: PhysicalMemory;
  readonly #offsets: Offsets;
  /** The part of a task that holds all of it. */
  readonly #firstByte: number;
  readonly #sizeBytes: number;
  /** x86-64: where a vCPU's current task is, from its GS base; undefined when nothing says. */
  readonly #currentOffset: bigint | undefined;

  /** @throws ToolError type.unknown when the kernel's types do not say where things are */
  constructor(kernel: GuestKernel, physical: PhysicalMemory) {
    if (kernel.types === undefined) {
      throw new ToolError("type.unknown", "the kernel holds no types (CONFIG_DEBUG_INFO_BTF)");
    }
    this.#kernel = kernel;
    this.#physical = physical;
    this.#offsets = findOffsets(kernel.types);
    const { pid, tgid, comm, cpu, mm, stack } = this.#offsets;
    this.#firstByte = Math.min(pid, tgid, comm, cpu, mm, stack);
    this.#sizeBytes = Math.max(pid, tgid, comm + NAME_BYTES, cpu, mm, stack) + 8 - this.#firstByte;
    this.#currentOffset = findCurrentOffset(kernel, kernel.types);
  }

  /** The task that a stopped vCPU runs; undefined when its registers do not lead to one. */
  current(cpu: CpuState): Task | undefined {
    const address = cpu.arch === "x86_64" ? this.#currentOfX86(cpu) : currentOfArm64(cpu);
    return address === undefined ? undefined : this.read(address);
  }

  /** The task at an address; undefined when that cannot be read. */
  read(address: Address): Task | undefined {
    const first = this.#firstByte;
    const bytes = tryReadBytes(this.#kernel.memory, addOffset(address, first), this.#sizeBytes);
    if (bytes === undefined) return undefined;
    const view = viewOf(bytes);
    const { pid, tgid, comm, cpu, mm, stack } = this.#offsets;
    const name = bytes.subarray(comm - first, comm - first + NAME_BYTES);
    const end = name.indexOf(0);
    return {
      address,
      threadId: view.getInt32(pid - first, true),
      processId: view.getInt32(tgid - first, true),
      name: decodeText(name, 0, end === -1 ? NAME_BYTES : end),
      cpu: view.getUint32(cpu - first, true),
      memoryMap: toAddress(view.getBigUint64(mm - first, true)),
      stack: toAddress(view.getBigUint64(stack - first, true)),
    };
  }

  /**
   * All processes, each as its first thread, from whichever task is known. What cannot be read ends
   * the list.
   */
  list(from: Task): readonly Task[] {
    const { parent, tasks } = this.#offsets;
    const { memory } = this.#kernel;
    // The idle task of another vCPU than the first is on no list, but whoever made it is; and the
    // first of all has made itself.
    let root = from;
    for (let round = 0; round < limits.processDepthMax; round += 1) {
      const above = readPointer(memory, addOffset(root.address, parent));
      const task = above === undefined ? undefined : this.read(above);
      if (task === undefined || above === root.address) break;
      root = task;
    }
    const found = [root];
    while (found.length < limits.processCountMax) {
      const last = found.at(-1) as Task;
      const next = readPointer(memory, addOffset(last.address, tasks));
      const address = next === undefined ? undefined : addOffset(next, -tasks);
      const task = address === undefined ? undefined : this.read(address);
      if (task === undefined || address === root.address) break;
      found.push(task);
    }
    return found;
  }

  /**
   * The user memory of a task, running or not: what is in RAM of it. undefined for threads of the
   * kernel.
   */
  userMemory(task: Task, cpu: CpuState): PagedMemory | undefined {
    const format = userFormat(cpu);
    return format === undefined ? undefined : this.userMemoryBy(task, format);
  }

  /** The same, where it is known already how the tables are made: all tasks have them alike. */
  userMemoryBy(task: Task, format: PageTableFormat): PagedMemory | undefined {
    if (task.memoryMap === 0n) return undefined;
    const { memory } = this.#kernel;
    const table = tryReadU64(memory, addOffset(task.memoryMap, this.#offsets.pgd));
    const root = table === undefined ? undefined : memory.translate(toAddress(table));
    return root === undefined ? undefined : new PagedMemory(this.#physical, { root, format });
  }

  #currentOfX86(cpu: X86CpuState): Address | undefined {
    if (this.#currentOffset === undefined) return undefined;
    // In the first and last instructions of the kernel's entry the two are not swapped yet.
    const order = isUserMode(cpu) ? [cpu.kernelGsBase, cpu.gsBase] : [cpu.gsBase, cpu.kernelGsBase];
    const base = order.find(isKernelAddress);
    if (base === undefined) return undefined;
    return readPointer(this.#kernel.memory, addOffset(base, this.#currentOffset));
  }
}

function findOffsets(types: TypeTable): Offsets {
  return {
    pid: getOffset(types, "task_struct.pid"),
    tgid: getOffset(types, "task_struct.tgid"),
    comm: getOffset(types, "task_struct.comm"),
    // It was the task's own before it went into thread_info.
    cpu: findOffset(types, "task_struct.thread_info.cpu") ?? getOffset(types, "task_struct.cpu"),
    mm: getOffset(types, "task_struct.mm"),
    stack: getOffset(types, "task_struct.stack"),
    pgd: getOffset(types, "mm_struct.pgd"),
    parent: getOffset(types, "task_struct.real_parent"),
    tasks: getOffset(types, "task_struct.tasks"),
  };
}

/** Symbols of per-CPU variables are offsets into the area, or go with a base that makes them so. */
function findCurrentOffset(kernel: GuestKernel, types: TypeTable): bigint | undefined {
  if (kernel.arch !== "x86_64") return undefined;
  const alone = findKernelSymbol(kernel.symbols, "current_task");
  if (alone !== undefined) return alone.address;
  const hot = findKernelSymbol(kernel.symbols, "pcpu_hot");
  const inHot = findOffset(types, "pcpu_hot.current_task");
  return hot === undefined || inHot === undefined ? undefined : addOffset(hot.address, inHot);
}

function currentOfArm64(cpu: CpuState): Address | undefined {
  if (cpu.arch !== "arm64" || isUserMode(cpu)) return undefined;
  return isKernelAddress(cpu.spEl0) ? cpu.spEl0 : undefined;
}

function readPointer(memory: VirtualMemory, address: Address): Address | undefined {
  const value = tryReadU64(memory, address);
  return value !== undefined && isKernelAddress(value) ? toAddress(value) : undefined;
}

function isKernelAddress(address: bigint): boolean {
  return address >> 63n === 1n;
}
