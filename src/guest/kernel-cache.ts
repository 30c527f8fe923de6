/**
 * Symbols and types of a kernel as bytes, for whoever keeps them between sessions: a kernel with
 * the same build-id has the same, but for where it lies. Over a slow line that saves the reading of
 * megabytes. Whoever keeps the bytes need not be trusted: what does not hold together is no kernel.
 *
 *   "trapkern" version[4] headerSize[4]   header, JSON: buildId, banner, code, count and sizes
 *   offsets f64[count]  nameOffsets u32[count]  types u8[count]  strings  BTF     each from a multiple of 8
 */

import { addOffset, signedDelta, toAddress } from "../base/address.ts";
import { BugError, ToolError } from "../base/errors.ts";
import { readBtf } from "../symbols/btf.ts";
import type { KernelSymbols } from "../symbols/kernel-symbols.ts";
import { decodeText, encodeText } from "../symbols/text.ts";
import { type GuestKernel, joinKernel, type KernelImage } from "./kernel.ts";
import { viewOf } from "./memory.ts";

const MAGIC = encodeText("trapkern");
const VERSION = 1;
const PREFIX_BYTES = 16;
const ALIGNMENT = 8;

interface Header {
  readonly buildId: string;
  readonly banner: string;
  /** From the code's start to the symbols' base, which moves with it. */
  readonly baseOffset: string;
  readonly base: string;
  readonly count: number;
  readonly stringsSizeBytes: number;
  /** 0 for none. */
  readonly typesSizeBytes: number;
}

/** undefined for a kernel without a build-id: nothing would tell it from others. */
export function encodeKernel(kernel: GuestKernel): Uint8Array | undefined {
  const { buildId, banner, symbols, types } = kernel;
  if (buildId === undefined) return undefined;
  const header: Header = {
    buildId,
    banner,
    baseOffset: String(signedDelta(symbols.base, kernel.code.start)),
    base: String(symbols.base),
    count: symbols.count,
    stringsSizeBytes: symbols.strings.length,
    typesSizeBytes: types?.bytes.length ?? 0,
  };
  const text = encodeText(JSON.stringify(header));
  const prefix = new Uint8Array(PREFIX_BYTES);
  prefix.set(MAGIC);
  viewOf(prefix).setUint32(8, VERSION, true);
  viewOf(prefix).setUint32(12, text.length, true);
  return join([
    prefix,
    text,
    bytesOf(symbols.offsets),
    bytesOf(symbols.nameOffsets),
    symbols.types,
    symbols.strings,
    types?.bytes ?? new Uint8Array(),
  ]);
}

/** The kernel of an image, by bytes that were kept; undefined when they are of another, or none. */
export function recallKernel(bytes: Uint8Array, image: KernelImage): GuestKernel | undefined {
  const header = readHeader(bytes);
  if (header === undefined || header.buildId !== image.buildId) return undefined;
  if (header.banner !== image.banner) return undefined;
  const parts = split(bytes, header);
  if (parts === undefined) return undefined;
  const base = addOffset(image.code.start, BigInt(header.baseOffset));
  const symbols = moveSymbols(header, parts, base);
  try {
    const types = header.typesSizeBytes === 0 ? undefined : readBtf(parts.btf);
    return symbols && joinKernel(image, { symbols, types });
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

interface Parts {
  readonly offsets: Float64Array;
  readonly nameOffsets: Uint32Array;
  readonly types: Uint8Array;
  readonly strings: Uint8Array;
  readonly btf: Uint8Array;
}

function readHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < PREFIX_BYTES || !MAGIC.every((byte, at) => bytes[at] === byte))
    return undefined;
  const view = viewOf(bytes);
  const end = PREFIX_BYTES + view.getUint32(12, true);
  if (view.getUint32(8, true) !== VERSION || end > bytes.length) return undefined;
  try {
    const header: unknown = JSON.parse(decodeText(bytes, PREFIX_BYTES, end));
    return isHeader(header) ? header : undefined;
  } catch {
    // Cut off or written over: as good as none.
    return undefined;
  }
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  const isCount = (name: string): boolean =>
    Number.isSafeInteger(fields[name]) && (fields[name] as number) >= 0;
  const isInteger = (name: string): boolean =>
    typeof fields[name] === "string" && /^-?\d{1,20}$/.test(fields[name] as string);
  const isText = (name: string): boolean => typeof fields[name] === "string";
  return (
    ["buildId", "banner"].every(isText) &&
    ["baseOffset", "base"].every(isInteger) &&
    ["count", "stringsSizeBytes", "typesSizeBytes"].every(isCount)
  );
}

function split(bytes: Uint8Array, header: Header): Parts | undefined {
  const { count, stringsSizeBytes, typesSizeBytes } = header;
  let at = align(PREFIX_BYTES + viewOf(bytes).getUint32(12, true));
  const take = (sizeBytes: number): Uint8Array | undefined => {
    const part = bytes.subarray(at, at + sizeBytes);
    at = align(at + sizeBytes);
    return part.length === sizeBytes ? part : undefined;
  };
  const offsets = take(count * 8)?.slice();
  const nameOffsets = take(count * 4)?.slice();
  const types = take(count)?.slice();
  const strings = take(stringsSizeBytes)?.slice();
  const btf = take(typesSizeBytes)?.slice();
  if (offsets === undefined || nameOffsets === undefined || types === undefined) return undefined;
  if (strings === undefined || strings.at(-1) !== 0 || btf === undefined) return undefined;
  return {
    offsets: new Float64Array(offsets.buffer),
    nameOffsets: new Uint32Array(nameOffsets.buffer),
    types,
    strings,
    btf,
  };
}

/** Per-CPU variables of x86-64 stay where they are when the kernel moves: their offsets change. */
function moveSymbols(header: Header, parts: Parts, base: bigint): KernelSymbols | undefined {
  const { offsets, nameOffsets, types, strings } = parts;
  const oldBase = toAddress(BigInt(header.base));
  const moved = Number(oldBase - base);
  for (let row = 0; row < header.count; row += 1) {
    const offset = offsets[row] as number;
    if (!Number.isSafeInteger(offset) || (nameOffsets[row] as number) >= strings.length) {
      return undefined;
    }
    if (addOffset(oldBase, offset) >> 63n === 0n) offsets[row] = offset + moved;
  }
  return { base: toAddress(base), count: header.count, offsets, types, nameOffsets, strings };
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const sizeBytes = parts.reduce((sum, part) => align(sum + part.length), 0);
  const all = new Uint8Array(sizeBytes);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at = align(at + part.length);
  }
  if (at !== sizeBytes) throw new BugError("a cached kernel is not as long as it was to be");
  return all;
}

function bytesOf(column: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}

function align(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}
