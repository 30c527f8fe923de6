/**
 * The contract of a CPU: what the engine and the machines need to know of it, as a value that is
 * handed around. An Arch knows no process: bytes and registers in, bytes and registers out.
 * Deciding (plan) and doing (relocate, emulate, afterStep) are different functions in different
 * files.
 */

import type { Address } from "../base/address.ts";

/** How a displaced instruction is executed. */
export type Strategy = "boost" | "emulate" | "step";

/** Why an instruction cannot be probed. Closed: each has a test vector. */
export type RefusalReason =
  | "not-executable" // the address is not in executable memory
  | "not-boundary" // the address lies inside another instruction of its function
  | "undecodable" // the bytes are no instruction
  | "text-changed" // the code was replaced while its probe was disabled
  | "not-entry" // a jprobe's address is not where a function begins
  | "own-code" // inside code that Trapline put into the target
  | "foreign-breakpoint" // another debugger's or the kernel's probe is already there
  | "out-of-reach" // a pc-relative operand cannot be reached from any slot we can get
  | "no-slot" // the target gave no executable memory for a slot
  | "shadow-stack" // what it pushes would be missing on the program's shadow stack
  | "exclusive" // a load-exclusive, its store, or between them: a trap makes the store fail
  | "shadows-next" // holds off the trap of the next instruction (mov ss, pop ss)
  | "unsupported"; // no strategy executes it exactly; the detail says why

/** One decoded instruction. `handle` is the arch's own record, opaque to others. */
export interface Instruction {
  readonly address: Address;
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  /** Text in the field's usual syntax, e.g. `mov rax,[rdi+8]`. */
  readonly text: string;
  readonly handle: unknown;
}

/** What the plan may depend on besides the instruction. */
export interface PlanContext {
  /** Only this strategy, or a refusal that says why it cannot serve. */
  readonly force: Strategy | undefined;
  /** A handler wants to see the registers after the instruction. */
  readonly wantsPost: boolean;
  /**
   * The program runs with a shadow stack, which only the processor's own calls and returns change.
   */
  readonly shadowStack: boolean;
  /**
   * Code around the instruction, as far as Arch.surroundingsSizeBytes on either side and no further
   * than its function; undefined where none is asked for.
   */
  readonly surroundings: CodeWindow | undefined;
}

/** Code as the program has it, without breakpoints of ours. */
export interface CodeWindow {
  readonly start: Address;
  readonly bytes: Uint8Array;
}

/** How an instruction will be executed when it is probed, or why it will not be. */
export type Plan =
  | {
      readonly kind: "execute";
      readonly strategy: Strategy;
      /** Every strategy that would execute this instruction exactly, the preferred one first. */
      readonly allowed: readonly Strategy[];
      /**
       * Why no faster strategy, e.g. "a call pushes its own return address". Undefined at the
       * fastest.
       */
      readonly why: string | undefined;
      /** True when a single execution can be cut and taken up again (rep strings, gathers). */
      readonly interruptible: boolean;
      /** True when the displaced copy has to be within Arch.slotReachBytes of the site. */
      readonly needsNearSlot: boolean;
    }
  | { readonly kind: "refuse"; readonly reason: RefusalReason; readonly detail: string };

/** What follows the displaced copy in its slot: a jump back, or a trap and then a jump back. */
export type SlotTail = "jump-back" | "trap";

/**
 * A slot's bytes. The copy is first and has the size of the original, so slot offsets 0 and
 * copySizeBytes stand for the site and for the instruction after it.
 */
export type Relocation =
  | { readonly kind: "relocated"; readonly bytes: Uint8Array; readonly copySizeBytes: number }
  | { readonly kind: "out-of-reach" };

/**
 * A thread's floating-point, vector and control registers: in the format of the CPU's own
 * instructions, or in that of debuggers where it has none.
 */
export interface ExtendedState {
  /** Empty when there are none to be had. */
  saveExtended(): Uint8Array;
  restoreExtended(state: Uint8Array): void;
}

/** Memory as an emulator needs it; addresses are absolute. */
export interface EmulationMemory {
  /** Fill target whole, or change nothing and give false. */
  read(address: Address, target: Uint8Array): boolean;
  /** Write all, or nothing and give false. */
  write(address: Address, bytes: Uint8Array): boolean;
}

/**
 * What an emulation did: `fault` leaves registers and memory untouched, so that the real
 * instruction can fault.
 */
export type Emulation = "done" | "fault";

