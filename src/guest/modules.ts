/**
 * The modules that a guest's kernel has loaded, with their symbols and types, by walking the
 * kernel's own list. The layouts come from its types; they have changed over the years, and each
 * way of writing them down is tried.
 *
 *   symbol  name[4] info[1] other[1] section[2] value[8] size[8]    with values that are addresses, once loaded
 *
 * Facts: `struct module` and `struct mod_kallsyms` as BTF describes them; System V ABI, "Symbol
 * Table".
 */

import type { Address } from "../base/address.ts";
import { addOffset, signedDelta, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { type Btf, readBtf } from "../symbols/btf.ts";
import type { KernelSymbols } from "../symbols/kernel-symbols.ts";
import { decodeCString, decodeText } from "../symbols/text.ts";
import { findOffset, getOffset, type TypeTable } from "../symbols/type-table.ts";
import type { GuestKernel } from "./kernel.ts";
import { findListHead } from "./list-heads.ts";
import type { VirtualMemory } from "./memory.ts";
import { readBytes, tryReadBytes, tryReadU32, tryReadU64, viewOf } from "./memory.ts";

export interface KernelModule {
  readonly name: string;
  /** Of its `struct module`. */
  readonly address: Address;
  /** Its code and data that stay: offsets of its symbols count from here. */
  readonly base: Address;
  readonly sizeBytes: number;
}

interface Layout {
  readonly list: number;
  readonly name: number;
  readonly nameSizeBytes: number;
  readonly base: number;
  readonly sizeBytes: number;
  readonly kallsyms: number;
  readonly symtab: number;
  readonly symbolCount: number;
  readonly strtab: number;
  /** undefined where types are not kept beside the symbols. */
  readonly typetab: number | undefined;
  /** Offsets of the kernel's records of its modules' types; undefined where it keeps none. */
  readonly btf: BtfLayout | undefined;
}

interface BtfLayout {
  /** Of `struct btf_module`. */
  readonly list: number;
  readonly module: number;
  readonly btf: number;
  /** Of `struct btf`. */
  readonly data: number;
  readonly sizeBytes: number;
}

const MODULE_LIST_WALKERS = [
  "find_module_all",
  "m_start",
  "m_next",
  "print_modules",
  "module_kallsyms_lookup_name",
  "module_kallsyms_on_each_symbol",
  "module_get_kallsym",
  "load_module",
  "free_module",
];

const BTF_LIST_WALKERS = [
  "btf_module_notify",
  "btf_try_get_module",
  "btf_get_module_btf",
  "bpf_find_btf_id",
  "purge_cand_cache",
];

const SYMBOL_BYTES = 24;
/** Names are read in pieces of this size, so that a few long ones do not cost a read each. */
const STRINGS_BYTES_MAX = 0x400_0000;

export class Modules {
  readonly #kernel: GuestKernel;
  readonly #layout: Layout;
  readonly #list: Address;
  #btfList: Address | undefined;

  /** @throws ToolError type.unknown, kernel.notFound when the list of modules is not to be found */
  constructor(kernel: GuestKernel) {
    if (kernel.types === undefined) {
      throw new ToolError("type.unknown", "the kernel holds no types (CONFIG_DEBUG_INFO_BTF)");
    }
    this.#kernel = kernel;
    this.#layout = findLayout(kernel.types);
    const list = findListHead(kernel, {
      symbol: "modules",
      walkers: MODULE_LIST_WALKERS,
      isEntry: (node) => this.#isModule(addOffset(node, -this.#layout.list)),
    });
    if (list === undefined) {
      throw new ToolError("kernel.notFound", "the kernel's list of modules was not found", {
        details: { cause: "modules" },
      });
    }
    this.#list = list;
  }

  /**
   * The modules loaded now, the newest first.
   * @throws ToolError memory.fault, kernel.malformed when the list does not end
   */
  list(): readonly KernelModule[] {
    const { memory } = this.#kernel;
    const modules: KernelModule[] = [];
    let node = readPointer(memory, this.#list);
    while (node !== this.#list) {
      if (modules.length >= limits.kernelModuleCountMax) {
        throw new ToolError("kernel.malformed", "the kernel's list of modules has no end", {
          details: { limit: "kernelModuleCountMax" },
        });
      }
      modules.push(this.#readModule(addOffset(node, -this.#layout.list)));
      node = readPointer(memory, node);
    }
    return modules;
  }

  /**
   * All symbols of a module, functions and data.
   * @throws ToolError memory.fault, kernel.malformed
   */
  readSymbols(module: KernelModule): KernelSymbols {
    const { memory } = this.#kernel;
    const layout = this.#layout;
    const tables = readPointer(memory, addOffset(module.address, layout.kallsyms));
    const symtab = readPointer(memory, addOffset(tables, layout.symtab));
    const strtab = readPointer(memory, addOffset(tables, layout.strtab));
    const count = viewOf(readBytes(memory, addOffset(tables, layout.symbolCount), 4)).getUint32(
      0,
      true,
    );
    if (count > limits.kernelModuleSymbolCountMax) {
      throw new ToolError("kernel.malformed", `the module ${module.name} has ${count} symbols`, {
        details: { limit: "kernelModuleSymbolCountMax" },
      });
    }
    const types =
      layout.typetab === undefined
        ? undefined
        : tryReadBytes(memory, readPointer(memory, addOffset(tables, layout.typetab)), count);
    const symbols = readBytes(memory, symtab, count * SYMBOL_BYTES);
    return makeSymbols(memory, module, symbols, types, strtab);
  }

  /**
   * The types that a module adds to the kernel's; undefined when it has none.
   * @throws ToolError memory.fault, btf.malformed
   */
  readTypes(module: KernelModule): Btf | undefined {
    const { memory, types } = this.#kernel;
    const { btf } = this.#layout;
    const head = btf === undefined ? undefined : this.#findBtfList(btf);
    if (btf === undefined || head === undefined) return undefined;
    let node = readPointer(memory, head);
    for (let round = 0; node !== head && round < limits.kernelModuleCountMax; round += 1) {
      const record = addOffset(node, -btf.list);
      if (readPointer(memory, addOffset(record, btf.module)) === module.address) {
        const object = readPointer(memory, addOffset(record, btf.btf));
        const data = readPointer(memory, addOffset(object, btf.data));
        const sizeBytes = readU32(memory, addOffset(object, btf.sizeBytes));
        if (sizeBytes > limits.btfSizeBytesMax) return undefined;
        return readBtf(readBytes(memory, data, sizeBytes), types);
      }
      node = readPointer(memory, node);
    }
    return undefined;
  }

  /** Looked for when a module has been loaded: an empty list looks like any other. */
  #findBtfList(layout: BtfLayout): Address | undefined {
    this.#btfList ??= findListHead(this.#kernel, {
      symbol: "btf_modules",
      walkers: BTF_LIST_WALKERS,
      isEntry: (node) => {
        const at = addOffset(node, layout.module - layout.list);
        const module = tryReadU64(this.#kernel.memory, at);
        return module !== undefined && this.#isModule(toAddress(module));
      },
    });
    return this.#btfList;
  }

  #isModule(address: Address): boolean {
    const { name, nameSizeBytes } = this.#layout;
    const bytes = tryReadBytes(this.#kernel.memory, addOffset(address, name), nameSizeBytes);
    return bytes !== undefined && /^[\w-]+$/.test(decodeCString(bytes, 0) ?? "");
  }

  #readModule(address: Address): KernelModule {
    const { memory } = this.#kernel;
    const { name, nameSizeBytes, base, sizeBytes } = this.#layout;
    const nameBytes = readBytes(memory, addOffset(address, name), nameSizeBytes);
    const end = nameBytes.indexOf(0);
    return {
      name: decodeText(nameBytes, 0, end === -1 ? nameSizeBytes : end),
      address,
      base: readPointer(memory, addOffset(address, base)),
      sizeBytes: tryReadU32(memory, addOffset(address, sizeBytes)) ?? 0,
    };
  }
}

