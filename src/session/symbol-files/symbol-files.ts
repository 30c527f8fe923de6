/**
 * Opens the files of modules for their symbols, and keeps them: a file that many processes map is
 * read once. Knows where the file of a mapping can be when its path leads elsewhere by now (another
 * root, deleted, replaced).
 */

import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Demangler } from "../../symbols/demangle.ts";
import { readElf } from "../../symbols/elf.ts";
import { createDemangler } from "./demangler.ts";
import { createMemorySource, FileSource } from "./file-source.ts";
import { ModuleSymbols } from "./module-symbols.ts";

export interface SymbolFilesOptions {
  /** Default: one that loads its module at the first mangled name. */
  readonly demangler?: Demangler;
  /** Where separate debug files are. Default: /usr/lib/debug. */
  readonly debugDirectories?: readonly string[];
}

export interface OpenModuleOptions {
  /**
   * Put before the path: `/proc/PID/root` for a process in another mount namespace. Default: our
   * own root.
   */
  readonly root?: string;
  /**
   * Whole paths to try when there is no such file, or not the mapped one: `/proc/PID/map_files/…`,
   * `/proc/PID/exe`.
   */
  readonly fallbacks?: readonly string[];
  /** Inode of the mapping, to notice a file that was replaced. */
  readonly inode?: bigint;
}

export class SymbolFiles {
  readonly #demangler: Demangler;
  readonly #debugDirectories: readonly string[];
  readonly #modules = new Map<string, ModuleSymbols>();
  readonly #sources: FileSource[] = [];

  constructor(options: SymbolFilesOptions = {}) {
    this.#demangler = options.demangler ?? createDemangler();
    this.#debugDirectories = options.debugDirectories ?? ["/usr/lib/debug"];
  }

  /** Symbols of a module's file.
   *  @param path  as the process map has it; a ` (deleted)` at its end is left out.
   *  @throws ToolError file.unreadable, elf.unsupported, elf.malformed */
  open(path: string, options: OpenModuleOptions = {}): ModuleSymbols {
    const modulePath = path.replace(/ \(deleted\)$/, "");
    const root = options.root ?? "";
    const { source, warning } = openSource(`${root}${modulePath}`, options);
    const known = this.#modules.get(source.key);
    if (known !== undefined) {
      source[Symbol.dispose]();
      return known;
    }
    try {
      const symbols = new ModuleSymbols({
        elf: readElf(source, modulePath),
        path: modulePath,
        demangler: this.#demangler,
        roots: root === "" ? [""] : [root, ""],
        debugDirectories: this.#debugDirectories,
        keep: (debugSource) => this.#sources.push(debugSource),
      });
      if (warning !== undefined) symbols.warn(warning);
      this.#sources.push(source);
      this.#modules.set(source.key, symbols);
      return symbols;
    } catch (error) {
      source[Symbol.dispose]();
      throw error;
    }
  }

  /** Symbols of an image that was read from memory, such as the vDSO. Its addresses start at 0.
   *  @param image  kept, not copied.  @throws ToolError elf.unsupported, elf.malformed */
  openImage(image: Uint8Array, name: string): ModuleSymbols {
    if (image.length > limits.vdsoSizeBytesMax) {
      throw new ToolError(
        "elf.malformed",
        `cannot read ${name} (${image.length} bytes are above vdsoSizeBytesMax)`,
        {
          details: { file: name, offset: 0 },
        },
      );
    }
    return new ModuleSymbols({
      elf: readElf(createMemorySource(image), name),
      path: undefined,
      demangler: this.#demangler,
      roots: [""],
      debugDirectories: this.#debugDirectories,
      keep: (debugSource) => this.#sources.push(debugSource),
    });
  }

  /**
   * Close all files. Modules handed out before answer from what they have read, or fail with
   * file.unreadable.
   */
  [Symbol.dispose](): void {
    for (const source of this.#sources.splice(0)) source[Symbol.dispose]();
    this.#modules.clear();
  }
}

/**
 * The first candidate that opens and is the mapped file. When none is, the path's own file serves,
 * with a warning: file systems made of layers may show another inode in the map.
 */
function openSource(
  path: string,
  options: OpenModuleOptions,
): { source: FileSource; warning: string | undefined } {
  let replaced: FileSource | undefined;
  let failure: unknown;
  for (const candidate of [path, ...(options.fallbacks ?? [])]) {
    let source: FileSource;
    try {
      source = new FileSource(candidate);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      failure ??= error;
      continue;
    }
    if (options.inode === undefined || options.inode === source.inode) {
      replaced?.[Symbol.dispose]();
      return { source, warning: undefined };
    }
    if (replaced === undefined) replaced = source;
    else source[Symbol.dispose]();
  }
  if (replaced === undefined) throw failure;
  return { source: replaced, warning: `${path} may have been replaced since it was mapped` };
}
