/**
 * What a session keeps of a guest's kernel: its modules and names, its tasks and stacks, and how
 * memory is read at a stop.
 */

import type { Address } from "../../base/address.ts";
import type { Inspection, Target } from "../../engine/target.ts";
import type { CpuState } from "../../guest/cpu-state.ts";
import { findFreeCode } from "../../guest/free-code.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import { KernelStack, type StackRegisters } from "../../guest/kernel-stack.ts";
import { type Task, Tasks } from "../../guest/tasks.ts";
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
  private currentTask(thread: Thread): Task | undefined {
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