/** Where an instruction may go on, as far as calls and returns are concerned. */
export type Flow =
  | { readonly kind: "next" }
  /** Undefined where the target is in a register or in memory. */
  | { readonly kind: "call"; readonly target: Address | undefined }
  /** Conditional or not. */
  | { readonly kind: "jump"; readonly target: Address | undefined }
  /** popBytes: what it takes off the stack besides the return address. */
  | { readonly kind: "return"; readonly popBytes: number }
  /** Out of this code by its nature: a system call, an interrupt, a return from one. */
  | { readonly kind: "away" };

/** Names and places of the registers in a register file of 64-bit words. */
export interface RegisterLayout {
  /** Words in a register file. */
  readonly count: number;
  /** Full-width names in order of their word, e.g. index 10 is `rax`. */
  readonly names: readonly string[];
  readonly pc: number;
  readonly sp: number;
  readonly flags: number;
  /** Points at the thread's own data; undefined when the register file does not have it. */
  readonly threadPointer: number | undefined;
  /** Words by the number that DWARF gives a register; the last is pc. */
  readonly dwarf: readonly number[];
  /** Number in DWARF of the stack pointer, and of the frame pointer where code keeps one. */
  readonly dwarfStack: number;
  readonly dwarfFrame: number;
  /** Bits of the flags that mean nothing to the program: the CPU sets them as it goes. */
  readonly ownFlags: bigint;
  /**
   * Word and part of a register by any of its names (`rax`, `eax`, `ax`, `al`, `ah`, `rip`, `pc`,
   * ...).
   */
  find(name: string): RegisterPart | undefined;
}

export interface RegisterPart {
  readonly index: number;
  readonly shiftBits: number;
  readonly widthBits: number;
  /** A write to this part clears the rest of the register (32-bit parts on x86-64). */
  readonly zeroExtends: boolean;
}

/** How functions pass integers and pointers (System V on x86-64, AAPCS64 on arm64). */
export interface CallingConvention {
  /** Register words of the first integer arguments, in order. */
  readonly argumentRegisters: readonly number[];
  /** Offset in bytes from the stack pointer at function entry to the first stack argument. */
  readonly stackArgumentOffsetBytes: number;
  readonly returnRegister: number;
  /** Where the return address is at function entry: on top of the stack, or in a register. */
  readonly returnAddress:
    | { readonly kind: "stack" }
    | { readonly kind: "register"; readonly index: number };
  /** Bytes below the stack pointer that belong to the function. */
  readonly redZoneBytes: number;
  readonly stackAlignmentBytes: number;
}

/** A parameter or return value as far as passing it goes. */
export type PassedType =
  | { readonly kind: "integer"; readonly sizeBytes: 1 | 2 | 4 | 8 | 16 }
  /** 16 bytes: the extended format of the x87 on x86-64. */
  | { readonly kind: "float"; readonly sizeBytes: 4 | 8 | 16 }
  /** A structure or union by value, with the scalars in it; they may overlap. */
  | {
      readonly kind: "aggregate";
      readonly sizeBytes: number;
      readonly alignBytes: number;
      readonly scalars: readonly PassedScalar[];
    };

export interface PassedScalar {
  readonly offsetBytes: number;
  readonly type: Exclude<PassedType, { kind: "aggregate" }>;
}

/** Where an argument is when its function is entered. */
export type ArgumentPlace =
  | DirectPlace
  /** A pointer to it. */
  | { readonly kind: "pointed"; readonly pointer: DirectPlace };

/** Where a value itself is. */
export type DirectPlace =
  /** As many bytes of the value each as the word says, in order. */
  | { readonly kind: "registers"; readonly words: readonly ArgumentWord[] }
  /** Offset from the stack pointer; in one piece. */
  | { readonly kind: "stack"; readonly offsetBytes: number };

/** A word of the register file, or the low bytes of a vector register. */
export interface ArgumentWord {
  readonly file: "general" | "vector";
  readonly index: number;
  /** Bytes of the value that are in it; 16 only in a vector register. */
  readonly sizeBytes: 4 | 8 | 16;
}

/** Gives the places of a call's arguments, one after the other. */
export interface ArgumentPlacer {
  next(type: PassedType): ArgumentPlace;
  /** Bytes on the stack, above the return address, that arguments have taken so far. */
  readonly stackSizeBytes: number;
}

/** Floating-point and vector registers in what Thread.saveExtended() gives. */
export interface ExtendedLayout {
  /** Vector registers of the first floating-point arguments, in order. */
  readonly argumentRegisters: readonly string[];
  readonly returnRegister: string;
  /** Size in bytes of a register by its name (`xmm0`, `st0`); undefined when there is none such. */
  sizeOf(name: string): number | undefined;
  /** A copy of a register; undefined when the image does not have it. */
  read(image: Uint8Array, name: string): Uint8Array | undefined;
  /** Change the low bytes of a register in the image; false where that is not possible. */
  write(image: Uint8Array, name: string, bytes: Uint8Array): boolean;
}

