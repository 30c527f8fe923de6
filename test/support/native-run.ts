/**
 * Runs machine code in the test's own process, to hold what Trapline makes against the processor:
 * load all registers from a block, go to some code, store all registers when it gets to a landing
 * pad. No ptrace.
 *
 * One arena is 64 KiB of memory that can be written and run:
 *   0x0000 entry   0x0400 exit   0x0800 landing pads, 16 bytes each   0x1000 code   0x2000 slot
 *   0x4000 state (registers in and out)   0x8000 data, with the stack growing down from 0xe000
 * Encodings are written out by hand, so that a wrong decoder cannot agree with itself.
 */

import koffi from "koffi";
import {
  generalRegisterWords,
  REGISTER_COUNT,
  RFLAGS,
  RSP,
} from "../../src/arch/x86_64/registers.ts";

export const ARENA_SIZE_BYTES = 0x10000;
export const CODE_OFFSET = 0x1000;
export const SLOT_OFFSET = 0x2000;
export const DATA_OFFSET = 0x8000;
export const STACK_OFFSET = 0xe000;
const ENTRY_OFFSET = 0x0;
const EXIT_OFFSET = 0x400;
const PADS_OFFSET = 0x800;
const STATE_OFFSET = 0x4000;
const SAVED_RSP = STATE_OFFSET + 0x400;
const SCRATCH_RSP = STATE_OFFSET + 0x408;
const LANDING = STATE_OFFSET + 0x410;
const SCRATCH_TOP = STATE_OFFSET + 0x3f00;
const IN_REGISTERS = STATE_OFFSET;
const OUT_REGISTERS = STATE_OFFSET + 0x100;
const IN_XMM = STATE_OFFSET + 0x200;
const OUT_XMM = STATE_OFFSET + 0x300;
const PAD_COUNT = 16;
const XMM_COUNT = 8;

const PROT_READ_WRITE_EXEC = 7;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_32BIT = 0x40;

/**
 * What a run left: registers in register-file order (only general registers and rflags are filled).
 */
export interface NativeResult {
  /** Which landing pad was reached. */
  readonly landing: number;
  readonly registers: BigUint64Array;
  readonly xmm: Uint8Array;
  /** The data part of the arena, stack included. */
  readonly data: Uint8Array;
}

/** Whether machine code of x86-64 can be run here at all. */
export const canRunNatively: boolean = process.arch === "x64" && process.platform === "linux";

/** Memory to run code in. */
export class NativeArena {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly #libc: ReturnType<typeof koffi.load>;
  readonly #proto: ReturnType<typeof koffi.proto>;

