/** `trapline list`: functions that can be probed, of a process or of files on disk. */

import { realpathSync } from "node:fs";
import { basename } from "node:path";
import { formatAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { alignColumns, createPaint, formatCount, plainText } from "../report/text.ts";
import { findModuleFile } from "../session/program-search.ts";
import { SymbolFiles } from "../session/symbol-files/symbol-files.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { type ParsedArguments, parseArguments } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { isColoured, printLines } from "./output.ts";
import { LIST_SPEC } from "./specs.ts";
import { findTarget } from "./target.ts";
import { hasGlob, splitWhere } from "./where.ts";

/** Run the command; the exit code. */
export async function runList(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(LIST_SPEC, argv);
  const patterns = parsed.positionals;
  if (patterns.length === 0) {
    throw new ToolError("usage", "nothing to list: name a pattern", {
      hint: "e.g. trapline list 'libc:mem*' (see: trapline list --help)",
    });
  }
  const { rows, place } =
    findTarget(parsed) === undefined ? listFiles(patterns) : await listProcess(parsed, patterns);
  if (rows.length === 0) {
    throw new ToolError("symbol.unknown", `no function matches ${patterns.join(" ")} in ${place}`, {
      hint: "a pattern holds for the whole name: 'libc:*mem*'",
    });
  }
  if (parsed.has("json")) printLines(rows.map((row) => JSON.stringify(toJson(row))));
  else {
    printLines(formatTable(rows));
    writeAll(2, `trapline: ${formatCount(rows.length, "function")} of ${place}\n`);
  }
  return ExitCode.Ok;
}

/** A function found. */
interface Row {
  /** Absolute in a process; as the file has it otherwise. */
  readonly address: bigint;
  readonly sizeBytes: number;
  readonly module: string;
  readonly name: string;
  readonly mangledName: string | undefined;
  readonly isIndirect: boolean;
}

interface Listing {
  readonly rows: readonly Row[];
  /** Where was looked, for messages. */
  readonly place: string;
}

/** What is looked at when a pattern names no module. */
const DEFAULT_MODULE = "libc";

async function listProcess(parsed: ParsedArguments, patterns: readonly string[]): Promise<Listing> {
  const { openInspection } = await import("./inspection.ts");
  using inspection = openInspection(parsed, patterns, {});
  const rows = patterns.flatMap((pattern) => inspection.session.symbols(pattern));
  return { rows: withoutRepeats(rows), place: inspection.place };
}

function listFiles(patterns: readonly string[]): Listing {
  const files = new SymbolFiles();
  const rows: Row[] = [];
  const paths = new Set<string>();
  for (const pattern of patterns) {
    const { module = DEFAULT_MODULE, name } = splitWhere(pattern);
    const path = realpathSync(getModulePath(module));
    paths.add(path);
    const symbols = files.open(path);
    const found = hasGlob(name) ? symbols.match(name) : symbols.findByName(name);
    if (found.length === 0 && !hasGlob(name)) throw unknownName(name, path, symbols.suggest(name));
    for (const { address, ...symbol } of found) {
      rows.push({ ...symbol, address: BigInt(address), module: basename(path) });
    }
  }
  return { rows: withoutRepeats(rows), place: [...paths].join(", ") };
}

function unknownName(name: string, path: string, suggestions: readonly string[]): ToolError {
  return new ToolError("symbol.unknown", `no function ${name} in ${path}`, {
    details: { suggestions },
    hint: suggestions.length === 0 ? undefined : `near misses: ${suggestions.join(", ")}`,
  });
}

function getModulePath(module: string): string {
  if (hasGlob(module)) {
    throw new ToolError("usage", `which files are meant by ${module}?`, {
      hint: "a pattern for modules needs a process: -c CMD or -p PID",
    });
  }
  const found = findModuleFile(module, process.env);
  if (found !== undefined) return found.path;
  throw new ToolError("module.unknown", `no library or program of the name ${module}`, {
    details: { module },
    hint: "give its path, or a process that has it loaded: -p PID",
  });
}

/** Functions that several patterns match stand once. */
function withoutRepeats(rows: readonly Row[]): Row[] {
  return [
    ...new Map(rows.map((row) => [`${row.module}:${row.name}:${row.address}`, row])).values(),
  ];
}

function formatTable(rows: readonly Row[]): string[] {
  const paint = createPaint({ isColoured: isColoured(1, undefined, process.env) });
  const cells = rows.map((row) => [
    formatAddress(row.address, 12),
    String(row.sizeBytes),
    plainText(`${row.module}:${row.name}`) + (row.isIndirect ? "  (ifunc)" : ""),
  ]);
  const table = [["address", "size", "function"], ...cells];
  return alignColumns(table, ["left", "right", "left"], (row, column, cell) => {
    if (row === 0) return paint("heading", cell);
    return column === 2 ? paint("name", cell) : cell;
  });
}

function toJson(row: Row): Record<string, unknown> {
  return {
    address: formatAddress(row.address),
    size: row.sizeBytes,
    module: row.module,
    name: row.name,
    mangled: row.mangledName ?? null,
    ifunc: row.isIndirect,
  };
}
