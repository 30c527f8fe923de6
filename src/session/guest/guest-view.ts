/**
 * What a session keeps of a guest's kernel: its modules and names, its tasks and stacks, and how
 * memory is read at a stop.
 */

import { type Address, toAddress } from "../../base/address.ts";
import type { Inspection, Target } from "../../engine/target.ts";
import type { CpuState } from "../../guest/cpu-state.ts";
import { findFreeCode } from "../../guest/free-code.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import { KernelStack, type StackRegisters } from "../../guest/kernel-stack.ts";
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
import type { HitThread } from "../api.ts";
import { type Location, Locator } from "../locate.ts";
import { findFunctionBounds, type Module } from "../modules.ts";
import { findInstructions, wordReader } from "../target-view.ts";
import { readCpuState } from "./cpu-registers.ts";
import type { FoundGuest } from "./find-guest.ts";
import type { GuestRam } from "./guest-ram.ts";
import { KernelModuleList } from "./kernel-modules.ts";
import type { StubView } from "./stub-view.ts";
import { type VcpuRegisters, vcpuRegistersOf } from "./vcpu-registers.ts";

export class GuestView implements StubView {
  readonly id = 0;
  readonly target: Target;
  readonly kernel: GuestKernel;
  readonly modules: KernelModuleList;
  readonly locator: Locator;
  readonly info: StubView["info"];
  private readonly machine: GdbMachine;
  private readonly ram: GuestRam;
  private readonly tasks: Tasks | undefined;
  private readonly stack: KernelStack;
  private readonly registers: VcpuRegisters;
  /** The stop that what is remembered of memory belongs to. */
  private stopSeen = -1;
  /** Somebody tells when modules come and go. */
  isToldOfModules = false;
  /** The stop at which modules were looked for last. */
  private modulesSeen = -1;
  private userFormat: PageTableFormat | undefined;
  private userMemory:
    | { readonly stop: number; readonly thread: Thread; readonly memory: PagedMemory | undefined }
    | undefined;

  constructor(
    machine: GdbMachine,
    target: Target,
    found: FoundGuest,
    warn: (message: string) => void,
  ) {
    this.machine = machine;
    this.target = target;
    this.kernel = found.kernel;
    this.ram = found.ram;
    this.info = describe(found);
    this.modules = new KernelModuleList(found.kernel, warn);
    this.stack = new KernelStack(found.kernel);
    this.modulesSeen = machine.stopCount;
    this.stack.useModules(this.modules.named);
    this.registers = vcpuRegistersOf(target.arch);
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

  /**
   * Modules come and go as the guest runs: if nobody tells, they are looked for where it stopped.
   */
  lookAtModules(): readonly Module[] {
    return this.isToldOfModules ? [] : this.refreshModules();
  }

  /** Look which modules are loaded now. Gives those that are new. */
  refreshModules(): readonly Module[] {
    const fresh = this.machine.whileStopped(() => {
      this.refreshMemory();
      if (this.modulesSeen === this.stopSeen) return [];
      this.modulesSeen = this.stopSeen;
      return this.modules.refresh(() => {});
    });
    this.stack.useModules(this.modules.named);
    return fresh ?? [];
  }

  /** The module of a `struct module` goes away. Gives it, if it was known. */
  removeModule(address: bigint): Module | undefined {
    const gone = this.modules.remove(address);
    this.stack.useModules(this.modules.named);
    return gone;
  }

  /** Whether the vCPU that stopped last was running user code. */
  get isInUserMode(): boolean {
    const thread = this.machine.current;
    return thread !== undefined && this.registers.isUserMode(thread.registers);
  }

  inspect(location: Location): Inspection {
    return this.target.inspect(location.address, location.functionStart);
  }

  findPrototype(name: string): CPrototype | undefined {
    const { types } = this;
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
    if (this.registers.isUserMode(thread.registers)) {
      const { framePointer } = this.registers.startOfStack(thread.registers);
      return walkFrames(thread.pc, framePointer, depthMax, read);
    }
    return walkUserStack(types, { arch, task, depthMax }, read);
  }

  private readWord(address: bigint): bigint | undefined {
    const bytes = new Uint8Array(8);
    const isRead = this.machine.space.read(toAddress(address), bytes);
    return isRead ? new DataView(bytes.buffer).getBigUint64(0, true) : undefined;
  }

  get types(): GuestKernel["types"] {
    return this.kernel.types;
  }

  describeThread(thread: Thread): HitThread {
    const task = this.currentTask(thread);
    // vCPUs are numbered from 1 by stubs, and from 0 by kernels.
    const cpu = task?.cpu ?? thread.id - 1;
    return {
      id: task?.threadId ?? 0,
      processId: task?.processId ?? 0,
      name: task?.name ?? "",
      cpu,
    };
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
    return (
      this.registers.findState(thread.registers) ?? readCpuState(this.machine, thread as GdbThread)
    );
  }

  /**
   * LIMIT: it ends at the first call that returns to the trampoline, as only at that function's own
   * entry it is known which slot of the stack its return address is in.
   */
  readStack(thread: Thread, depthMax: number): readonly Address[] {
    this.refreshMemory();
    const { knownTrap, returns } = this.target;
    const start = this.registers.startOfStack(thread.registers);
    const [, ...callers] = this.walk(start);
    const end = knownTrap === undefined ? -1 : callers.indexOf(knownTrap);
    if (end < 0) return callers.slice(0, depthMax);
    const entered =
      end === 0 ? returns.trueReturnAddress(start.sp, callers[0] as Address) : undefined;
    const known =
      entered === undefined || entered === knownTrap ? callers.slice(0, end) : [entered];
    return known.slice(0, depthMax);
  }

  private walk(start: StackRegisters): readonly Address[] {
    const found = this.stack.walk(start);
    if (found.every((pc) => this.stack.knows(pc))) return found;
    return this.lookAtModules().length === 0 ? found : this.stack.walk(start);
  }
}

function describe({ kernel, ram, isKnown }: FoundGuest): StubView["info"] {
  return {
    banner: kernel.banner,
    buildId: kernel.buildId,
    memory: ram.name,
    symbolCount: kernel.symbols.count,
    typeCount: kernel.types?.count ?? 0,
    codeStart: kernel.code.start,
    codeSizeBytes: kernel.code.sizeBytes,
    isKnown,
    file: undefined,
    slide: undefined,
  };
}
