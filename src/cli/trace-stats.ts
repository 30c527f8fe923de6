/** The lines of `trace --stats`: what became of each probe. */

import { alignColumns } from "../report/text.ts";
import type { Probe } from "../session/api.ts";

export function formatStats(probes: readonly Probe[]): string[] {
  const rows = probes.map((probe) => [
    probe.where,
    String(probe.hits),
    String(probe.missed),
    String(probe.abandoned),
    String(probe.errors),
    String(probe.sites.length),
    formatStrategies(probe),
  ]);
  return alignColumns(
    [["probe", "hits", "missed", "abandoned", "errors", "sites", "executed by"], ...rows],
    ["left", "right", "right", "right", "right", "right", "left"],
  );
}

/** `boost 12, step 1`. */
function formatStrategies(probe: Probe): string {
  const counts = new Map<string, number>();
  for (const site of probe.sites) counts.set(site.strategy, (counts.get(site.strategy) ?? 0) + 1);
  return [...counts].map(([strategy, count]) => `${strategy} ${count}`).join(", ");
}
