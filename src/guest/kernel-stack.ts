/**
 * Walks the kernel's stack from a stopped vCPU's registers. On arm64 by the frame pointers that its
 * kernels always keep, on x86-64 by ORC. The walk ends where user mode begins, where a task's stack
 * does, or where memory does not look like a stack any more.
 *
 *   arm64   frame  caller's frame[8]  return address[8]
 *   x86-64  registers of an interrupt (pt_regs)  ... bp at 32 ... rip at 128  cs at 136 ... rsp at 152
 *
 * Facts: AAPCS64, "The Frame Pointer"; Linux documentation, "ORC unwinder"; x86-64 `struct
 * pt_regs`.
 */

import type { Address } from "../base/address.ts";
import { addOffset, signedDelta, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import {
  findKernelSymbol,
  getKernelSymbol,
  type KernelSymbols,
} from "../symbols/kernel-symbols.ts";
import {
  decodeOrcEntry,
  findOrcLayout,
  ORC_ADDRESS_BYTES,
  ORC_ENTRY_BYTES,
  type OrcBase,
  type OrcEntry,
  type OrcLayout,
} from "../symbols/orc.ts";
import { findOffset } from "../symbols/type-table.ts";
import type { GuestKernel } from "./kernel.ts";
import { tryReadBytes, tryReadU64, type VirtualMemory, viewOf } from "./memory.ts";
import type { KernelModule } from "./modules.ts";
import type { Task } from "./tasks.ts";

/** What a walk starts from. */
export interface StackRegisters {
  readonly pc: Address;
  readonly sp: Address;
  /** rbp, or x29. */
  readonly framePointer: Address;
  /** x30; undefined on x86-64. */
  readonly link: Address | undefined;
  /** Others that a frame may be found by: rdx, rdi, r10, r13. */
  readonly others: Readonly<Partial<Record<OrcBase, Address>>>;
}

const PT_REGS_BP = 32;
const PT_REGS_IP = 128;
const PT_REGS_CS = 136;
const PT_REGS_SP = 152;

/** A function is looked at for what it has done to the stack so far, from its first instruction. */
const FUNCTION_BYTES_MAX = 0x4000;
/** Between restoring the frame and returning there are a few instructions. */
const EPILOGUE_INSTRUCTIONS_MAX = 4;

/**
 * A module, with the symbols that say where its functions begin: they are asked for only where a
 * walk needs them.
 */
export interface NamedModule {
  readonly module: KernelModule;
  readonly symbols: KernelSymbols;
}

/** A module's code, whose tables are found when a walk first comes through it. */
class ModuleCode {
  readonly module: KernelModule;
  readonly #named: NamedModule;
  readonly #kernel: GuestKernel;
  #orc: { readonly tables: OrcTables | undefined } | undefined;

  constructor(kernel: GuestKernel, named: NamedModule) {
    this.module = named.module;
    this.#named = named;
    this.#kernel = kernel;
  }

  get symbols(): KernelSymbols {
    return this.#named.symbols;
  }

  get orc(): OrcTables | undefined {
    this.#orc ??= { tables: findModuleOrc(this.#kernel, this.module) };
    return this.#orc.tables;
  }
}

export class KernelStack {
  readonly #kernel: GuestKernel;
  /** The kernel's own. */
  readonly #orc: OrcTables | undefined;
  #modules: readonly ModuleCode[] = [];

  constructor(kernel: GuestKernel) {
    this.#kernel = kernel;
    this.#orc = kernel.arch === "x86_64" ? findKernelOrc(kernel) : undefined;
  }

  /** Say which modules there are: all of them, in place of those said before. */
  useModules(modules: readonly NamedModule[]): void {
    this.#modules = modules.map((named) => new ModuleCode(this.#kernel, named));
  }

  /** Whether it is known what the code there is: the kernel's, or that of a module. */
  knows(pc: Address): boolean {
    const { start, sizeBytes } = this.#kernel.code;
    const isKernels = pc >= start && pc < addOffset(start, sizeBytes);
    return isKernels || this.#moduleOf(pc) !== undefined;
  }

  /** False for an x86-64 kernel without ORC: a walk gives the pc alone. */
  get canWalk(): boolean {
    return this.#kernel.arch === "arm64" || this.#orc !== undefined;
  }

  /** The pc and the return addresses, the innermost first. */
  walk(registers: StackRegisters): readonly Address[] {
    if (this.#kernel.arch === "arm64") return this.#walkFrames(registers);
    return this.#walkOrc(registers);
  }

  /**
   * What a task that does not run goes on from, which switched away with these; undefined where the
   * kernel's types do not say.
   */
  findSleeping(task: Task): StackRegisters | undefined {
    const { types, memory, arch } = this.#kernel;
    if (types === undefined) return undefined;
    const read = (address: Address, path: string): Address | undefined => {
      const offset = findOffset(types, path);
      const value =
        offset === undefined ? undefined : tryReadU64(memory, addOffset(address, offset));
      return value === undefined ? undefined : toAddress(value);
    };
    const isArm64 = arch === "arm64";
    const context = "task_struct.thread.cpu_context";
    const sp = read(task.address, isArm64 ? `${context}.sp` : "task_struct.thread.sp");
    if (sp === undefined) return undefined;
    const framePointer = isArm64
      ? read(task.address, `${context}.fp`)
      : read(sp, "inactive_task_frame.bp");
    const pc = isArm64
      ? read(task.address, `${context}.pc`)
      : read(sp, "inactive_task_frame.ret_addr");
    const frameBytes = isArm64 ? 0 : (findOffset(types, "inactive_task_frame.ret_addr") ?? 0) + 8;
    if (framePointer === undefined || pc === undefined) return undefined;
    const others = {};
    return { pc, sp: addOffset(sp, frameBytes), framePointer, link: undefined, others };
  }

  #walkFrames(registers: StackRegisters): readonly Address[] {
    const { memory } = this.#kernel;
    const pcs: Address[] = [registers.pc];
    if (registers.link !== undefined && !this.#hasFrame(registers.pc)) {
      pcs.push(this.#plain(registers.link));
    }
    let frame = registers.framePointer;
    const seen = new Set<Address>();
    while (pcs.length < limits.stackDepthMax && isKernel(frame) && !seen.has(frame)) {
      seen.add(frame);
      const bytes = frame % 8n === 0n ? tryReadBytes(memory, frame, 16) : undefined;
      if (bytes === undefined) break;
      const view = viewOf(bytes);
      const link = this.#plain(toAddress(view.getBigUint64(8, true)));
      frame = toAddress(view.getBigUint64(0, true));
      // The outermost frame is all zeros.
      if (!isKernel(link)) break;
      pcs.push(link);
    }
    return pcs;
  }

  /** Whether the frame of the function that pc is in is on the stack, and x29 leads to it. */
  #hasFrame(pc: Address): boolean {
    const start = findFunctionStart(this.#moduleOf(pc)?.symbols ?? this.#kernel.symbols, pc);
    if (start === undefined) return true;
    const sizeBytes = Number(pc - start);
    const bytes =
      sizeBytes > FUNCTION_BYTES_MAX
        ? undefined
        : tryReadBytes(this.#kernel.memory, start, sizeBytes);
    if (bytes === undefined) return true;
    const view = viewOf(bytes);
    let hasFrame = false;
    for (let at = 0; at + 4 <= sizeBytes; at += 4) {
      const word = view.getUint32(at, true);
      // add x29, sp, #imm, which mov x29, sp is one of.
      if ((word & 0xffc0_03ff) >>> 0 === 0x9100_03fd) hasFrame = true;
      // ldp x29, x30, [sp ...], and no branch since: it is about to return.
      const isRestored = (word & 0xfe40_7fff) >>> 0 === 0xa840_7bfd;
      if (isRestored && at >= sizeBytes - EPILOGUE_INSTRUCTIONS_MAX * 4) return false;
    }
    return hasFrame;
  }

  #moduleOf(pc: Address): ModuleCode | undefined {
    return this.#modules.find(
      ({ module }) => pc >= module.base && pc < addOffset(module.base, module.sizeBytes),
    );
  }

  /** Without the signature that pointer authentication puts into the upper bits. */
  #plain(address: Address): Address {
    const { addressBits } = this.#kernel.tables.format;
    if ((address >> 55n) % 2n === 0n) return address;
    return toAddress(address | ((1n << 64n) - (1n << BigInt(addressBits))));
  }

  #walkOrc(registers: StackRegisters): readonly Address[] {
    const pcs: Address[] = [];
    let state = registers;
    let isCaller = false;
    const seen = new Set<Address>();
    while (pcs.length < limits.stackDepthMax) {
      pcs.push(state.pc);
      // A return address may lie behind the last instruction of its function.
      const pc = addOffset(state.pc, isCaller ? -1 : 0);
      const entry = (this.#moduleOf(pc)?.orc ?? this.#orc)?.find(pc);
      if (entry === undefined) break;
      const next = this.#stepOrc(state, entry);
      isCaller = entry.type === "call";
      // Callers may lie on another stack, which may be anywhere, but never in a circle.
      if (next === undefined || seen.has(next.sp)) break;
      seen.add(next.sp);
      state = next;
    }
    return pcs;
  }

  /** The caller's registers; undefined at the end of the stack, or where it cannot be read. */
  #stepOrc(state: StackRegisters, entry: OrcEntry): StackRegisters | undefined {
    const { memory } = this.#kernel;
    const sp = this.#callerSp(state, entry);
    if (sp === undefined) return undefined;
    switch (entry.type) {
      case "call": {
        const pc = tryReadU64(memory, addOffset(sp, -8));
        const framePointer = this.#callerBp(state, entry, sp);
        if (pc === undefined || framePointer === undefined || !isKernel(pc)) return undefined;
        return { pc: toAddress(pc), sp, framePointer, link: undefined, others: {} };
      }
      case "registers": {
        const bytes = tryReadBytes(memory, sp, PT_REGS_SP + 8);
        return bytes && readInterrupted(viewOf(bytes), PT_REGS_BP);
      }
      case "partialRegisters": {
        const bytes = tryReadBytes(memory, addOffset(sp, -PT_REGS_IP), PT_REGS_SP + 8);
        const before = bytes && readInterrupted(viewOf(bytes), undefined);
        return before && { ...before, framePointer: state.framePointer };
      }
      default:
        return undefined;
    }
  }

  #callerSp(state: StackRegisters, entry: OrcEntry): Address | undefined {
    const { spBase, spOffset } = entry;
    const { memory } = this.#kernel;
    const read = (address: Address): Address | undefined => {
      const value = tryReadU64(memory, address);
      return value === undefined ? undefined : toAddress(value);
    };
    switch (spBase) {
      case "sp":
        return addOffset(state.sp, spOffset);
      case "bp":
        return addOffset(state.framePointer, spOffset);
      case "spIndirect": {
        const value = read(state.sp);
        return value && addOffset(value, spOffset);
      }
      case "bpIndirect":
        return read(addOffset(state.framePointer, spOffset));
      default: {
        const value = state.others[spBase];
        return value && addOffset(value, spOffset);
      }
    }
  }

  #callerBp(state: StackRegisters, entry: OrcEntry, sp: Address): Address | undefined {
    const { bpBase, bpOffset } = entry;
    if (bpBase === "undefined") return state.framePointer;
    if (bpBase !== "previousSp" && bpBase !== "bp") return undefined;
    const base = bpBase === "bp" ? state.framePointer : sp;
    const value = tryReadU64(this.#kernel.memory, addOffset(base, bpOffset));
    return value === undefined ? undefined : toAddress(value);
  }
}

