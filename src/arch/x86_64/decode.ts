/**
 * Bytes to instructions, by iced-x86. Its objects live in wasm memory that no collector sees, so
 * what is kept is copied into plain records and every decoder is freed. The instruction and the
 * formatter below are work space that carries nothing from one call to the next; they are made at
 * the first use.
 */

import {
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  Instruction as IcedInstruction,
} from "iced-x86";
import { type Address, addOffset } from "../../base/address.ts";
import type { Instruction } from "../arch.ts";
import { type Form, makeForm } from "./form.ts";

/** Longest instruction that the CPU accepts. */
export const INSTRUCTION_SIZE_MAX_BYTES = 15;

/** Decode the instruction at the start of bytes; undefined when they are none, or cut short. */
export function decode(bytes: Uint8Array, address: Address): Instruction | undefined {
  const insn = getInsn();
  const decoder = new Decoder(
    64,
    bytes.subarray(0, INSTRUCTION_SIZE_MAX_BYTES),
    DecoderOptions.None,
  );
  try {
    decoder.ip = address;
    decoder.decodeOut(insn);
    if (insn.isInvalid) return undefined;
    const own = new Uint8Array(bytes.subarray(0, insn.length));
    let displacementOffsetBytes = 0;
    if (insn.isIpRelMemoryOperand) {
      const offsets = decoder.getConstantOffsets(insn);
      displacementOffsetBytes = offsets.displacementOffset;
      offsets.free();
    }
    return {
      address,
      bytes: own,
      sizeBytes: own.length,
      // Few are ever shown, and the formatter is slow to make.
      get text() {
        return format(own, address);
      },
      handle: makeForm(insn, own, displacementOffsetBytes),
    };
  } finally {
    decoder.free();
  }
}

/** The text of an instruction that decode() has found. */
function format(bytes: Uint8Array, address: Address): string {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  try {
    decoder.ip = address;
    const insn = getInsn();
    decoder.decodeOut(insn);
    return getFormatter().format(insn);
  } finally {
    decoder.free();
  }
}

/** The form that decode() put into an instruction. */
export function formOf(instruction: Instruction): Form {
  return instruction.handle as Form;
}

/**
 * Addresses of instruction starts by linear decode of bytes from address; stops at the first
 * undecodable byte.
 */
export function boundaries(bytes: Uint8Array, address: Address): Set<Address> {
  const insn = getInsn();
  const starts = new Set<Address>();
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  try {
    let offset = 0;
    while (offset < bytes.length) {
      decoder.decodeOut(insn);
      if (insn.isInvalid) break;
      starts.add(addOffset(address, offset));
      offset = decoder.position;
    }
  } finally {
    decoder.free();
  }
  return starts;
}

let workSpace: IcedInstruction | undefined;

function getInsn(): IcedInstruction {
  workSpace ??= new IcedInstruction();
  return workSpace;
}

let formatter: Formatter | undefined;

function getFormatter(): Formatter {
  if (formatter === undefined) {
    formatter = new Formatter(FormatterSyntax.Intel);
    formatter.hexPrefix = "0x";
    formatter.hexSuffix = "";
    formatter.uppercaseHex = false;
    formatter.showBranchSize = false;
    formatter.branchLeadingZeros = false;
    formatter.ripRelativeAddresses = true;
  }
  return formatter;
}
