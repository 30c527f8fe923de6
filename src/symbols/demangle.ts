/**
 * Names of C++ (Itanium ABI) and Rust (legacy and v0) as their authors wrote them. The work is done
 * by the WebAssembly module of the package gecko-profiler-demangle, which the caller instantiates;
 * this file passes strings in and out.
 *
 * Names come from files, so they may be hostile: one that makes the module fail (a trap, memory at
 * its limit) costs a new instance, and after demanglerRestartCountMax of them nothing is demangled
 * any more.
 */

import { limits } from "../base/limits.ts";
import { decodeText, encodeText } from "./text.ts";

/** What an instance of the module exports, as wasm-bindgen names it. */
export interface DemanglerExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  demangle_any(pointer: number, sizeBytes: number): readonly [pointer: number, sizeBytes: number];
  __wbindgen_malloc(sizeBytes: number, alignment: number): number;
  __wbindgen_free(pointer: number, sizeBytes: number, alignment: number): void;
}

/** Whether a symbol of that name can be a mangled one. */
export function isMangled(name: string): boolean {
  return mangledStart.test(name);
}

const mangledStart = /^_{1,3}[ZR]/;

/** `::h` and 16 hex digits: the hash at the end of a legacy Rust name. */
const rustHash = /::h[0-9a-f]{16}(?=$|\.)/;

export class Demangler {
  readonly #instantiate: () => DemanglerExports;
  readonly #names = new Map<string, string | undefined>();
  #exports: DemanglerExports | undefined;
  #restartCount = 0;

  /**
   * @param instantiate  makes a fresh, started instance; called at the first name, and again after
   * a failure.
   */
  constructor(instantiate: () => DemanglerExports) {
    this.#instantiate = instantiate;
  }

  /**
   * The name as written in the source, with parameters where the language mangles them
   * (`ns::f(int)`); undefined when it is not mangled or no language's.
   */
  demangle(mangled: string): string | undefined {
    if (!isMangled(mangled) || mangled.length > limits.mangledNameSizeBytesMax) return undefined;
    if (this.#names.has(mangled)) return this.#names.get(mangled);
    const name = this.#demangleNew(mangled);
    if (this.#names.size >= limits.demangledNameCountMax) this.#names.clear();
    this.#names.set(mangled, name);
    return name;
  }

  #demangleNew(mangled: string): string | undefined {
    if (this.#restartCount > limits.demanglerRestartCountMax) return undefined;
    try {
      this.#exports ??= this.#instantiate();
      const text = callDemangle(this.#exports, encodeText(mangled));
      // A name that it cannot take comes back, at times without its first underscore.
      if (text === undefined || mangled.endsWith(text)) return undefined;
      return text.replace(rustHash, "");
    } catch {
      // The instance's memory may be in disorder after a trap: the next name gets a new one. The
      // name stays mangled, which is what the user sees of this failure.
      this.#exports = undefined;
      this.#restartCount += 1;
      return undefined;
    }
  }
}

function callDemangle(exports: DemanglerExports, name: Uint8Array): string | undefined {
  const input = exports.__wbindgen_malloc(name.length, 1) >>> 0;
  // The view is made after the call that may have grown (and so replaced) the memory.
  new Uint8Array(exports.memory.buffer).set(name, input);
  const [pointer, sizeBytes] = exports.demangle_any(input, name.length); // takes over the input
  const start = pointer >>> 0;
  const isShort = sizeBytes <= limits.demangledNameCharsMax;
  const output = new Uint8Array(exports.memory.buffer);
  const text = isShort ? decodeText(output, start, start + sizeBytes) : undefined;
  exports.__wbindgen_free(start, sizeBytes, 1);
  return text;
}