  constructor(options: { readonly hint: bigint; readonly isLow: boolean }) {
    this.#libc = koffi.load("libc.so.6");
    const mmap = this.#libc.func("mmap", "intptr_t", [
      "intptr_t",
      "size_t",
      "int",
      "int",
      "int",
      "intptr_t",
    ]);
    const flags = MAP_PRIVATE_ANONYMOUS | (options.isLow ? MAP_32BIT : 0);
    this.address = BigInt(mmap(options.hint, ARENA_SIZE_BYTES, PROT_READ_WRITE_EXEC, flags, -1, 0));
    if (this.address < 0n) throw new Error("cannot map memory to run code in");
    this.bytes = new Uint8Array(koffi.view(this.address, ARENA_SIZE_BYTES));
    this.#proto = koffi.proto("void ()");
    this.#writeStubs();
  }

  [Symbol.dispose](): void {
    const munmap = this.#libc.func("munmap", "int", ["intptr_t", "size_t"]);
    munmap(this.address, ARENA_SIZE_BYTES);
  }

  /** Absolute address of something in the arena. */
  at(offset: number): bigint {
    return this.address + BigInt(offset);
  }

  /** Offset of a landing pad. */
  padOffset(pad: number): number {
    return PADS_OFFSET + pad * 16;
  }

  /** Put code into the arena. */
  write(offset: number, code: Uint8Array): void {
    this.bytes.set(code, offset);
  }

  /** Put a `jmp rel32` to a landing pad into the arena. */
  writeJumpToPad(offset: number, pad: number): void {
    this.write(offset, Uint8Array.of(0xe9, ...int32(this.padOffset(pad) - (offset + 5))));
  }

  /** Load the registers, go to start (absolute), and come back by a landing pad.
   *  @param registers a register file, of which general registers and rflags count. */
  run(start: bigint, registers: BigUint64Array, xmm: Uint8Array): NativeResult {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    generalRegisterWords.forEach((word, number) => {
      view.setBigUint64(IN_REGISTERS + number * 8, registers[word] as bigint, true);
    });
    view.setBigUint64(IN_REGISTERS + 128, registers[RFLAGS] as bigint, true);
    this.write(IN_XMM, xmm);
    view.setInt32(LANDING, -1, true);
    this.#writeEntry(start);
    koffi.call(this.at(ENTRY_OFFSET), this.#proto);
    const after = new BigUint64Array(REGISTER_COUNT);
    generalRegisterWords.forEach((word, number) => {
      after[word] = view.getBigUint64(OUT_REGISTERS + number * 8, true);
    });
    after[RFLAGS] = view.getBigUint64(OUT_REGISTERS + 128, true);
    return {
      landing: view.getInt32(LANDING, true),
      registers: after,
      xmm: this.bytes.slice(OUT_XMM, OUT_XMM + XMM_COUNT * 16),
      data: this.bytes.slice(DATA_OFFSET, ARENA_SIZE_BYTES),
    };
  }

  #writeEntry(start: bigint): void {
    const code = new Assembly(this, ENTRY_OFFSET);
    code.put(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57); // push rbx rbp r12-r15
    code.putRelative([0x48, 0x89, 0x25], SAVED_RSP);
    for (let xmm = 0; xmm < XMM_COUNT; xmm++) {
      code.putRelative([0x0f, 0x10, 0x05 | (xmm << 3)], IN_XMM + xmm * 16); // movups xmm,[rip+d]
    }
    code.putRelative([0x48, 0x8b, 0x25], SCRATCH_RSP); // mov rsp,[rip+d]
    code.putRelative([0xff, 0x35], IN_REGISTERS + 128); // push [rip+d]
    code.put(0x9d); // popfq
    for (let number = 0; number < 16; number++) {
      const rex = 0x48 | ((number >> 3) << 2);
      code.putRelative([rex, 0x8b, 0x05 | ((number & 7) << 3)], IN_REGISTERS + number * 8);
    }
    // ff 25 00000000 [address64]: the code may be in another arena.
    code.put(0xff, 0x25, 0, 0, 0, 0, ...uint64(start));
  }

  #writeStubs(): void {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    view.setBigUint64(SCRATCH_RSP, this.at(SCRATCH_TOP), true);
    for (let pad = 0; pad < PAD_COUNT; pad++) {
      const code = new Assembly(this, this.padOffset(pad));
      // mov dword [rip+d],imm32: the distance counts from the end of the instruction, 4 bytes on.
      code.put(0xc7, 0x05, ...int32(LANDING - (code.offset + 10)), ...int32(pad));
      code.put(0xe9, ...int32(EXIT_OFFSET - (code.offset + 5)));
    }
    const code = new Assembly(this, EXIT_OFFSET);
    for (let number = 0; number < 16; number++) {
      const rex = 0x48 | ((number >> 3) << 2);
      code.putRelative([rex, 0x89, 0x05 | ((number & 7) << 3)], OUT_REGISTERS + number * 8);
    }
    code.putRelative([0x48, 0x8b, 0x25], SCRATCH_RSP);
    code.put(0x9c); // pushfq
    code.putRelative([0x8f, 0x05], OUT_REGISTERS + 128); // pop [rip+d]
    for (let xmm = 0; xmm < XMM_COUNT; xmm++) {
      code.putRelative([0x0f, 0x11, 0x05 | (xmm << 3)], OUT_XMM + xmm * 16);
    }
    code.put(0xfc); // cld, as C code expects
    code.putRelative([0x48, 0x8b, 0x25], SAVED_RSP);
    code.put(0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3); // pop ...; ret
  }
}

/** Registers that code under test can run with: the stack pointer in the arena, no trap flag. */
export function safeRegisters(arena: NativeArena, random: () => bigint): BigUint64Array {
  const registers = new BigUint64Array(REGISTER_COUNT);
  for (const word of generalRegisterWords) registers[word] = random();
  registers[RSP] = arena.at(STACK_OFFSET);
  //  [11] OF  [10] DF  [7] SF  [6] ZF  [4] AF  [2] PF  [0] CF; bit 1 is always set, bit 9 is IF
  registers[RFLAGS] = (random() & 0x8d5n) | 0x202n;
  return registers;
}

/** A seeded generator of 64-bit values (xorshift64*). */
export function makeRandom(seed: bigint): () => bigint {
  let state = BigInt.asUintN(64, seed * 0x9e3779b97f4a7c15n) || 1n;
  return () => {
    state ^= state >> 12n;
    state ^= BigInt.asUintN(64, state << 25n);
    state ^= state >> 27n;
    return BigInt.asUintN(64, state * 0x2545f4914f6cdd1dn);
  };
}

/** Appends code to an arena. */
class Assembly {
  readonly #arena: NativeArena;
  offset: number;

  constructor(arena: NativeArena, offset: number) {
    this.#arena = arena;
    this.offset = offset;
  }

  put(...code: number[]): void {
    this.#arena.bytes.set(code, this.offset);
    this.offset += code.length;
  }

  /** An opcode followed by the distance to a place in the arena. */
  putRelative(opcode: readonly number[], target: number): void {
    const end = this.offset + opcode.length + 4;
    this.put(...opcode, ...int32(target - end));
  }
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
