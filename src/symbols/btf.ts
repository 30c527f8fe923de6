/**
 * Reads BTF, the compact type information that Linux kernels carry in their image: of a kernel, and
 * of its modules, whose types go on counting where the kernel's end (split BTF) and so do the
 * offsets of their strings.
 *
 *   header  magic[2] version[1] flags[1] headerSize[4] | types: offset[4] size[4] | strings: offset[4] size[4]
 *   type    name[4] info[4] sizeOrType[4], then by kind      info: [31] kind flag  [28:24] kind  [15:0] count
 *
 * Facts: Linux documentation, "BPF Type Format (BTF)".
 */

import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { decodeCString, encodeText, startsWithBytes } from "./text.ts";
import type { DebugType, Member, NamedKind, TypeId, TypeTable } from "./type-table.ts";

export const BTF_MAGIC = 0xeb9f;
export const BTF_HEADER_BYTES = 24;

const TYPE_BYTES = 12;

/** BTF_KIND_*, by number: how many bytes follow the three words, for each entry and at all. */
const KINDS: readonly { readonly eachBytes: number; readonly fixedBytes: number }[] = [
  { eachBytes: 0, fixedBytes: 0 }, // 0 void, which is never written
  { eachBytes: 0, fixedBytes: 4 }, // 1 int
  { eachBytes: 0, fixedBytes: 0 }, // 2 pointer
  { eachBytes: 0, fixedBytes: 12 }, // 3 array
  { eachBytes: 12, fixedBytes: 0 }, // 4 struct
  { eachBytes: 12, fixedBytes: 0 }, // 5 union
  { eachBytes: 8, fixedBytes: 0 }, // 6 enum
  { eachBytes: 0, fixedBytes: 0 }, // 7 forward declaration
  { eachBytes: 0, fixedBytes: 0 }, // 8 typedef
  { eachBytes: 0, fixedBytes: 0 }, // 9 volatile
  { eachBytes: 0, fixedBytes: 0 }, // 10 const
  { eachBytes: 0, fixedBytes: 0 }, // 11 restrict
  { eachBytes: 0, fixedBytes: 0 }, // 12 function
  { eachBytes: 8, fixedBytes: 0 }, // 13 prototype
  { eachBytes: 0, fixedBytes: 4 }, // 14 variable
  { eachBytes: 12, fixedBytes: 0 }, // 15 section of data
  { eachBytes: 0, fixedBytes: 0 }, // 16 float
  { eachBytes: 0, fixedBytes: 4 }, // 17 tag of a declaration
  { eachBytes: 0, fixedBytes: 0 }, // 18 tag of a type
  { eachBytes: 12, fixedBytes: 0 }, // 19 enum with values of 64 bits
];

const KIND_NUMBERS: Readonly<Record<NamedKind, readonly number[]>> = {
  int: [1],
  struct: [4],
  union: [5],
  enum: [6, 19],
  typedef: [8],
  function: [12],
  variable: [14],
};

/** Where the parts of a BTF section are, from its first byte. */
export interface BtfHeader {
  readonly typesStart: number;
  readonly typesEnd: number;
  readonly stringsStart: number;
  readonly stringsEnd: number;
  /** Of all: the end of whichever part lies last. */
  readonly sizeBytes: number;
}

/** undefined when the bytes at `at` are no header of this format. The parts may be cut off. */
export function readBtfHeader(bytes: Uint8Array, at: number): BtfHeader | undefined {
  if (at + BTF_HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BTF_HEADER_BYTES);
  if (view.getUint16(0, true) !== BTF_MAGIC || view.getUint8(2) !== 1) return undefined;
  const headerBytes = view.getUint32(4, true);
  if (headerBytes < BTF_HEADER_BYTES || headerBytes > 256) return undefined;
  const typesStart = headerBytes + view.getUint32(8, true);
  const typesEnd = typesStart + view.getUint32(12, true);
  const stringsStart = headerBytes + view.getUint32(16, true);
  const stringsEnd = stringsStart + view.getUint32(20, true);
  const sizeBytes = Math.max(typesEnd, stringsEnd);
  if (sizeBytes > limits.btfSizeBytesMax || typesStart % 4 !== 0) return undefined;
  return { typesStart, typesEnd, stringsStart, stringsEnd, sizeBytes };
}

/**
 * Read a whole BTF section.
 * @param base the kernel's types, for the section of a module.
 * @throws ToolError btf.malformed
 */
export function readBtf(bytes: Uint8Array, base?: Btf): Btf {
  return new Btf(bytes, base);
}

export class Btf implements TypeTable {
  /** Type ids from 0 to here; those below `firstId` are the base's. */
  readonly count: number;
  readonly firstId: TypeId;
  readonly bytes: Uint8Array;
  readonly #base: Btf | undefined;
  readonly #view: DataView;
  readonly #strings: Uint8Array;
  /** Offset of the first string, in the count that goes through from the base. */
  readonly #stringsFirst: number;
  /** Index i is where type firstId + i begins, from the first byte. */
  readonly #starts: Uint32Array;
  readonly #found = new Map<string, TypeId | undefined>();

