/**
 * Lists of probes, as `-l` prints them: those of a pattern, out of the processes given or out of
 * files, and those of a program.
 */

import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { ToolError } from "../../base/errors.ts";
import type { ArgumentList, TypeWorld } from "../../script/check/typed-tree.ts";
import { Diagnostics, formatDiagnostic } from "../../script/diagnostics.ts";
import type { Dialect } from "../../script/dialect.ts";
import { parseProgram } from "../../script/syntax/parse-program.ts";
import type { AttachPoint, Program } from "../../script/syntax/tree.ts";
import type { Type } from "../../script/types.ts";
import { isGlob, matchesGlob, parseGlob } from "../../symbols/glob.ts";
import { readUsdtNotes } from "../../symbols/usdt.ts";
import { findModuleFile } from "../program-search.ts";
import { SymbolFiles } from "../symbol-files/symbol-files.ts";
import { listUsdt } from "../usdt-sites.ts";
import { userWhere } from "./attach-where.ts";
import type { Targets } from "./targets.ts";

/** What begins and ends a run, and timers: there is nothing to find out about them. */
const ALWAYS = ["begin", "end", "self:signal:SIGUSR1", "interval:s:", "interval:ms:"] as const;

/** The probes of a program, wildcards resolved. */
export function listProgram(
  program: Program,
  targets: Targets,
  world: TypeWorld,
  isVerbose: boolean,
): string {
  const points = program.probes.flatMap((probe) => probe.points);
  return points.flatMap((point) => listPoint(point, targets, world, isVerbose)).join("");
}

/** The probes that match a pattern as `-l` takes it; an error's text where it is none. */
export function listPattern(
  pattern: string,
  how: { readonly dialect: Dialect; readonly isVerbose: boolean },
  targets: Targets,
  world: TypeWorld,
): { readonly text: string } | { readonly wrong: string } {
  const always = ALWAYS.filter((name) => matchesGlob(parseGlob(pattern), name.replace(/:$/, "")));
  if (!pattern.includes(":")) return { text: always.map((name) => `${name}\n`).join("") };
  const diagnostics = new Diagnostics();
  const source = { name: "pattern", text: `${pattern} { 1 }` };
  const program = parseProgram(source, { dialect: how.dialect }, diagnostics);
  if (program === undefined) return { wrong: diagnostics.all.map(formatDiagnostic).join("") };
  return { text: listProgram(program, targets, world, how.isVerbose) };
}

function listPoint(
  point: AttachPoint,
  targets: Targets,
  world: TypeWorld,
  isVerbose: boolean,
): readonly string[] {
  const found = findNames(point, targets);
  return found.map((name) => {
    if (!isVerbose) return `${name}\n`;
    const last = name.slice(name.lastIndexOf(":") + 1);
    const parts = point.parts.map((part, index) =>
      index === point.parts.length - 1 ? { ...part, text: last } : part,
    );
    return `${name}\n${formatArguments(world.findArguments({ ...point, text: name, parts }))}`;
  });
}

function findNames(point: AttachPoint, targets: Targets): readonly string[] {
  switch (point.provider) {
    case "uprobe":
    case "uretprobe":
      return targets.sessions.length > 0 ? listOfProcesses(point, targets) : listOfFile(point);
    case "kprobe":
    case "kretprobe":
    case "fentry":
    case "fexit":
      return listOfKernel(point, targets);
    case "tracepoint":
    case "rawtracepoint":
      return targets.tracepoints?.list(point) ?? [point.text];
    case "usdt":
      return listSites(point, targets);
    default:
      return [point.text];
  }
}

function listOfProcesses(point: AttachPoint, targets: Targets): readonly string[] {
  const result = userWhere(point, realPath);
  if ("wrong" in result || result.where.kind !== "symbol") return [point.text];
  const { module: pattern, name } = result.where;
  const found = new Set<string>();
  for (const session of targets.sessions) {
    for (const view of session.views) {
      for (const module of view.modules.all) {
        if (pattern !== undefined && !module.matches(pattern)) continue;
        const { symbols } = module;
        const functions = isGlob(name) ? symbols?.match(name) : symbols?.findByName(name);
        for (const one of functions ?? [])
          found.add(`${point.provider}:${module.path}:${one.name}`);
      }
    }
  }
  return sorted(found);
}

