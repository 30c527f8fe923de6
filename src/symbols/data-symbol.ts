/**
 * Data symbols by exact name, out of a module's dynamic symbols. The symbol index holds functions
 * only; this is for the few objects that tools have to find, such as the dynamic linker's
 * `_r_debug`. System V ABI, "Symbol Table".
 */

import { type ElfFile, readExactly } from "./elf-file.ts";
import { type ModuleOffset, toModuleOffset } from "./module-offset.ts";
import { findNameEnd, findSymbolTable } from "./symbol-table.ts";
import { decodeCString } from "./text.ts";

const SYMBOL_SIZE_BYTES = 24;
const STT_OBJECT = 1;

/**
 * The unrelocated address of an exported object, or of any that the file has a symbol of.
 * @throws ToolError elf.malformed
 */
export function findDataSymbol(
  elf: ElfFile,
  name: string,
  table: "dynsym" | "symtab" = "dynsym",
): ModuleOffset | undefined {
  return findObject(elf, name, table)?.address;
}

/** A data object of the file. */
export interface DataObject {
  /** Unrelocated. */
  readonly address: ModuleOffset;
  readonly sizeBytes: number;
}

/**
 * An object in one of the file's symbol tables.
 * @throws ToolError elf.malformed
 */
export function findObject(
  elf: ElfFile,
  name: string,
  table: "dynsym" | "symtab",
): DataObject | undefined {
  const place = findSymbolTable(elf, table);
  if (place === undefined) return undefined;
  const count = Math.floor(place.symbols.sizeBytes / SYMBOL_SIZE_BYTES);
  const symbols = readExactly(elf, place.symbols.fileOffset, count * SYMBOL_SIZE_BYTES);
  const strings = readExactly(elf, place.strings.fileOffset, place.strings.sizeBytes);
  const view = new DataView(symbols.buffer, symbols.byteOffset, symbols.byteLength);
  for (let at = 0; at < symbols.length; at += SYMBOL_SIZE_BYTES) {
    const nameOffset = view.getUint32(at, true);
    if ((view.getUint8(at + 4) & 0xf) !== STT_OBJECT || view.getUint16(at + 6, true) === 0)
      continue;
    if (nameOffset >= strings.length) continue;
    if (findNameEnd(strings, nameOffset) - nameOffset !== name.length) continue;
    if (decodeCString(strings, nameOffset) !== name) continue;
    return {
      address: toModuleOffset(Number(view.getBigUint64(at + 8, true))),
      sizeBytes: Number(view.getBigUint64(at + 16, true)),
    };
  }
  return undefined;
}
