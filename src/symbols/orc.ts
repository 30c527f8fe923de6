/**
 * Reads ORC, the tables by which x86-64 kernels unwind their stacks: for each address of code,
 * where the caller's stack begins and where its frame pointer was saved. Which bits mean what has
 * changed (6.3, 6.4); the kernel's own types say how they lie.
 *
 *   orc_unwind_ip  i32 each: an address from where it stands, sorted        orc_unwind  the entries, one for each
 *   entry  sp_offset[2]  bp_offset[2]  bits[2]: sp_reg  bp_reg  type ...
 *
 * Facts: Linux documentation, "ORC unwinder"; `struct orc_entry` as BTF describes it.
 */

import { findMember, type TypeTable } from "./type-table.ts";

/** What a sum starts from. */
export type OrcBase =
  | "undefined"
  | "previousSp"
  | "dx"
  | "di"
  | "bp"
  | "sp"
  | "r10"
  | "r13"
  | "bpIndirect"
  | "spIndirect";

/** By number. */
const BASES: readonly OrcBase[] = [
  "undefined",
  "previousSp",
  "dx",
  "di",
  "bp",
  "sp",
  "r10",
  "r13",
  "bpIndirect",
  "spIndirect",
];

/** `call`: a return address lies below the caller's stack; `registers`: all of an interrupt's. */
export type OrcType = "undefined" | "end" | "call" | "registers" | "partialRegisters";

const TYPES_BEFORE_6_4: readonly OrcType[] = ["call", "registers", "partialRegisters"];
const TYPES: readonly OrcType[] = ["undefined", "end", "call", "registers", "partialRegisters"];

export interface OrcEntry {
  readonly type: OrcType;
  readonly spBase: OrcBase;
  readonly spOffset: number;
  readonly bpBase: OrcBase;
  readonly bpOffset: number;
}

/** Where the bits of an entry lie. */
export interface OrcLayout {
  readonly spReg: number;
  readonly bpReg: number;
  readonly type: number;
  readonly typeBits: number;
  /** Where a bit of its own says that the stack ends there. */
  readonly end: number | undefined;
}

export const ORC_ENTRY_BYTES = 6;
export const ORC_ADDRESS_BYTES = 4;

/** undefined when the types do not describe ORC as it is known here. */
export function findOrcLayout(types: TypeTable): OrcLayout | undefined {
  const get = (name: string, sizeBits: number): number | undefined => {
    const place = findMember(types, `orc_entry.${name}`);
    return place?.bitFieldBits === sizeBits ? place.offsetBits : undefined;
  };
  const spReg = get("sp_reg", 4);
  const bpReg = get("bp_reg", 4);
  const narrow = get("type", 2);
  const type = narrow ?? get("type", 3);
  if (spReg === undefined || bpReg === undefined || type === undefined) return undefined;
  const typeBits = narrow === undefined ? 3 : 2;
  return { spReg, bpReg, type, typeBits, end: get("end", 1) };
}

/** One entry, of ORC_ENTRY_BYTES. */
export function decodeOrcEntry(bytes: Uint8Array, layout: OrcLayout): OrcEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = (offsetBits: number, sizeBits: number): number =>
    (view.getUint16(4, true) >>> (offsetBits - 32)) & (2 ** sizeBits - 1);
  const spBase = BASES[field(layout.spReg, 4)] ?? "undefined";
  const number = field(layout.type, layout.typeBits);
  const isEnd = layout.end !== undefined && field(layout.end, 1) === 1;
  const old = spBase === "undefined" ? "undefined" : TYPES_BEFORE_6_4[number];
  const type = layout.typeBits === 2 ? (isEnd ? "end" : old) : TYPES[number];
  return {
    type: type ?? "undefined",
    spBase,
    spOffset: view.getInt16(0, true),
    bpBase: BASES[field(layout.bpReg, 4)] ?? "undefined",
    bpOffset: view.getInt16(2, true),
  };
}
