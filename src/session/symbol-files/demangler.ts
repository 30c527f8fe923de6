/**
 * Loads the demangler's WebAssembly module from its package. The module is written for bundlers, so
 * it is instantiated by hand; its memory gets an upper bound first, because a hostile name can ask
 * for any amount.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { limits } from "../../base/limits.ts";
import type { DemanglerExports } from "../../symbols/demangle.ts";
import { Demangler } from "../../symbols/demangle.ts";
import { boundMemory } from "../../symbols/wasm-memory.ts";

/** What is used of the global WebAssembly, which neither ES2023 nor Node 20's types declare. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const MODULE_FILE = "gecko-profiler-demangle/index_bg.wasm";

/** A demangler that loads its module at the first mangled name. */
export function createDemangler(): Demangler {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
  let module: object | undefined;
  return new Demangler(() => {
    module ??= new WebAssembly.Module(readModule());
    return instantiate(WebAssembly, module);
  });
}

function readModule(): Uint8Array<ArrayBuffer> {
  const path = createRequire(import.meta.url).resolve(MODULE_FILE);
  return boundMemory(readFileSync(path), limits.demanglerPagesMax);
}

function instantiate(WebAssembly: WebAssemblyApi, module: object): DemanglerExports {
  // The one import would fill a table of JavaScript values for modules that pass such values; names
  // are bytes.
  const instance = new WebAssembly.Instance(module, {
    "./index_bg.js": { __wbindgen_init_externref_table: () => undefined },
  });
  const exports = instance.exports as DemanglerExports & { __wbindgen_start(): void };
  exports.__wbindgen_start();
  return exports;
}
