/** What there is to probe in a process, and how it would be probed; nothing is changed by it. */

import { formatAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { parseWhere } from "../symbols/where.ts";
import type { CheckResult, SymbolInfo, Where } from "./api.ts";
import { checkLocation } from "./check-location.ts";
import type { WantedMechanism } from "./return-mechanism.ts";
import type { TargetView } from "./target-view.ts";

/** Functions that match, sorted by module and name. */
export function listSymbols(view: TargetView, pattern: string): readonly SymbolInfo[] {
  const where = parseWhere(pattern);
  if (where.kind !== "symbol")
    throw new ToolError("where.malformed", `${pattern} is an address, not a name`);
  const result: SymbolInfo[] = [];
  for (const module of view.modules.all) {
    if (where.module !== undefined && !module.matches(where.module)) continue;
    const found = where.isGlob
      ? module.symbols?.match(where.name)
      : module.symbols?.findByName(where.name);
    for (const symbol of found ?? []) {
      if (!module.holds(module.toAddress(symbol.address))) continue;
      result.push({
        name: symbol.name,
        mangledName: symbol.mangledName,
        module: module.name,
        address: symbol.isIndirect
          ? (view.locator.indirectTarget(module, symbol) ?? module.toAddress(symbol.address))
          : module.toAddress(symbol.address),
        sizeBytes: symbol.sizeBytes,
        isIndirect: symbol.isIndirect,
      });
    }
  }
  return result.sort(
    (a, b) =>
      compare(a.module, b.module) || compare(a.name, b.name) || Number(a.address - b.address),
  );
}

/** How a probe at each place that is meant would be executed, or why it would be refused. */
export function checkWhere(
  view: TargetView,
  where: Where,
  wanted: WantedMechanism,
): readonly CheckResult[] {
  const text = typeof where === "bigint" ? formatAddress(where) : where;
  return view.locator
    .locate(parseWhere(where), text)
    .map((location) => checkLocation(view, location, wanted));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