function findLayout(types: TypeTable): Layout {
  const get = (path: string): number => getOffset(types, path);
  const either = (first: string, second: string): number => findOffset(types, first) ?? get(second);
  return {
    list: get("module.list"),
    name: get("module.name"),
    nameSizeBytes: 56,
    // One area each for code, data and so on since 6.4; the first is code.
    base: either("module.mem[0].base", "module.core_layout.base"),
    sizeBytes: either("module.mem[0].size", "module.core_layout.size"),
    kallsyms: get("module.kallsyms"),
    symtab: get("mod_kallsyms.symtab"),
    symbolCount: get("mod_kallsyms.num_symtab"),
    strtab: get("mod_kallsyms.strtab"),
    typetab: findOffset(types, "mod_kallsyms.typetab"),
    btf: findBtfLayout(types),
  };
}

function findBtfLayout(types: TypeTable): BtfLayout | undefined {
  const list = findOffset(types, "btf_module.list");
  const module = findOffset(types, "btf_module.module");
  const btf = findOffset(types, "btf_module.btf");
  const data = findOffset(types, "btf.data");
  const sizeBytes = findOffset(types, "btf.data_size");
  if (list === undefined || module === undefined || btf === undefined) return undefined;
  if (data === undefined || sizeBytes === undefined) return undefined;
  return { list, module, btf, data, sizeBytes };
}

