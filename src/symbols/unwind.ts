/**
 * From a frame to its caller's, by the call frame instructions of .eh_frame (see eh-frame.ts for
 * its entries): where the caller's registers are saved, relative to the canonical frame address
 * (CFA), which is the stack pointer before the call. Registers have the numbers of DWARF.
 *
 *   [7:6] 1 advance by [5:0]   2 offset of register [5:0]   3 restore register [5:0]   0: [5:0] says
 *
 * Facts: DWARF 5, 6.4 (call frame information) and 2.5 (expressions); LSB Core for the
 * augmentations.
 */

import { ByteReader } from "../base/byte-reader.ts";
import { limits } from "../base/limits.ts";
import {
  BadEntry,
  type EhFrameArea,
  findEhFrame,
  readAugmentation,
  readEncoded,
} from "./eh-frame.ts";
import { type ElfFile, readExactly } from "./elf-file.ts";
import { type ExpressionMemory, evaluate } from "./unwind-expression.ts";

/** Where the caller's value of a register is. */
export type UnwindRule =
  | { readonly kind: "same" }
  /** It cannot be known. Of the return address: this is the last frame. */
  | { readonly kind: "undefined" }
  /** In memory at the CFA plus this. */
  | { readonly kind: "at-offset"; readonly offset: number }
  /** It is the CFA plus this. */
  | { readonly kind: "offset"; readonly offset: number }
  | { readonly kind: "register"; readonly register: number }
  /** In memory where the expression says. */
  | { readonly kind: "at-expression"; readonly bytes: Uint8Array }
  | { readonly kind: "expression"; readonly bytes: Uint8Array };

export type CfaRule =
  | { readonly kind: "register"; readonly register: number; readonly offset: number }
  | { readonly kind: "expression"; readonly bytes: Uint8Array };

/** What holds at one address. */
export interface UnwindRow {
  readonly cfa: CfaRule;
  readonly rules: ReadonlyMap<number, UnwindRule>;
  /** Number of the column that stands for the return address. */
  readonly returnRegister: number;
  /**
   * A frame that the kernel made for a signal: its caller was interrupted, and has called nothing.
   */
  readonly isSignalFrame: boolean;
}

/** The entries of one file. */
export interface UnwindTable {
  /**
   * @param entry where the entry starts in the section. @param address unrelocated, in its range.
   */
  findRow(entry: number, address: number): UnwindRow | undefined;
}

export const noUnwindTable: UnwindTable = { findRow: () => undefined };

/** @throws ToolError elf.malformed when the section is not there as the headers say. */
export function openUnwindTable(elf: ElfFile): UnwindTable {
  const area = findEhFrame(elf);
  if (area === undefined) return noUnwindTable;
  const bytes = readExactly(elf, area.fileOffset, area.sizeBytes);
  return {
    findRow(entry, address) {
      try {
        return new EntryReader(bytes, area).run(entry, address);
      } catch (error) {
        if (!(error instanceof BadEntry)) throw error;
        return undefined;
      }
    },
  };
}

/** Registers by their number in DWARF; undefined where nothing is known. */
export type FrameRegisters = readonly (bigint | undefined)[];

export interface Frame {
  readonly registers: FrameRegisters;
  readonly pc: bigint;
  readonly cfa: bigint;
}

/**
 * The frame of the caller; undefined when there is none, or it cannot be known.
 * @param stackRegister number of the stack pointer.
 */
export function unwindFrame(
  row: UnwindRow,
  registers: FrameRegisters,
  stackRegister: number,
  memory: ExpressionMemory,
): Frame | undefined {
  const cfa = findCfa(row.cfa, registers, memory);
  if (cfa === undefined) return undefined;
  const caller = [...registers];
  caller[stackRegister] = cfa;
  for (const [register, rule] of row.rules) {
    caller[register] = applyRule(rule, register, registers, cfa, memory);
  }
  const pc = row.rules.has(row.returnRegister) ? caller[row.returnRegister] : undefined;
  return pc === undefined || pc === 0n ? undefined : { registers: caller, pc, cfa };
}

function findCfa(
  rule: CfaRule,
  registers: FrameRegisters,
  memory: ExpressionMemory,
): bigint | undefined {
  if (rule.kind === "expression") return evaluate(rule.bytes, registers, memory, undefined);
  const base = registers[rule.register];
  return base === undefined ? undefined : BigInt.asUintN(64, base + BigInt(rule.offset));
}

