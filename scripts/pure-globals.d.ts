/**
 * The few globals that the pure folders may use beyond the language itself. They exist in Node, in
 * workers and in browsers alike (WHATWG Encoding). Seen only by tsconfig.pure.json, which has no
 * Node types.
 */

declare class TextDecoder {
  constructor(label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean });
  decode(bytes?: ArrayBufferView | ArrayBuffer, options?: { readonly stream?: boolean }): string;
}

declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, target: Uint8Array): { readonly read: number; readonly written: number };
}
