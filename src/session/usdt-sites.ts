/**
 * The USDT sites of a target's modules: found by `provider:name`, `module:provider:name` or
 * `/path:name`, and listed.
 */

import { type Address, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { matchesGlob, parseGlob } from "../symbols/glob.ts";
import { readUsdtNotes, type UsdtNote } from "../symbols/usdt.ts";
import { parseUsdtArguments, type UsdtArgument } from "../symbols/usdt-arguments.ts";
import type { Module } from "./modules.ts";
import type { UsdtInfo } from "./provider-api.ts";
import type { TargetView } from "./target-view.ts";

/** What a site is looked for by. */
export interface UsdtWhere {
  /** As moduleMatches() takes it; undefined for any module. */
  readonly module: string | undefined;
  readonly provider: string;
  readonly name: string;
}

/** A site in a target. */
export interface FoundUsdt {
  readonly module: Module;
  readonly note: UsdtNote;
  readonly arguments: readonly UsdtArgument[];
  readonly address: Address;
  readonly semaphore: Address | undefined;
}

/** @throws ToolError where.malformed */
export function parseUsdtWhere(text: string): UsdtWhere {
  const parts = text.trim().split(":");
  const isWrong = text.length > limits.whereCharsMax || parts.some((part) => part === "");
  if (isWrong || parts.length > 3) {
    throw new ToolError("where.malformed", `${text.slice(0, 80)} names no USDT probe`, {
      hint: "write provider:name, module:provider:name or /path:name",
    });
  }
  const [name = "", provider, module] = parts.reverse();
  if (module === undefined && provider?.includes("/") === true) {
    return { module: provider, provider: "*", name };
  }
  return { module, provider: provider ?? "*", name };
}

/**
 * The sites in the modules of a target that match, in the order of modules and notes.
 * @throws ToolError module.unknown, symbol.unknown, elf.malformed
 */
export function findUsdt(view: TargetView, where: UsdtWhere, text: string): readonly FoundUsdt[] {
  const { all } = view.modules;
  const modules =
    where.module === undefined
      ? all
      : all.filter((module) => module.matches(where.module as string));
  if (modules.length === 0) {
    throw new ToolError("module.unknown", `no loaded module matches ${where.module}`, {
      details: { module: where.module, loaded: all.map((module) => module.name) },
      hint: "one that is loaded later can be waited for (pending)",
    });
  }
  const found: FoundUsdt[] = [];
  let failure: unknown;
  for (const module of modules) {
    try {
      found.push(...sitesOf(module).filter(({ note }) => matches(note, where)));
    } catch (error) {
      // The notes of one file that cannot be read are no reason to find none in others.
      if (!(error instanceof ToolError)) throw error;
      failure ??= error;
    }
  }
  if (found.length > 0) return found;
  if (failure !== undefined) throw failure;
  throw new ToolError("symbol.unknown", `no USDT probe matches ${text}`, {
    details: { where: text, suggestions: [] },
    hint: "session.usdtSites() lists what there is",
  });
}

/** See Session.usdtSites(). */
export function listUsdt(view: TargetView, pattern: string | undefined): readonly UsdtInfo[] {
  const where = parseUsdtWhere(pattern ?? "*");
  const info: UsdtInfo[] = [];
  for (const module of view.modules.all) {
    if (where.module !== undefined && !module.matches(where.module)) continue;
    for (const site of sitesOf(module)) {
      if (!matches(site.note, where)) continue;
      const { provider, name } = site.note;
      info.push({
        module: module.name,
        provider,
        name,
        address: site.address,
        semaphore: site.semaphore,
        arguments: site.arguments.map(({ text, sizeBytes, isSigned, isFloat }) => ({
          text,
          sizeBytes,
          isSigned,
          isFloat,
        })),
      });
    }
  }
  return info.sort(
    (a, b) =>
      compare(a.module, b.module) ||
      compare(a.provider, b.provider) ||
      compare(a.name, b.name) ||
      compare(a.address, b.address),
  );
}

function sitesOf(module: Module): readonly FoundUsdt[] {
  const elf = module.symbols?.elf;
  if (elf === undefined) return [];
  return readUsdtNotes(elf).map((note) => ({
    module,
    note,
    arguments: parseUsdtArguments(note.arguments, elf.machine),
    address: toAddress(module.toAddress(note.address)),
    semaphore: note.semaphore === undefined ? undefined : module.toAddress(note.semaphore),
  }));
}

function matches(note: UsdtNote, where: UsdtWhere): boolean {
  return (
    matchesGlob(parseGlob(where.name), note.name) &&
    matchesGlob(parseGlob(where.provider), note.provider)
  );
}

function compare<T extends string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
