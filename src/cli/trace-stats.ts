/** The lines of `trace --stats`: what became of each probe. */

import { alignColumns } from "../report/text.ts";
import type { Probe } from "../session/api.ts";

/** Sites armed over the trace, by strategy: a probe forgets them when its process ends. */
export class ArmedSites {
  readonly #counts = new Map<Probe, Map<string, number>>();

  add(probe: Probe, strategy: string): void {
    let counts = this.#counts.get(probe);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(probe, counts);
    }
    counts.set(strategy, (counts.get(strategy) ?? 0) + 1);
  }

  /** How many, and `boost 12, step 1`. */
  describe(probe: Probe): { readonly count: number; readonly strategies: string } {
    const counts = [...(this.#counts.get(probe) ?? [])];
    return {
      count: counts.reduce((sum, [, count]) => sum + count, 0),
      strategies: counts.map(([strategy, count]) => `${strategy} ${count}`).join(", "),
    };
  }
}

export function formatStats(probes: readonly Probe[], sites: ArmedSites): string[] {
  const rows = probes.map((probe) => {
    const { count, strategies } = sites.describe(probe);
    const counters = [probe.hits, probe.missed, probe.abandoned, probe.errors, count];
    return [probe.where, ...counters.map(String), strategies];
  });
  return alignColumns(
    [["probe", "hits", "missed", "abandoned", "errors", "sites", "executed by"], ...rows],
    ["left", "right", "right", "right", "right", "right", "left"],
  );
}