  constructor(bytes: Uint8Array, base: Btf | undefined) {
    const header = readBtfHeader(bytes, 0);
    if (header === undefined) throw malformed(0, "no header");
    if (header.sizeBytes > bytes.length) throw malformed(bytes.length, "cut off");
    this.bytes = bytes.subarray(0, header.sizeBytes);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, header.sizeBytes);
    this.#strings = bytes.subarray(header.stringsStart, header.stringsEnd);
    if (this.#strings.at(-1) !== 0 && (base === undefined || this.#strings.length > 0)) {
      throw malformed(header.stringsEnd, "its strings have no end");
    }
    this.#base = base;
    this.#stringsFirst = base === undefined ? 0 : base.#stringsEnd;
    this.firstId = base === undefined ? 1 : base.count;
    this.#starts = this.#findStarts(header);
    this.count = this.firstId + this.#starts.length;
  }

  get(id: TypeId): DebugType {
    if (id === 0) return { kind: "void" };
    if (this.#base !== undefined && id < this.firstId) return this.#base.get(id);
    const at = this.#starts[id - this.firstId];
    if (at === undefined) throw malformed(0, `there is no type ${id}`);
    return this.#decode(at);
  }

  /** The base's come first: a module has only what the kernel lacks. */
  find(kind: NamedKind, name: string): TypeId | undefined {
    const key = `${kind} ${name}`;
    if (this.#found.has(key)) return this.#found.get(key);
    const id = this.#base?.find(kind, name) ?? this.#search(KIND_NUMBERS[kind], name);
    this.#found.set(key, id);
    return id;
  }

  /** Ids of all types of that kind that this section itself holds, in its order. */
  list(kind: NamedKind): readonly TypeId[] {
    const wanted = KIND_NUMBERS[kind];
    const ids: TypeId[] = [];
    for (let index = 0; index < this.#starts.length; index += 1) {
      if (wanted.includes(this.#kindAt(this.#starts[index] as number))) {
        ids.push(this.firstId + index);
      }
    }
    return ids;
  }

  get #stringsEnd(): number {
    return this.#stringsFirst + this.#strings.length;
  }

  #kindAt(at: number): number {
    return (this.#view.getUint32(at + 4, true) >>> 24) & 31;
  }

  /** One pass over all types, which shows that each is whole and of a known kind. */
  #findStarts(header: BtfHeader): Uint32Array {
    const countMax = Math.floor((header.typesEnd - header.typesStart) / TYPE_BYTES);
    if (this.firstId + countMax > limits.btfTypeCountMax) {
      throw malformed(header.typesStart, "more types than btfTypeCountMax");
    }
    const starts = new Uint32Array(countMax);
    let count = 0;
    let at = header.typesStart;
    while (at < header.typesEnd) {
      if (at + TYPE_BYTES > header.typesEnd) throw malformed(at, "a type is cut off");
      const kind = KINDS[this.#kindAt(at)];
      if (kind === undefined || this.#kindAt(at) === 0) {
        throw malformed(at, `a type is of the unknown kind ${this.#kindAt(at)}`);
      }
      starts[count++] = at;
      const entryCount = this.#view.getUint32(at + 4, true) & 0xffff;
      at += TYPE_BYTES + kind.fixedBytes + kind.eachBytes * entryCount;
    }
    if (at !== header.typesEnd) throw malformed(at, "a type is cut off");
    return starts.slice(0, count);
  }

  #search(kinds: readonly number[], name: string): TypeId | undefined {
    if (name === "") return undefined;
    const needle = encodeText(`${name}\0`);
    let best: TypeId | undefined;
    for (let index = 0; index < this.#starts.length; index += 1) {
      const at = this.#starts[index] as number;
      if (!kinds.includes(this.#kindAt(at))) continue;
      const nameAt = this.#view.getUint32(at, true);
      if (!this.#isString(nameAt, needle)) continue;
      const isEmpty = kinds[0] !== 12 && (this.#view.getUint32(at + 4, true) & 0xffff) === 0;
      if (!isEmpty) return this.firstId + index;
      best ??= this.firstId + index;
    }
    return best;
  }

  #isString(offset: number, needle: Uint8Array): boolean {
    if (offset < this.#stringsFirst && this.#base !== undefined) {
      return this.#base.#isString(offset, needle);
    }
    return startsWithBytes(this.#strings, offset - this.#stringsFirst, needle);
  }

  #string(offset: number): string {
    if (offset < this.#stringsFirst && this.#base !== undefined) return this.#base.#string(offset);
    const text = decodeCString(this.#strings, offset - this.#stringsFirst);
    if (text === undefined) throw malformed(0, `there is no string at ${offset}`);
    return text;
  }

  #decode(at: number): DebugType {
    const view = this.#view;
    const name = this.#string(view.getUint32(at, true));
    const info = view.getUint32(at + 4, true);
    const sizeOrType = view.getUint32(at + 8, true);
    const count = info & 0xffff;
    const kindFlag = info >>> 31 === 1;
    const rest = at + TYPE_BYTES;
    switch (this.#kindAt(at)) {
      case 1:
        return decodeInt(name, sizeOrType, view.getUint32(rest, true));
      case 2:
        return { kind: "pointer", target: sizeOrType };
      case 3: {
        const element = view.getUint32(rest, true);
        return { kind: "array", element, count: view.getUint32(rest + 8, true) };
      }
      case 4:
      case 5: {
        const kind = this.#kindAt(at) === 4 ? "struct" : "union";
        const members = this.#decodeMembers(rest, count, kindFlag);
        return { kind, name, sizeBytes: sizeOrType, members };
      }
      case 6:
      case 19:
        return this.#decodeEnum(at, name);
      case 7:
        return { kind: "forward", name, isUnion: kindFlag };
      case 8:
        return { kind: "typedef", name, target: sizeOrType };
      case 9:
        return { kind: "qualifier", qualifier: "volatile", target: sizeOrType };
      case 10:
        return { kind: "qualifier", qualifier: "const", target: sizeOrType };
      case 11:
        return { kind: "qualifier", qualifier: "restrict", target: sizeOrType };
      case 12: {
        const linkage = count === 0 ? "static" : count === 1 ? "global" : "extern";
        return { kind: "function", name, prototype: sizeOrType, linkage };
      }
      case 13:
        return this.#decodePrototype(rest, count, sizeOrType);
      case 14:
        return { kind: "variable", name, type: sizeOrType };
      case 15:
        return { kind: "section", name };
      case 16:
        return { kind: "float", name, sizeBytes: sizeOrType };
      case 17: {
        const component = view.getInt32(rest, true);
        return { kind: "declarationTag", name, target: sizeOrType, component };
      }
      default:
        return { kind: "tag", name, target: sizeOrType };
    }
  }

  #decodeMembers(start: number, count: number, hasBitFields: boolean): readonly Member[] {
    return Array.from({ length: count }, (_, index) => {
      const at = start + index * 12;
      const offset = this.#view.getUint32(at + 8, true);
      return {
        name: this.#string(this.#view.getUint32(at, true)),
        type: this.#view.getUint32(at + 4, true),
        // With the kind flag: [31:24] bits of a bit-field, [23:0] offset.
        offsetBits: hasBitFields ? offset & 0xff_ffff : offset,
        bitFieldBits: hasBitFields ? offset >>> 24 : 0,
      };
    });
  }

  #decodeEnum(at: number, name: string): DebugType {
    const info = this.#view.getUint32(at + 4, true);
    const isWide = this.#kindAt(at) === 19;
    const isSigned = info >>> 31 === 1;
    const values = Array.from({ length: info & 0xffff }, (_, index) => {
      const entry = at + TYPE_BYTES + index * (isWide ? 12 : 8);
      const low = this.#view.getUint32(entry + 4, true);
      const high = isWide ? this.#view.getUint32(entry + 8, true) : 0;
      const value = (BigInt(high) << 32n) | BigInt(low);
      return {
        name: this.#string(this.#view.getUint32(entry, true)),
        value: isSigned ? BigInt.asIntN(isWide ? 64 : 32, value) : value,
      };
    });
    return {
      kind: "enum",
      name,
      sizeBytes: this.#view.getUint32(at + 8, true),
      isSigned,
      values,
    };
  }

  /** A last parameter without name and type stands for `...`. */
  #decodePrototype(start: number, count: number, returns: TypeId): DebugType {
    const parameters = Array.from({ length: count }, (_, index) => ({
      name: this.#string(this.#view.getUint32(start + index * 8, true)),
      type: this.#view.getUint32(start + index * 8 + 4, true),
    }));
    const last = parameters.at(-1);
    const isVariadic = last !== undefined && last.name === "" && last.type === 0;
    if (isVariadic) parameters.pop();
    return { kind: "prototype", returns, parameters, isVariadic };
  }
}

/** Of the word behind an int: [27:24] encoding  [23:16] offset in bits  [7:0] bits. */
function decodeInt(name: string, sizeBytes: number, word: number): DebugType {
  const bits = (word >>> 24) & 15;
  const encoding = bits & 4 ? "bool" : bits & 2 ? "char" : bits & 1 ? "signed" : "unsigned";
  return {
    kind: "int",
    name,
    sizeBytes,
    encoding,
    sizeBits: word & 0xff,
    offsetBits: (word >>> 16) & 0xff,
  };
}

function malformed(offset: number, what: string): ToolError {
  return new ToolError("btf.malformed", `BTF: ${what}`, { details: { offset } });
}
