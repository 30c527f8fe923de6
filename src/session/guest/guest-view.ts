/**
 * What a session keeps of a guest's kernel: its modules and names, its tasks and stacks, and how
 * memory is read at a stop.
 */

import { type Address, toAddress } from "../../base/address.ts";
import type { Inspection, Target } from "../../engine/target.ts";
import type { CpuState } from "../../guest/cpu-state.ts";
import { findFreeCode } from "../../guest/free-code.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import { KernelStack } from "../../guest/kernel-stack.ts";
import { userFormat } from "../../guest/kernel-tables.ts";
import type { PageTableFormat } from "../../guest/page-tables.ts";
import type { PagedMemory } from "../../guest/paged-memory.ts";
import { type Task, Tasks } from "../../guest/tasks.ts";
import { walkFrames, walkUserStack } from "../../guest/user-stack.ts";
import type { GdbMachine } from "../../machine/gdb/machine.ts";
import type { GdbThread } from "../../machine/gdb/thread.ts";
import type { Mapping, Thread } from "../../machine/machine.ts";
import type { CPrototype } from "../../symbols/c-prototype.ts";
import { findPrototype } from "../../symbols/debug-prototype.ts";
import { type Location, Locator } from "../locate.ts";
import { findFunctionBounds } from "../modules.ts";
import { findInstructions, type TargetView, wordReader } from "../target-view.ts";
import { readCpuState } from "./cpu-registers.ts";
import type { GuestRam } from "./guest-ram.ts";
import { KernelModuleList } from "./kernel-modules.ts";

/** User code runs with this bit of addresses clear. */
const KERNEL_BIT = 63n;

export class GuestView implements TargetView {
  readonly id = 0;
  readonly target: Target;
  readonly kernel: GuestKernel;
  readonly modules: KernelModuleList;
  readonly locator: Locator;
  private readonly machine: GdbMachine;
  private readonly ram: GuestRam;
  private readonly tasks: Tasks | undefined;
  private readonly stack: KernelStack;
  /** The stop that what is remembered of memory belongs to. */
  private stopSeen = -1;
  private userFormat: PageTableFormat | undefined;
  private userMemory:
    | { readonly stop: number; readonly thread: Thread; readonly memory: PagedMemory | undefined }
    | undefined;

  constructor(
    machine: GdbMachine,
    target: Target,
    found: { readonly kernel: GuestKernel; readonly ram: GuestRam },
    warn: (message: string) => void,
  ) {
    this.machine = machine;
    this.target = target;
    this.kernel = found.kernel;
    this.ram = found.ram;
    this.modules = new KernelModuleList(found.kernel, warn);
    this.stack = new KernelStack(found.kernel);
    try {
      this.tasks = new Tasks(found.kernel, found.ram);
    } catch (error) {
      warn(`it is not known who hits: ${(error as Error).message}`);
    }
    machine.space.provide({
      mappings: () => this.mappings(),
      room: findFreeCode(found.kernel),
    });
    target.findFunction = (address) => findFunctionBounds(this.modules, address);
    this.locator = new Locator(
      this.modules,
      wordReader(target),
      () => undefined,
      (start, end) => findInstructions(target, start, end),
    );
  }

  /** The code of the kernel and of its modules. */
  private mappings(): readonly Mapping[] {
    return this.modules.all.map(({ name, start, end }) => ({
      start,
      end,
      fileOffset: 0,
      readable: true,
      writable: false,
      executable: true,
      shared: false,
      path: `[${name}]`,
    }));
  }

  /** What was remembered of memory is old once the guest has run. */
  refreshMemory(): void {
    if (this.stopSeen === this.machine.stopCount) return;
    this.stopSeen = this.machine.stopCount;
    this.kernel.memory.forget();
    this.ram.forget();
  }

  /** Whether the vCPU that stopped last was running user code. */
  get isInUserMode(): boolean {
    const thread = this.machine.current;
    if (thread === undefined) return false;
    const { names } = this.target.arch.registers;
    const word = (name: string): bigint => thread.registers[names.indexOf(name)] ?? 0n;
    return this.target.arch.name === "x86_64"
      ? (word("cs") & 3n) === 3n
      : ((word("cpsr") >> 2n) & 3n) === 0n;
  }

  inspect(location: Location): Inspection {
    return this.target.inspect(location.address, location.functionStart);
  }

  findPrototype(name: string): CPrototype | undefined {
    const { types } = this.kernel;
    return types === undefined ? undefined : findPrototype(types, name);
  }

