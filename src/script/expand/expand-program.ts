/**
 * A program without what only its author needs: imported files are in their place, uses of macros
 * are replaced, and positional parameters in attach points are those of the command line.
 */

import { limits } from "../../base/limits.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Dialect } from "../dialect.ts";
import type { Source } from "../source.ts";
import { parseProgram } from "../syntax/parse-program.ts";
import type { AttachPoint, Import, Macro, Program } from "../syntax/tree.ts";
import { findTooDeep } from "../syntax/tree-depth.ts";
import { MacroExpander } from "./macros.ts";

export interface ExpandOptions {
  readonly dialect: Dialect;
  /** As for parsing: files that are imported are parsed here. */
  readonly hasTypes?: boolean;
  /** The file that is meant by a path in some source; undefined when there is none. */
  readonly readImport: (path: string, importer: Source) => Source | undefined;
  /** `$1` and so on. */
  readonly positionals: readonly string[];
}

/** @returns the program without macros and imports; what is wrong is in the diagnostics. */
export function expandProgram(
  program: Program,
  options: ExpandOptions,
  diagnostics: Diagnostics,
): Program {
  const importer = new Importer(options, diagnostics);
  const all = importer.withImports(program);
  const macros = collectMacros(all.macros, diagnostics);
  const expander = new MacroExpander(macros, diagnostics);
  const expanded: Program = {
    ...all,
    imports: [],
    macros: [],
    functions: all.functions.map((one) => expander.expand(one)),
    probes: all.probes.map((one) => {
      const points = one.points.map((point) => fillIn(point, options.positionals));
      return expander.expand({ ...one, points });
    }),
  };
  const tooDeep = findTooDeep(expanded);
  if (tooDeep === undefined) return expanded;
  diagnostics.error(tooDeep, `macros expand to more than ${limits.scriptTreeDepthMax} levels`);
  return { ...expanded, functions: [], probes: [] };
}

class Importer {
  readonly #options: ExpandOptions;
  readonly #diagnostics: Diagnostics;
  /** Names of the sources that are in already: a file is taken once. */
  readonly #seen = new Set<string>();

  constructor(options: ExpandOptions, diagnostics: Diagnostics) {
    this.#options = options;
    this.#diagnostics = diagnostics;
  }

  /** What is imported comes before what imports it, so that its begin probes run first. */
  withImports(program: Program): Program {
    this.#seen.add(program.range.source.name);
    let before: Program | undefined;
    for (const one of program.imports) {
      const imported = this.#read(one);
      if (imported === undefined) continue;
      const whole = this.withImports(imported);
      before = before === undefined ? whole : join(before, whole);
    }
    return before === undefined ? program : join(before, program);
  }

  #read(one: Import): Program | undefined {
    const { readImport, dialect, hasTypes } = this.#options;
    const source = readImport(one.path, one.range.source);
    if (source === undefined) {
      this.#diagnostics.error(one.range, `cannot find "${one.path}" to import`);
      return undefined;
    }
    if (this.#seen.has(source.name)) return undefined;
    if (this.#seen.size > limits.scriptImportCountMax) {
      const message = `more than ${limits.scriptImportCountMax} files are imported`;
      this.#diagnostics.error(one.range, message);
      return undefined;
    }
    this.#seen.add(source.name);
    return parseProgram(source, { dialect, hasTypes: hasTypes ?? false }, this.#diagnostics);
  }
}

function join(first: Program, second: Program): Program {
  return {
    range: second.range,
    includes: [...first.includes, ...second.includes],
    definitions: [...first.definitions, ...second.definitions],
    config: [...first.config, ...second.config],
    imports: [],
    mapDeclarations: [...first.mapDeclarations, ...second.mapDeclarations],
    macros: [...first.macros, ...second.macros],
    functions: [...first.functions, ...second.functions],
    probes: [...first.probes, ...second.probes],
  };
}

function collectMacros(macros: readonly Macro[], diagnostics: Diagnostics): Map<string, Macro> {
  const byName = new Map<string, Macro>();
  for (const macro of macros) {
    if (byName.has(macro.name)) {
      diagnostics.error(macro.range, `macro ${macro.name} is defined more than once`);
    }
    byName.set(macro.name, macro);
    const names = new Set<string>();
    for (const { name, range } of macro.parameters) {
      if (names.has(name)) diagnostics.error(range, `macro ${macro.name} has ${name} twice`);
      names.add(name);
    }
  }
  return byName;
}

/**
 * In quotes a `$` is one. A parameter that was not given is empty; one with colons is several
 * parts, as it would be if it stood there: `uprobe:$1` with `libc:malloc`.
 */
function fillIn(point: AttachPoint, positionals: readonly string[]): AttachPoint {
  const fill = (text: string): string =>
    text.replace(/"(?:[^"\\]|\\.)*"|\$(\d+|#)/g, (whole: string, index?: string) => {
      if (index === undefined) return whole;
      return index === "#" ? String(positionals.length) : (positionals[Number(index) - 1] ?? "");
    });
  const parts = point.parts.flatMap((part) => {
    if (!part.isQuoted)
      return fill(part.text)
        .split(":")
        .map((text) => ({ ...part, text }));
    return part.suffix === undefined ? part : { ...part, suffix: fill(part.suffix) };
  });
  return { ...point, text: fill(point.text), parts };
}