function makeSymbols(
  memory: VirtualMemory,
  module: KernelModule,
  symbols: Uint8Array,
  types: Uint8Array | undefined,
  strtab: Address,
): KernelSymbols {
  const view = viewOf(symbols);
  const count = symbols.length / SYMBOL_BYTES;
  const rows: number[] = [];
  let stringsEnd = 0;
  for (let row = 0; row < count; row += 1) {
    const nameOffset = view.getUint32(row * SYMBOL_BYTES, true);
    const isNamed = nameOffset !== 0 && view.getUint16(row * SYMBOL_BYTES + 6, true) !== 0;
    if (!isNamed || nameOffset >= STRINGS_BYTES_MAX) continue;
    stringsEnd = Math.max(stringsEnd, nameOffset);
    rows.push(row);
  }
  const addressAt = (row: number): Address =>
    toAddress(view.getBigUint64(row * SYMBOL_BYTES + 8, true));
  const offsetAt = (row: number): number => Number(signedDelta(addressAt(row), module.base));
  rows.sort((left, right) => offsetAt(left) - offsetAt(right));
  return {
    base: module.base,
    count: rows.length,
    offsets: Float64Array.from(rows, offsetAt),
    types: Uint8Array.from(rows, (row) => types?.[row] ?? letterOf(view, row)),
    nameOffsets: Uint32Array.from(rows, (row) => view.getUint32(row * SYMBOL_BYTES, true)),
    strings: readStrings(memory, strtab, stringsEnd),
  };
}

/** Up to the end of the name that begins last. */
function readStrings(memory: VirtualMemory, strtab: Address, lastStart: number): Uint8Array {
  const bytes = new Uint8Array(lastStart + limits.kernelSymbolCharsMax);
  const count = memory.read(strtab, bytes);
  const end = bytes.subarray(0, count).indexOf(0, lastStart);
  if (end === -1) {
    throw new ToolError("kernel.malformed", "the names of a module's symbols have no end");
  }
  return bytes.slice(0, end + 1);
}

/** Without types beside the symbols: what the symbol says itself, function or not. */
function letterOf(view: DataView, row: number): number {
  const isFunction = (view.getUint8(row * SYMBOL_BYTES + 4) & 15) === 2;
  return (isFunction ? "t" : "d").charCodeAt(0);
}

/** @throws ToolError memory.fault */
function readU32(memory: VirtualMemory, address: Address): number {
  return viewOf(readBytes(memory, address, 4)).getUint32(0, true);
}

/** @throws ToolError memory.fault */
function readPointer(memory: VirtualMemory, address: Address): Address {
  return toAddress(viewOf(readBytes(memory, address, 8)).getBigUint64(0, true));
}