function listOfFile(point: AttachPoint): readonly string[] {
  const result = userWhere(point, realPath);
  if ("wrong" in result || result.file === undefined || result.where.kind !== "symbol")
    return [point.text];
  const path = findModuleFile(result.file, process.env)?.path;
  if (path === undefined) throw unknownFile(result.file);
  using files = new SymbolFiles();
  const real = realPath(path) ?? path;
  const symbols = files.open(real);
  const { name } = result.where;
  const functions = isGlob(name) ? symbols.match(name) : symbols.findByName(name);
  return sorted(new Set(functions.map((one) => `${point.provider}:${real}:${one.name}`)));
}

function listOfKernel(point: AttachPoint, targets: Targets): readonly string[] {
  const { guest } = targets;
  if (guest === undefined) {
    throw new ToolError("usage", `${point.provider} is for kernels: there is no guest to list`, {
      hint: "give its GDB stub: --gdb ADDRESS",
    });
  }
  const parts = point.parts.map((part) => part.text);
  const pattern = parts.slice(-2).join(":");
  const found = guest.symbols(pattern).map((one) => {
    const module = parts.length > 1 ? `${one.module}:` : "";
    return `${point.provider}:${module}${one.name}`;
  });
  return sorted(new Set(found));
}

function listSites(point: AttachPoint, targets: Targets): readonly string[] {
  const [file = "*", ...rest] = point.parts.map((part) => part.text);
  const provider = rest.length > 1 ? (rest[0] ?? "*") : "*";
  const name = rest.at(-1) ?? "*";
  const module = !file.includes("/") || isGlob(file) ? file : (realPath(file) ?? file);
  if (targets.sessions.length === 0) return listSitesOfFile(module, provider || "*", name);
  const found = new Set<string>();
  for (const session of targets.sessions) {
    for (const view of session.views) {
      for (const site of listUsdt(view, `${module}:${provider || "*"}:${name}`)) {
        const path = view.modules.find(site.address)?.path ?? site.module;
        found.add(`usdt:${path}:${site.provider}:${site.name}`);
      }
    }
  }
  return sorted(found);
}

function listSitesOfFile(file: string, provider: string, name: string): readonly string[] {
  const path = findModuleFile(file, process.env)?.path;
  if (path === undefined) throw unknownFile(file);
  using files = new SymbolFiles();
  const { elf } = files.open(realPath(path) ?? path);
  const matching = (elf === undefined ? [] : readUsdtNotes(elf)).filter((note) => {
    const isOfProvider = matchesGlob(parseGlob(provider), note.provider);
    return isOfProvider && matchesGlob(parseGlob(name), note.name);
  });
  return sorted(new Set(matching.map((note) => `usdt:${path}:${note.provider}:${note.name}`)));
}

function unknownFile(file: string): ToolError {
  return new ToolError("module.unknown", `no library or program of the name ${file}`, {
    hint: "give its path, or a process that has it loaded: -p PID",
  });
}

function formatArguments(known: ArgumentList | undefined): string {
  return (known?.fields ?? [])
    .map((field) => `    ${formatType(field.type)} ${field.name}\n`)
    .join("");
}

/** As C writes it. */
function formatType(type: Type): string {
  switch (type.kind) {
    case "int": {
      const name = { 1: "char", 2: "short", 4: "int", 8: "long" }[type.sizeBytes];
      return type.enum !== undefined && type.enum.name !== ""
        ? `enum ${type.enum.name}`
        : `${type.isSigned ? "" : "unsigned "}${name}`;
    }
    case "pointer":
      return `${formatType(type.to)} *`.replace("* *", "**");
    case "struct":
      return `${type.struct.isUnion ? "union" : "struct"} ${type.struct.name}`;
    case "array":
      return `${formatType(type.element)}[${type.count}]`;
    case "none":
      return "void";
    default:
      return type.kind;
  }
}

function sorted(names: ReadonlySet<string>): readonly string[] {
  return [...names].sort((left, right) => (left < right ? -1 : 1));
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(resolve(file));
  } catch {
    return undefined;
  }
}
