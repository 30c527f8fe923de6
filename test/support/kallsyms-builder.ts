/**
 * Puts a kernel's table of symbols together, in each layout that kernels have had, for tests of its
 * reader. Names are not compressed but for one token of two characters: codes stand for themselves.
 */

export interface BuiltSymbol {
  readonly address: bigint;
  readonly type: string;
  readonly name: string;
}

/** As kallsyms-tables.ts has them, oldest first. */
export type KallsymsLayout = "absolute" | "unsigned" | "perCpu" | "late" | "placeRelative";

/** The token with the last code. */
const PAIR = "__";
const PAIR_CODE = 255;

/** @param address where the piece begins  @param symbols sorted, per-CPU variables first */
export function buildKallsyms(
  layout: KallsymsLayout,
  address: bigint,
  symbols: readonly BuiltSymbol[],
): Uint8Array {
  const writer = new Writer();
  writer.fill(0x777, 0x5a);
  writer.align();
  const base = symbols.find((symbol) => symbol.address >> 63n === 1n)?.address ?? 0n;
  const isLate = layout === "late" || layout === "placeRelative";
  if (layout === "absolute") for (const symbol of symbols) writer.u64(symbol.address);
  if (!isLate && layout !== "absolute") writeOffsets(writer, layout, symbols, base, address);
  writer.u32(symbols.length);
  writer.align();
  writeNames(writer, symbols);
  if (layout === "perCpu") {
    writer.fill(symbols.length * 3, 0x11);
    writer.align();
  }
  writeTokens(writer);
  if (isLate) writeOffsets(writer, layout, symbols, base, address);
  writer.fill(0x333, 0x5a);
  return writer.bytes;
}

function writeOffsets(
  writer: Writer,
  layout: KallsymsLayout,
  symbols: readonly BuiltSymbol[],
  base: bigint,
  address: bigint,
): void {
  for (const symbol of symbols) {
    const isPerCpu = symbol.address >> 63n === 0n;
    const here = address + BigInt(writer.size);
    if (layout === "placeRelative") writer.u32(Number(BigInt.asUintN(32, symbol.address - here)));
    else if (layout === "unsigned") writer.u32(Number(symbol.address - base));
    else if (isPerCpu) writer.u32(Number(symbol.address));
    else writer.u32(Number(BigInt.asUintN(32, base - 1n - symbol.address)));
  }
  writer.align();
  if (layout !== "placeRelative") writer.u64(base);
}

function writeNames(writer: Writer, symbols: readonly BuiltSymbol[]): void {
  const start = writer.size;
  const markers: number[] = [];
  for (const [index, { type, name }] of symbols.entries()) {
    if (index % 256 === 0) markers.push(writer.size - start);
    const codes: number[] = [];
    const text = `${type}${name}`;
    for (let at = 0; at < text.length; at += 1) {
      const isPair = at > 0 && text.startsWith(PAIR, at);
      codes.push(isPair ? PAIR_CODE : text.charCodeAt(at));
      if (isPair) at += 1;
    }
    if (codes.length < 0x80) writer.u8(codes.length);
    else {
      writer.u8((codes.length & 0x7f) | 0x80);
      writer.u8(codes.length >> 7);
    }
    for (const code of codes) writer.u8(code);
  }
  writer.align();
  for (const marker of markers) writer.u32(marker);
  writer.align();
}

function writeTokens(writer: Writer): void {
  const offsets: number[] = [];
  const start = writer.size;
  for (let code = 0; code < 256; code += 1) {
    offsets.push(writer.size - start);
    const isOwn = code > 0x20 && code < 0x7f;
    const text = code === PAIR_CODE ? PAIR : isOwn ? String.fromCharCode(code) : "";
    for (const char of text) writer.u8(char.charCodeAt(0));
    writer.u8(0);
  }
  writer.align();
  for (const offset of offsets) {
    writer.u8(offset & 0xff);
    writer.u8(offset >> 8);
  }
  writer.align();
}

class Writer {
  readonly #bytes: number[] = [];

  get size(): number {
    return this.#bytes.length;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  u8(value: number): void {
    this.#bytes.push(value & 0xff);
  }

  u32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.u8(value >>> shift);
  }

  u64(value: bigint): void {
    this.u32(Number(value & 0xffff_ffffn));
    this.u32(Number((value >> 32n) & 0xffff_ffffn));
  }

  align(): void {
    while (this.size % 8 !== 0) this.u8(0);
  }

  fill(count: number, value: number): void {
    for (let index = 0; index < count; index += 1) this.u8(value);
  }
}