/** Code, and the tables that are for it. */
interface OrcPlace {
  readonly start: Address;
  readonly sizeBytes: number;
  readonly addresses: Address;
  readonly entries: Address;
  readonly count: number;
}

/** ORC's tables, left where they are: a lookup reads what a binary search looks at. */
class OrcTables {
  readonly #memory: VirtualMemory;
  readonly #layout: OrcLayout;
  readonly #place: OrcPlace;

  constructor(memory: VirtualMemory, layout: OrcLayout, place: OrcPlace) {
    this.#memory = memory;
    this.#layout = layout;
    this.#place = place;
  }

  find(pc: Address): OrcEntry | undefined {
    const { start, sizeBytes, entries, count } = this.#place;
    if (pc < start || pc >= addOffset(start, sizeBytes)) return undefined;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const address = this.#addressAt(middle);
      if (address === undefined) return undefined;
      if (address <= pc) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const at = addOffset(entries, (low - 1) * ORC_ENTRY_BYTES);
    const bytes = tryReadBytes(this.#memory, at, ORC_ENTRY_BYTES);
    return bytes && decodeOrcEntry(bytes, this.#layout);
  }

  #addressAt(index: number): Address | undefined {
    const at = addOffset(this.#place.addresses, index * ORC_ADDRESS_BYTES);
    const bytes = tryReadBytes(this.#memory, at, ORC_ADDRESS_BYTES);
    return bytes && addOffset(at, viewOf(bytes).getInt32(0, true));
  }
}

function findKernelOrc(kernel: GuestKernel): OrcTables | undefined {
  const at = (name: string): Address | undefined => findKernelSymbol(kernel.symbols, name)?.address;
  const layout = kernel.types && findOrcLayout(kernel.types);
  const addresses = at("__start_orc_unwind_ip");
  const end = at("__stop_orc_unwind_ip");
  const entries = at("__start_orc_unwind");
  if (layout === undefined || addresses === undefined || end === undefined) return undefined;
  if (entries === undefined || end < addresses) return undefined;
  const count = Number(end - addresses) / ORC_ADDRESS_BYTES;
  return new OrcTables(kernel.memory, layout, { ...kernel.code, addresses, entries, count });
}

function findModuleOrc(kernel: GuestKernel, module: KernelModule): OrcTables | undefined {
  const { types, memory } = kernel;
  const layout = types && findOrcLayout(types);
  if (types === undefined || layout === undefined) return undefined;
  const read = (path: string): bigint | undefined => {
    const offset = findOffset(types, path);
    return offset === undefined ? undefined : tryReadU64(memory, addOffset(module.address, offset));
  };
  const addresses = read("module.arch.orc_unwind_ip");
  const entries = read("module.arch.orc_unwind");
  const count = read("module.arch.num_orcs");
  if (addresses === undefined || entries === undefined || count === undefined) return undefined;
  return new OrcTables(memory, layout, {
    start: module.base,
    sizeBytes: module.sizeBytes,
    addresses: toAddress(addresses),
    entries: toAddress(entries),
    // 32 bits, with others behind them.
    count: Number(BigInt.asUintN(32, count)),
  });
}

/** undefined when it was user mode that was interrupted. */
function readInterrupted(view: DataView, bpOffset: number | undefined): StackRegisters | undefined {
  if ((view.getUint8(PT_REGS_CS) & 3) !== 0) return undefined;
  const get = (offset: number): Address => toAddress(view.getBigUint64(offset, true));
  const framePointer = bpOffset === undefined ? toAddress(0) : get(bpOffset);
  return {
    pc: get(PT_REGS_IP),
    sp: get(PT_REGS_SP),
    framePointer,
    link: undefined,
    others: bpOffset === undefined ? {} : { r13: get(16), r10: get(56), dx: get(96), di: get(112) },
  };
}

function findFunctionStart(symbols: KernelSymbols, pc: Address): Address | undefined {
  const offset = Number(signedDelta(pc, symbols.base));
  let low = 0;
  let high = symbols.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((symbols.offsets[middle] as number) <= offset) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : getKernelSymbol(symbols, low - 1).address;
}

function isKernel(address: bigint): boolean {
  return address >> 63n === 1n;
}
