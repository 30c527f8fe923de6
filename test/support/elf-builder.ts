/**
 * Builds small ELF files for tests. The whole file is one executable PT_LOAD at address 0, so that
 * an address is its file offset; sections follow one another after the headers.
 */

export interface BuiltSymbol {
  readonly name: string;
  readonly address: number;
  readonly sizeBytes?: number;
  /** Default 2, STT_FUNC. */
  readonly type?: number;
  /** Default 1, STB_GLOBAL. */
  readonly binding?: number;
  /** Default 1, the .text section. */
  readonly section?: number;
  /** .gnu.version entry, dynamic symbols only. Default 1. */
  readonly version?: number;
}

export interface BuiltSection {
  readonly name: string;
  readonly type: number;
  readonly flags?: number;
  readonly bytes: Uint8Array;
  /** SHT_NOBITS sections have a size and no bytes. */
  readonly sizeBytes?: number;
  readonly link?: number;
  readonly entrySizeBytes?: number;
}

export interface ElfBuild {
  readonly machine?: number;
  /** Default 3, ET_DYN. */
  readonly type?: number;
  readonly symbols?: readonly BuiltSymbol[];
  readonly dynamicSymbols?: readonly BuiltSymbol[];
  readonly versionNames?: readonly string[];
  /** Offset, type, symbol index, addend. */
  readonly relocations?: readonly (readonly [number, number, number, number])[];
  readonly buildId?: Uint8Array;
  readonly debugLink?: { readonly name: string; readonly crc: number };
  readonly interpreter?: string;
  readonly soname?: string;
  readonly needed?: readonly string[];
  readonly sections?: readonly BuiltSection[];
  /** Leave the section headers out, as sstrip does. */
  readonly stripHeaders?: boolean;
  readonly textSizeBytes?: number;
  /** Added to every address of what is loaded, as kernels are linked. Default 0. */
  readonly imageBase?: bigint;
}

/** Address (and file offset) of .text, the first section. */
export const TEXT_ADDRESS = 0x400;

interface Placed extends BuiltSection {
  offset: number;
}

export function buildElf(build: ElfBuild): Uint8Array {
  const placed: Placed[] = [];
  let end = TEXT_ADDRESS;
  const place = (section: BuiltSection): Placed => {
    const offset = Math.ceil(end / 16) * 16;
    const entry = { ...section, offset };
    placed.push(entry);
    end = offset + section.bytes.length;
    return entry;
  };
  const segments: { type: number; offset: number; sizeBytes: number }[] = [];
  place({
    name: ".text",
    type: 1,
    flags: 6,
    bytes: new Uint8Array(build.textSizeBytes ?? 0x200).fill(0x90),
  });
  if (build.interpreter !== undefined) {
    const interp = place({
      name: ".interp",
      type: 1,
      flags: 2,
      bytes: text(`${build.interpreter}\0`),
    });
    segments.push({ type: 3, offset: interp.offset, sizeBytes: interp.bytes.length });
  }
  if (build.buildId !== undefined) {
    const note = concat([
      u32(4, build.buildId.length, 3),
      text("GNU\0"),
      build.buildId,
      new Uint8Array(-build.buildId.length & 3),
    ]);
    const section = place({ name: ".note.gnu.build-id", type: 7, flags: 2, bytes: note });
    segments.push({ type: 4, offset: section.offset, sizeBytes: note.length });
  }
  if (
    build.dynamicSymbols !== undefined ||
    build.soname !== undefined ||
    build.needed !== undefined
  ) {
    const dynamic = placeDynamic(build, place, placed);
    segments.push({ type: 2, offset: dynamic.offset, sizeBytes: dynamic.bytes.length });
  }
  if (build.symbols !== undefined) {
    const strings = new Strings();
    const bytes = symbolBytes(build.symbols, strings, build.imageBase);
    place({ name: ".symtab", type: 2, bytes, link: placed.length + 2, entrySizeBytes: 24 });
    place({ name: ".strtab", type: 3, bytes: strings.bytes() });
  }
  if (build.debugLink !== undefined) {
    const name = text(`${build.debugLink.name}\0`);
    const bytes = concat([name, new Uint8Array(-name.length & 3), u32(build.debugLink.crc)]);
    place({ name: ".gnu_debuglink", type: 1, bytes });
  }
  for (const section of build.sections ?? []) place(section);
  return write(build, placed, segments, end);
}

