/**
 * Finds the separate debug file of a module by its build-id or debug link, and unfolds the small
 * symbol table that some distributions pack into the module itself (.gnu_debugdata). What is found
 * must prove that it belongs to the module; what does not is passed over with a warning.
 *
 * Where to look: GDB manual, "Debugging Information in Separate Files" and "MiniDebugInfo".
 */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { readElf } from "../../symbols/elf.ts";
import type { ElfFile } from "../../symbols/elf-file.ts";
import { findSection, readSection } from "../../symbols/elf-file.ts";
import { measureXz } from "../../symbols/xz-size.ts";
import { crc32Of } from "./crc32.ts";
import { createMemorySource, FileSource } from "./file-source.ts";

/** More than any xz preset asks for. */
const DICTIONARY_SIZE_BYTES_MAX = 0x1000_0000;

export interface DebugFileSearch {
  readonly elf: ElfFile;
  /** The module's path inside `roots`; undefined for an image in memory. */
  readonly path: string | undefined;
  /** Put before every path, in turn: `/proc/PID/root`, and an empty one for our own files. */
  readonly roots: readonly string[];
  /** Directories like /usr/lib/debug. */
  readonly debugDirectories: readonly string[];
  /** Takes what was passed over. */
  readonly warn: (message: string) => void;
}

/** The module's debug file and the open source behind it, which the caller disposes. */
export function findDebugFile(
  search: DebugFileSearch,
): { elf: ElfFile; source: FileSource } | undefined {
  for (const path of listBuildIdPaths(search)) {
    const found = openDebugFile(search, path, false);
    if (found !== undefined) return found;
  }
  for (const path of listLinkPaths(search)) {
    const found = openDebugFile(search, path, true);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The ELF file packed into .gnu_debugdata; undefined when there is none or it is bad. */
export function unfoldDebugData(
  elf: ElfFile,
  warn: (message: string) => void,
): ElfFile | undefined {
  const section = findSection(elf, ".gnu_debugdata");
  if (section === undefined) return undefined;
  const name = `${elf.file} (.gnu_debugdata)`;
  try {
    const packed = readSection(elf, section);
    return readElf(createMemorySource(decompressXz(packed, name)), name);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    warn(`ignored ${name}: ${error.message}`);
    return undefined;
  }
}

function listBuildIdPaths(search: DebugFileSearch): string[] {
  const { buildId } = search.elf;
  if (buildId === undefined || buildId.length < 4) return [];
  const file = join(".build-id", buildId.slice(0, 2), `${buildId.slice(2)}.debug`);
  return search.debugDirectories.flatMap((directory) =>
    search.roots.map((root) => join(root, directory, file)),
  );
}

function listLinkPaths(search: DebugFileSearch): string[] {
  const { debugLink } = search.elf;
  // A name with a slash could lead anywhere; the format has none.
  if (debugLink === undefined || search.path === undefined || debugLink.name.includes("/"))
    return [];
  const { name } = debugLink;
  const directory = dirname(search.path);
  const beside = [join(directory, name), join(directory, ".debug", name)];
  const apart = search.debugDirectories.map((debugDirectory) =>
    join(debugDirectory, directory, name),
  );
  return [...beside, ...apart].flatMap((path) => search.roots.map((root) => join(root, path)));
}

/** Open a candidate; undefined when it is not there, or not this module's. */
function openDebugFile(
  search: DebugFileSearch,
  path: string,
  isByLink: boolean,
): { elf: ElfFile; source: FileSource } | undefined {
  let source: FileSource;
  try {
    source = new FileSource(path);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    const { errno } = error.details;
    if (errno !== "ENOENT" && errno !== "ENOTDIR")
      search.warn(`ignored debug file: ${error.message}`);
    return undefined;
  }
  try {
    const elf = readElf(source, path);
    const mismatch = findMismatch(search.elf, elf, source, isByLink);
    if (mismatch === undefined) return { elf, source };
    search.warn(`ignored debug file ${path}: ${mismatch}`);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    search.warn(`ignored debug file: ${error.message}`);
  }
  source[Symbol.dispose]();
  return undefined;
}

/**
 * Why a file is not the module's debug file. The same build-id proves that it is; without build-ids
 * the checksum has to.
 */
function findMismatch(
  elf: ElfFile,
  debug: ElfFile,
  source: FileSource,
  isByLink: boolean,
): string | undefined {
  if (debug.machine !== elf.machine) return `it is for ${debug.machine}`;
  if (elf.buildId !== undefined && debug.buildId !== undefined) {
    return elf.buildId === debug.buildId
      ? undefined
      : `its build-id is ${debug.buildId}, not ${elf.buildId}`;
  }
  if (!isByLink) return "it has no build-id";
  if (source.sizeBytes > limits.debugFileSizeBytesMax) return "it is above debugFileSizeBytesMax";
  return crc32Of(source) === elf.debugLink?.crc ? undefined : "its checksum is wrong";
}

function decompressXz(packed: Uint8Array, name: string): Uint8Array {
  const size = measureXz(packed);
  if (size === undefined) throw badXz(name, "it is no xz stream");
  if (size.unfoldedSizeBytes > limits.decompressedSizeBytesMax) {
    throw badXz(name, `${size.unfoldedSizeBytes} bytes are above decompressedSizeBytesMax`);
  }
  if (size.dictionarySizeBytes > DICTIONARY_SIZE_BYTES_MAX) {
    throw badXz(name, `its dictionary takes ${size.dictionarySizeBytes} bytes`);
  }
  try {
    // A native add-on, loaded only for the few modules that have such a section.
    const lzma = createRequire(import.meta.url)("@napi-rs/lzma") as XzModule;
    return lzma.xz.decompressSync(packed);
  } catch (cause) {
    throw badXz(name, "it does not unfold", cause);
  }
}

interface XzModule {
  readonly xz: { decompressSync(bytes: Uint8Array): Uint8Array };
}

function badXz(file: string, why: string, cause?: unknown): ToolError {
  return new ToolError("elf.malformed", `cannot unfold ${file} (${why})`, {
    details: { file, offset: 0 },
    cause,
  });
}
