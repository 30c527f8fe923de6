/**
 * Puts BTF together type by type, for tests of its reader: numbers are given in the order of calls,
 * from 1, or from where a base ends. Layout: Linux documentation, "BPF Type Format (BTF)".
 */

export interface BtfBase {
  readonly count: number;
  readonly stringsSizeBytes: number;
}

export class BtfBuilder {
  readonly #words: number[] = [];
  readonly #base: BtfBase;
  #strings = "";
  #count = 0;

  constructor(base: BtfBase = { count: 0, stringsSizeBytes: 0 }) {
    this.#base = base;
    if (base.stringsSizeBytes === 0) this.#strings = "\0";
  }

  /** What a builder of split BTF goes on from. */
  get end(): BtfBase {
    return {
      count: this.#base.count + this.#count,
      stringsSizeBytes: this.#base.stringsSizeBytes + this.#strings.length,
    };
  }

  /** @param extra words behind the three that every type has. */
  add(
    kind: number,
    name: string,
    sizeOrType: number,
    extra: readonly number[] = [],
    count = 0,
    kindFlag = false,
  ): number {
    const info = ((kind << 24) | count | (kindFlag ? 0x8000_0000 : 0)) >>> 0;
    this.#words.push(this.name(name), info, sizeOrType, ...extra);
    this.#count += 1;
    return this.#base.count + this.#count;
  }

  int(name: string, sizeBytes: number, encoding = 0): number {
    return this.add(1, name, sizeBytes, [((encoding << 24) | (sizeBytes * 8)) >>> 0]);
  }

  struct(
    name: string,
    sizeBytes: number,
    members: readonly (readonly [name: string, type: number, offsetBits: number, bits?: number])[],
    kind: 4 | 5 = 4,
  ): number {
    const hasBits = members.some(([, , , bits]) => bits !== undefined);
    const words = members.flatMap(([member, type, offset, bits]) => [
      this.name(member),
      type,
      hasBits ? (((bits ?? 0) << 24) | offset) >>> 0 : offset,
    ]);
    return this.add(kind, name, sizeBytes, words, members.length, hasBits);
  }

  prototype(returns: number, parameters: readonly (readonly [string, number])[]): number {
    const words = parameters.flatMap(([name, type]) => [this.name(name), type]);
    return this.add(13, "", returns, words, parameters.length);
  }

  /** The offset of a string, which is added. */
  name(text: string): number {
    if (text === "") return 0;
    const offset = this.#base.stringsSizeBytes + this.#strings.length;
    this.#strings += `${text}\0`;
    return offset;
  }

  build(): Uint8Array {
    const strings = new TextEncoder().encode(this.#strings);
    const types = Uint32Array.from(this.#words);
    const bytes = new Uint8Array(24 + types.byteLength + strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0xeb9f, true);
    view.setUint8(2, 1);
    view.setUint32(4, 24, true);
    view.setUint32(8, 0, true);
    view.setUint32(12, types.byteLength, true);
    view.setUint32(16, types.byteLength, true);
    view.setUint32(20, strings.length, true);
    for (const [index, word] of types.entries()) view.setUint32(24 + index * 4, word, true);
    bytes.set(strings, 24 + types.byteLength);
    return bytes;
  }
}