function placeDynamic(
  build: ElfBuild,
  place: (section: BuiltSection) => Placed,
  placed: Placed[],
): Placed {
  const strings = new Strings();
  const symbols = build.dynamicSymbols ?? [];
  const bytes = symbolBytes(symbols, strings);
  const tags: [number, number][] = (build.needed ?? []).map((name) => [1, strings.add(name)]);
  if (build.soname !== undefined) tags.push([14, strings.add(build.soname)]);
  const versionOffsets = (build.versionNames ?? []).map((name) => strings.add(name));
  const dynsym = place({
    name: ".dynsym",
    type: 11,
    flags: 2,
    bytes,
    link: placed.length + 2,
    entrySizeBytes: 24,
  });
  const dynstr = place({ name: ".dynstr", type: 3, flags: 2, bytes: strings.bytes() });
  tags.push([6, dynsym.offset], [5, dynstr.offset], [10, dynstr.bytes.length]);
  const hash = place({ name: ".hash", type: 5, flags: 2, bytes: u32(1, symbols.length + 1, 0) });
  tags.push([4, hash.offset]);
  if (versionOffsets.length > 0) {
    const versym = new Uint8Array((symbols.length + 1) * 2);
    const view = new DataView(versym.buffer);
    for (const [index, symbol] of symbols.entries()) {
      view.setUint16((index + 1) * 2, symbol.version ?? 1, true);
    }
    tags.push([
      0x6ffffff0,
      place({ name: ".gnu.version", type: 0x6fffffff, flags: 2, bytes: versym }).offset,
    ]);
    const verdef = concat(
      versionOffsets.map((offset, index) =>
        verdefBytes(offset, index + 2, index + 1 === versionOffsets.length),
      ),
    );
    tags.push([
      0x6ffffffc,
      place({ name: ".gnu.version_d", type: 0x6ffffffd, flags: 2, bytes: verdef }).offset,
    ]);
    tags.push([0x6ffffffd, versionOffsets.length]);
  }
  if (build.relocations !== undefined) {
    const rela = concat(
      build.relocations.map(([offset, type, symbol, addend]) =>
        u64(offset, symbol * 2 ** 32 + type, addend),
      ),
    );
    const section = place({
      name: ".rela.dyn",
      type: 4,
      flags: 2,
      bytes: rela,
      entrySizeBytes: 24,
    });
    tags.push([7, section.offset], [8, rela.length]);
  }
  tags.push([0, 0]);
  return place({
    name: ".dynamic",
    type: 6,
    flags: 3,
    bytes: concat(tags.map(([tag, value]) => u64(tag, value))),
  });
}

function verdefBytes(nameOffset: number, index: number, isLast: boolean): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 1, true);
  view.setUint16(4, index, true);
  view.setUint16(6, 1, true);
  view.setUint32(12, 20, true);
  view.setUint32(16, isLast ? 0 : 28, true);
  view.setUint32(20, nameOffset, true);
  return bytes;
}

function symbolBytes(
  symbols: readonly BuiltSymbol[],
  strings: Strings,
  imageBase: bigint = 0n,
): Uint8Array {
  const bytes = new Uint8Array((symbols.length + 1) * 24);
  const view = new DataView(bytes.buffer);
  symbols.forEach((symbol, index) => {
    const at = (index + 1) * 24;
    view.setUint32(at, strings.add(symbol.name), true);
    view.setUint8(at + 4, ((symbol.binding ?? 1) << 4) | (symbol.type ?? 2));
    view.setUint16(at + 6, symbol.section ?? 1, true);
    view.setBigUint64(at + 8, imageBase + BigInt(symbol.address), true);
    view.setBigUint64(at + 16, BigInt(symbol.sizeBytes ?? 0), true);
  });
  return bytes;
}