function applyRule(
  rule: UnwindRule,
  register: number,
  registers: FrameRegisters,
  cfa: bigint,
  memory: ExpressionMemory,
): bigint | undefined {
  const read = (address: bigint | undefined): bigint | undefined =>
    address === undefined ? undefined : memory(BigInt.asUintN(64, address));
  switch (rule.kind) {
    case "same":
      return registers[register];
    case "undefined":
      return undefined;
    case "at-offset":
      return read(cfa + BigInt(rule.offset));
    case "offset":
      return BigInt.asUintN(64, cfa + BigInt(rule.offset));
    case "register":
      return registers[rule.register];
    case "at-expression":
      return read(evaluate(rule.bytes, registers, memory, cfa));
    case "expression":
      return evaluate(rule.bytes, registers, memory, cfa);
  }
}

interface Cie {
  readonly codeAlign: number;
  readonly dataAlign: number;
  readonly returnRegister: number;
  readonly encoding: number;
  readonly hasData: boolean;
  readonly isSignalFrame: boolean;
  readonly instructionsStart: number;
  readonly end: number;
}

interface State {
  cfa: CfaRule | undefined;
  rules: Map<number, UnwindRule>;
}

class EntryReader {
  private readonly reader: ByteReader;
  private readonly area: EhFrameArea;
  private address = 0;
  private operations = 0;
  private state: State = { cfa: undefined, rules: new Map() };
  private initial: State = this.state;
  private readonly remembered: State[] = [];

  constructor(bytes: Uint8Array, area: EhFrameArea) {
    this.reader = new ByteReader(bytes, (offset) => new BadEntry(`cut off at ${offset}`));
    this.area = area;
  }

  run(entry: number, address: number): UnwindRow | undefined {
    const { reader } = this;
    const end = this.enter(entry);
    const idAt = reader.offset;
    const cie = this.readCie(idAt - reader.readU32());
    reader.seek(idAt + 4);
    const start = readEncoded(reader, cie.encoding, this.area.address, undefined);
    readEncoded(reader, cie.encoding & 15, 0, undefined);
    if (start === undefined) return undefined;
    if (cie.hasData) reader.skip(reader.readUleb128());
    const instructions = reader.offset;
    this.address = start;
    this.execute(cie.instructionsStart, cie.end, cie, Number.POSITIVE_INFINITY);
    this.initial = copyState(this.state);
    this.execute(instructions, end, cie, address);
    const { cfa, rules } = this.state;
    if (cfa === undefined) return undefined;
    const { returnRegister, isSignalFrame } = cie;
    return { cfa, rules, returnRegister, isSignalFrame };
  }

  /** To an entry's id; gives the end of the entry. */
  private enter(entry: number): number {
    const { reader } = this;
    reader.seek(entry);
    let sizeBytes = reader.readU32();
    if (sizeBytes === 0xffff_ffff) sizeBytes = reader.readU64AsNumber();
    const end = reader.offset + sizeBytes;
    if (end > reader.sizeBytes) throw new BadEntry(`entry of ${sizeBytes} bytes at ${entry}`);
    return end;
  }

  private readCie(at: number): Cie {
    const { reader } = this;
    const end = this.enter(at);
    if (reader.readU32() !== 0) throw new BadEntry(`no CIE at ${at}`);
    const version = reader.readU8();
    const letters = readAugmentation(reader);
    const codeAlign = reader.readUleb128();
    const dataAlign = reader.readSleb128();
    const returnRegister = version === 1 ? reader.readU8() : reader.readUleb128();
    const hasData = letters.startsWith("z");
    if (!hasData && letters !== "") throw new BadEntry(`augmentation ${letters}`);
    let encoding = 0;
    let instructionsStart = reader.offset;
    if (hasData) {
      const dataBytes = reader.readUleb128();
      instructionsStart = reader.offset + dataBytes;
      for (const letter of letters.slice(1)) {
        if (letter === "R") encoding = reader.readU8();
        else if (letter === "L") reader.skip(1);
        else if (letter === "P") readEncoded(reader, reader.readU8(), 0, undefined);
        else if (letter !== "S" && letter !== "B") break;
      }
    }
    const isSignalFrame = letters.includes("S");
    return {
      ...{ codeAlign, dataAlign, returnRegister, encoding, hasData, isSignalFrame },
      ...{ instructionsStart, end },
    };
  }

  /** Up to the row that holds at `until`. */
  private execute(start: number, end: number, cie: Cie, until: number): void {
    const { reader } = this;
    reader.seek(start);
    while (reader.offset < end) {
      if (++this.operations > limits.unwindOperationCountMax)
        throw new BadEntry("unwindOperationCountMax is reached");
      const byte = reader.readU8();
      const low = byte & 0x3f;
      const advance = this.findAdvance(byte, cie);
      if (advance !== undefined) {
        this.address = advance;
        if (this.address > until) return;
      } else if (byte >= 0xc0) {
        this.restore(low);
      } else if (byte >= 0x80) {
        this.setOffset(low, reader.readUleb128() * cie.dataAlign);
      } else if (!this.executeCfa(low, cie) && !this.executeRule(low, cie)) {
        throw new BadEntry(`call frame instruction 0x${byte.toString(16)}`);
      }
    }
  }