/** Instructions that trap, as bytes of which those bits count that are set in the mask. */
export interface BreakpointPattern {
  readonly bytes: Uint8Array;
  readonly mask: Uint8Array;
  /** pc reported after the trap, minus the instruction's address. */
  readonly pcBias: number;
}

export interface Arch {
  readonly name: "x86_64" | "arm64";
  /** What a breakpoint writes over the first bytes of a site. */
  readonly breakpoint: Uint8Array;
  /** Other instructions that trap as the breakpoint does. */
  readonly otherBreakpoints: readonly BreakpointPattern[];
  /** pc reported after the breakpoint trap, minus the site's address. */
  readonly breakpointPcBias: number;
  readonly instructionSizeMaxBytes: number;
  /** Slots are this large and start on multiples of it. */
  readonly slotSizeBytes: number;
  /** Slots lie no further than this from their sites. */
  readonly slotReachBytes: number;
  /** How much code on either side of an instruction its plan depends on; 0 where on none. */
  readonly surroundingsSizeBytes: number;
  readonly registers: RegisterLayout;
  readonly convention: CallingConvention;
  readonly extended: ExtendedLayout;

  /** Decode the instruction at the start of bytes; undefined when they are none, or cut short. */
  decode(bytes: Uint8Array, address: Address): Instruction | undefined;
  /**
   * Addresses of instruction starts by linear decode of bytes from address; stops at the first
   * undecodable byte.
   */
  boundaries(bytes: Uint8Array, address: Address): Set<Address>;
  /** Where the instruction may go on. */
  flow(instruction: Instruction): Flow;
  /**
   * Whether executing it may raise an exception, for all that is known of it: it reaches memory
   * that may not be there, divides, or needs rights. The stack is taken to be there.
   */
  mayFault(instruction: Instruction): boolean;
  /** Decide how the instruction will be executed. */
  plan(instruction: Instruction, context: PlanContext): Plan;
  /**
   * The slot's bytes for a copy at slot. For strategy "step" the tail is a trap that is never meant
   * to be reached.
   */
  relocate(
    instruction: Instruction,
    slot: Address,
    options: { readonly strategy: Strategy; readonly tail: SlotTail },
  ): Relocation;
  /**
   * The bytes of a slot that executes the instruction with nobody to help, for a thread that meets
   * a breakpoint after we were killed. Undefined where none is known.
   */
  escape(instruction: Instruction, slot: Address): Relocation | undefined;
  /**
   * Execute the instruction on a register file whose pc is the site's address. Extended state is
   * read and written only for instructions that load it.
   */
  emulate(
    instruction: Instruction,
    registers: BigUint64Array,
    memory: EmulationMemory,
    extended: ExtendedState,
  ): Emulation;
  /**
   * Mend registers and memory after the copy at slot was single-stepped, so that they are as if the
   * original had run. `before` is the register file before the step with pc = slot.
   * Undefined when a write to the stack failed, which cannot happen after the instruction itself
   * wrote there.
   */
  afterStep(
    instruction: Instruction,
    slot: Address,
    before: BigUint64Array,
    after: BigUint64Array,
    memory: EmulationMemory,
  ): void;
  /**
   * As afterStep, for what the extended state tells of the slot. It is read only for instructions
   * that leave their address there.
   */
  mendExtended(instruction: Instruction, slot: Address, extended: ExtendedState): void;
  /**
   * Whether the program itself has asked for a trap behind this instruction (the trap flag, set by
   * a program that steps its own code), with these registers before it.
   */
  trapsByFlag(instruction: Instruction, before: BigUint64Array): boolean;
  /**
   * Mend registers after the copy faulted instead of ending its step: the instruction has not run,
   * and no flag of the step may be seen. Gives whether anything was changed.
   */
  afterFault(before: BigUint64Array, after: BigUint64Array): boolean;
  /**
   * Set registers for a call of the function at entry. Where the convention has the return address
   * on the stack, it is written at sp already. Any system call that the thread was stopped in is
   * not restarted by this.
   */
  prepareCall(
    registers: BigUint64Array,
    entry: Address,
    sp: Address,
    returnAddress: Address,
    args: readonly bigint[],
  ): void;
  /**
   * Start to place the arguments of a function that returns this, undefined for nothing: a large
   * structure is returned through a pointer, which is passed first.
   */
  placeArguments(returns: PassedType | undefined): ArgumentPlacer;
  /** Bytes of the system call instruction, to be found in the target for injected calls. */
  readonly syscallInstruction: Uint8Array;
  /** Words of a register file at that instruction. */
  readonly systemCallRegisters: {
    readonly number: number;
    readonly arguments: readonly number[];
  };
}