/** A string table that stores a name inside a longer one when it is its end, as linkers do. */
class Strings {
  #text = "\0";

  add(name: string): number {
    const known = this.#text.indexOf(`${name}\0`);
    if (known > 0) return known;
    const offset = this.#text.length;
    this.#text += `${name}\0`;
    return offset;
  }

  bytes(): Uint8Array {
    return text(this.#text);
  }
}

function write(
  build: ElfBuild,
  placed: readonly Placed[],
  segments: readonly { type: number; offset: number; sizeBytes: number }[],
  end: number,
): Uint8Array {
  const names = new Strings();
  const nameOffsets = [...placed.map((section) => names.add(section.name)), names.add(".shstrtab")];
  const nameBytes = names.bytes();
  const namesAt = end;
  const headersAt = Math.ceil((namesAt + nameBytes.length) / 16) * 16;
  const sectionCount = build.stripHeaders === true ? 0 : placed.length + 2;
  const bytes = new Uint8Array(sectionCount === 0 ? end : headersAt + sectionCount * 64);
  const view = new DataView(bytes.buffer);
  const loads = [{ type: 1, offset: 0, sizeBytes: end }, ...segments];
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, build.type ?? 3, true);
  view.setUint16(18, build.machine ?? 62, true);
  view.setUint32(20, 1, true);
  const base = build.imageBase ?? 0n;
  bytes.set(u64(base + BigInt(TEXT_ADDRESS), 64, sectionCount === 0 ? 0 : headersAt), 24);
  const counts = [64, 56, loads.length, 64, sectionCount, Math.max(0, sectionCount - 1)];
  for (const [index, value] of counts.entries()) view.setUint16(52 + index * 2, value, true);
  loads.forEach((segment, index) => {
    bytes.set(u32(segment.type, 5), 64 + index * 56);
    bytes.set(
      u64(
        segment.offset,
        base + BigInt(segment.offset),
        segment.offset,
        segment.sizeBytes,
        segment.sizeBytes,
        16,
      ),
      72 + index * 56,
    );
  });
  for (const section of placed) bytes.set(section.bytes, section.offset);
  if (sectionCount === 0) return bytes;
  bytes.set(nameBytes, namesAt);
  const all = [
    ...placed,
    { name: ".shstrtab", type: 3, bytes: nameBytes, offset: namesAt } as Placed,
  ];
  all.forEach((section, index) => {
    const at = headersAt + (index + 1) * 64;
    const address = ((section.flags ?? 0) & 2) !== 0 ? base + BigInt(section.offset) : 0;
    bytes.set(u32(nameOffsets[index] as number, section.type), at);
    bytes.set(
      u64(section.flags ?? 0, address, section.offset, section.sizeBytes ?? section.bytes.length),
      at + 8,
    );
    bytes.set(u32(section.link ?? 0, 0), at + 40);
    bytes.set(u64(1, section.entrySizeBytes ?? 0), at + 48);
  });
  return bytes;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function u32(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value, true);
  return bytes;
}

export function u64(...values: readonly (number | bigint)[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setBigInt64(index * 8, BigInt(value), true);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A source of bytes in memory. */
export function sourceOf(bytes: Uint8Array): {
  sizeBytes: number;
  read(offset: number, sizeBytes: number): Uint8Array;
} {
  return {
    sizeBytes: bytes.length,
    read: (offset, sizeBytes) => bytes.slice(offset, offset + sizeBytes),
  };
}

/** Random numbers from a seed (xorshift32): unsigned 32 bits. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