  /** The new address, for instructions that advance it. */
  private findAdvance(byte: number, cie: Cie): number | undefined {
    const { reader } = this;
    if (byte >= 0x40 && byte < 0x80) return this.address + (byte & 0x3f) * cie.codeAlign;
    switch (byte) {
      case 0x01: // set_loc
        return readEncoded(reader, cie.encoding, this.area.address, undefined) ?? this.address;
      case 0x02: // advance_loc1
        return this.address + reader.readU8() * cie.codeAlign;
      case 0x03: // advance_loc2
        return this.address + reader.readU16() * cie.codeAlign;
      case 0x04: // advance_loc4
        return this.address + reader.readU32() * cie.codeAlign;
      default:
        return undefined;
    }
  }

  /** Instructions about the CFA, and about all rules at once. */
  private executeCfa(operation: number, cie: Cie): boolean {
    const { reader, state } = this;
    switch (operation) {
      case 0x00: // nop
        return true;
      case 0x0a: // remember_state
        this.remembered.push(copyState(state));
        return true;
      case 0x0b: {
        const back = this.remembered.pop();
        if (back === undefined) throw new BadEntry("restore_state without a state");
        this.state = back;
        return true;
      }
      case 0x0c: // def_cfa
        this.setCfa(reader.readUleb128(), reader.readUleb128());
        return true;
      case 0x0d: // def_cfa_register
        this.setCfa(reader.readUleb128(), this.cfaOffset);
        return true;
      case 0x0e: // def_cfa_offset
        this.setCfa(this.cfaRegister, reader.readUleb128());
        return true;
      case 0x0f: // def_cfa_expression
        state.cfa = { kind: "expression", bytes: this.readBlock() };
        return true;
      case 0x12: // def_cfa_sf
        this.setCfa(reader.readUleb128(), reader.readSleb128() * cie.dataAlign);
        return true;
      case 0x13: // def_cfa_offset_sf
        this.setCfa(this.cfaRegister, reader.readSleb128() * cie.dataAlign);
        return true;
      case 0x2e: // GNU_args_size
        reader.readUleb128();
        return true;
      default:
        return false;
    }
  }

  /** Instructions about one register. */
  private executeRule(operation: number, cie: Cie): boolean {
    const { reader } = this;
    const set = (register: number, rule: UnwindRule): true => {
      this.state.rules.set(register, rule);
      return true;
    };
    switch (operation) {
      case 0x05: // offset_extended
        return this.setOffset(reader.readUleb128(), reader.readUleb128() * cie.dataAlign);
      case 0x06: // restore_extended
        return this.restore(reader.readUleb128());
      case 0x07:
        return set(reader.readUleb128(), { kind: "undefined" });
      case 0x08:
        return set(reader.readUleb128(), { kind: "same" });
      case 0x09:
        return set(reader.readUleb128(), { kind: "register", register: reader.readUleb128() });
      case 0x10:
        return set(reader.readUleb128(), { kind: "at-expression", bytes: this.readBlock() });
      case 0x11: // offset_extended_sf
        return this.setOffset(reader.readUleb128(), reader.readSleb128() * cie.dataAlign);
      case 0x14: {
        const register = reader.readUleb128();
        return set(register, { kind: "offset", offset: reader.readUleb128() * cie.dataAlign });
      }
      case 0x15: {
        const register = reader.readUleb128();
        return set(register, { kind: "offset", offset: reader.readSleb128() * cie.dataAlign });
      }
      case 0x16:
        return set(reader.readUleb128(), { kind: "expression", bytes: this.readBlock() });
      case 0x2f: // GNU_negative_offset_extended
        return this.setOffset(reader.readUleb128(), -reader.readUleb128() * cie.dataAlign);
      default:
        return false;
    }
  }

  private get cfaRegister(): number {
    const { cfa } = this.state;
    if (cfa?.kind !== "register") throw new BadEntry("the CFA has no register yet");
    return cfa.register;
  }

  private get cfaOffset(): number {
    const { cfa } = this.state;
    return cfa?.kind === "register" ? cfa.offset : 0;
  }

  private setCfa(register: number, offset: number): void {
    this.state.cfa = { kind: "register", register, offset };
  }

  private setOffset(register: number, offset: number): true {
    this.state.rules.set(register, { kind: "at-offset", offset });
    return true;
  }

  private restore(register: number): true {
    const rule = this.initial.rules.get(register);
    if (rule === undefined) this.state.rules.delete(register);
    else this.state.rules.set(register, rule);
    return true;
  }

  private readBlock(): Uint8Array {
    return this.reader.readBytes(this.reader.readUleb128());
  }
}

function copyState({ cfa, rules }: State): State {
  return { cfa, rules: new Map(rules) };
}