  /**
   * Read the user memory of the task whose stop is served, by its own tables. arm64's kernel may
   * have them out of the way while it runs (CONFIG_ARM64_SW_TTBR0_PAN), so that packets do not see
   * it. Gives how many bytes were read.
   */
  readUser(address: Address, target: Uint8Array): number {
    const thread = this.focused;
    if (thread === undefined) return 0;
    this.refreshMemory();
    if (this.userMemory?.stop !== this.stopSeen || this.userMemory.thread !== thread) {
      const task = this.currentTask(thread);
      const format = task === undefined ? undefined : this.findUserFormat(thread);
      const memory =
        task === undefined || format === undefined
          ? undefined
          : this.tasks?.userMemoryBy(task, format);
      this.userMemory = { stop: this.stopSeen, thread, memory };
    }
    return this.userMemory.memory?.read(address, target) ?? 0;
  }

  /** The vCPU whose stop is served. */
  private get focused(): Thread | undefined {
    const id = this.machine.client.focus?.threadId;
    for (const thread of this.machine.threads) if (thread.id === id) return thread;
    return this.machine.current;
  }

  /** Asked of the vCPU once: it is the same for all, as long as the kernel runs. */
  private findUserFormat(thread: Thread): PageTableFormat | undefined {
    if (this.userFormat === undefined) {
      const cpu = readCpuState(this.machine, thread as GdbThread);
      this.userFormat = cpu === undefined ? undefined : userFormat(cpu);
    }
    return this.userFormat;
  }

  /**
   * The callers of a task in user code, innermost first, by frame pointers: where its kernel stack
   * keeps the registers it came with. A frame that is not in RAM, or none, ends them.
   */
  readUserStack(thread: Thread, depthMax: number): readonly Address[] {
    const { types, arch } = this.kernel;
    const task = this.currentTask(thread);
    if (types === undefined || task === undefined || task.memoryMap === 0n) return [];
    const read = (address: bigint): bigint | undefined => this.readWord(address);
    if (thread.pc >> KERNEL_BIT === 0n) {
      const { names } = this.target.arch.registers;
      const frame = thread.registers[names.indexOf(arch === "x86_64" ? "rbp" : "x29")] ?? 0n;
      return walkFrames(thread.pc, frame, depthMax, read);
    }
    return walkUserStack(types, { arch, task, depthMax }, read);
  }

  private readWord(address: bigint): bigint | undefined {
    const bytes = new Uint8Array(8);
    const isRead = this.machine.space.read(toAddress(address), bytes);
    return isRead ? new DataView(bytes.buffer).getBigUint64(0, true) : undefined;
  }

  /** The task that a stopped vCPU runs. */
  currentTask(thread: Thread): Task | undefined {
    const cpu = this.cpuState(thread);
    if (cpu === undefined) return undefined;
    this.refreshMemory();
    return this.tasks?.current(cpu);
  }

  /** In the kernel what the register file has is all that leads to the task of an x86-64 vCPU. */
  private cpuState(thread: Thread): CpuState | undefined {
    const { registers, arch } = { registers: thread.registers, arch: this.target.arch };
    const word = (name: string): bigint => registers[arch.registers.names.indexOf(name)] ?? 0n;
    const gsBase = arch.name === "x86_64" ? word("gs_base") : 0n;
    if (gsBase >> KERNEL_BIT !== 1n) return readCpuState(this.machine, thread as GdbThread);
    return {
      arch: "x86_64",
      pc: thread.pc,
      sp: toAddress(word("rsp")),
      cr0: 0n,
      cr3: 0n,
      cr4: 0n,
      privilege: Number(word("cs") & 3n),
      gsBase: toAddress(gsBase),
      kernelGsBase: toAddress(0),
    };
  }

  readStack(thread: Thread, depthMax: number): readonly Address[] {
    this.refreshMemory();
    const { names } = this.target.arch.registers;
    const at = (name: string): Address => toAddress(thread.registers[names.indexOf(name)] ?? 0n);
    const isX86 = this.target.arch.name === "x86_64";
    const [, ...callers] = this.stack.walk({
      pc: thread.pc,
      sp: at(isX86 ? "rsp" : "sp"),
      framePointer: at(isX86 ? "rbp" : "x29"),
      link: isX86 ? undefined : at("x30"),
      others: isX86 ? { dx: at("rdx"), di: at("rdi"), r10: at("r10"), r13: at("r13") } : {},
    });
    const { sp } = this.target.arch.registers;
    return callers
      .slice(0, depthMax)
      .map((address) =>
        this.target.returns.trueReturnAddress(toAddress(thread.registers[sp] ?? 0n), address),
      );
  }
}
