/**
 * What is wrong with probes as wholes, whatever the target: two BEGINs in 0.17, timers without a
 * number, none at all. Whether a point exists is found out when it is attached.
 */

import type { Diagnostics } from "../diagnostics.ts";
import type { AttachPoint, Program } from "../syntax/tree.ts";
import type { ProgramScope } from "./scope.ts";

export function checkPoints(program: Program, scope: ProgramScope, found: Diagnostics): void {
  const seen = new Set<string>();
  for (const point of program.probes.flatMap((probe) => probe.points)) {
    if (scope.isOld && (point.provider === "begin" || point.provider === "end")) {
      const name = point.provider.toUpperCase();
      if (seen.has(name)) {
        found.error(
          point.range,
          `More than one ${name} probe defined`,
          "put both into one, or leave --compat 0.17 out",
        );
      }
      seen.add(name);
    }
    checkTimer(point, found);
  }
}

const UNITS: readonly string[] = ["hz", "s", "ms", "us"];

/** `interval:s:1`, `interval:1s`, and today `interval:1000000` of nanoseconds. */
function checkTimer(point: AttachPoint, found: Diagnostics): void {
  const { provider, parts, range } = point;
  if (provider !== "interval" && provider !== "profile") return;
  const [first, second] = parts;
  if (second === undefined) {
    if (parts.length === 1 && UNITS.includes(first?.text ?? "")) {
      found.error(
        range,
        `${provider} probe type requires 2 arguments`,
        `how often or how long: ${provider}:${first?.text}:1`,
      );
    }
    return;
  }
  if (!UNITS.includes(first?.text ?? "")) {
    found.error(
      range,
      `${first?.text ?? ""} is not an accepted unit of time`,
      `units are ${UNITS.join(", ")}: ${provider}:s:1`,
    );
    return;
  }
  if (/^\d+$/.test(second.text) && Number(second.text) === 0) {
    found.error(range, `${provider} frequency should be a positive integer`);
  }
}
