/** USDT probes of a script: `usdt:FILE:NAME`, `usdt:FILE:PROVIDER:NAME`. */

import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { ToolError } from "../../base/errors.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import { isGlob } from "../../symbols/glob.ts";
import type { Hit, Probe } from "../api.ts";
import type { HitView } from "../hit-view.ts";
import type { UsdtSite } from "../provider-api.ts";
import type { AttachHost } from "./attach.ts";

/** Put one point on every process. */
export function attachUsdt(
  host: AttachHost,
  point: AttachPoint,
  fire: (hit: HitView, site: UsdtSite) => void,
): readonly Probe[] {
  const { diagnostics, missingProbes } = host;
  if (host.sessions.length === 0) {
    const hint = "say which process: -c 'CMD', -p PID or --name NAME";
    diagnostics.error(point.range, "usdt needs a target", hint);
    return [];
  }
  const handler = (hit: Hit, site: UsdtSite): void => fire(hit as HitView, site);
  const probes: Probe[] = [];
  let absence: ToolError | undefined;
  for (const session of host.sessions) {
    try {
      const pending = missingProbes !== "error";
      probes.push(
        ...session.register([{ usdt: toWhere(point), handlers: handler, options: { pending } }]),
      );
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      absence ??= error;
    }
  }
  if (probes.length === 0 && absence !== undefined)
    diagnostics.error(point.range, absence.message, absence.hint);
  return probes;
}

/** As sessions take it: `MODULE:PROVIDER:NAME`. */
function toWhere(point: AttachPoint): string {
  const parts = point.parts.map((part) => part.text);
  const name = parts.at(-1) ?? "";
  const provider = parts.length > 2 ? (parts.at(-2) ?? "*") : "*";
  const file = parts.length > 1 ? (parts[0] ?? "*") : "*";
  return `${toModule(file)}:${provider || "*"}:${name}`;
}

function toModule(file: string): string {
  if (!file.includes("/") || isGlob(file)) return file;
  try {
    return realpathSync(resolve(file));
  } catch {
    return file; // the process may be in another root
  }
}
