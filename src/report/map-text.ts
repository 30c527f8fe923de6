/**
 * Maps of scripts as text: a line for each entry, `@name[key, key]: value`, or a histogram under
 * each. In 0.17 histograms have a blank behind the colon, a blank line follows averages, and an
 * empty map is a blank line.
 */

import { formatHistogram } from "./histograms.ts";
import { orderEntries, type ShownEntry } from "./map-order.ts";
import type { OutputDialect } from "./script-dialect.ts";
import type { Shown, ShownMap } from "./shown.ts";
import { formatTimeSeries } from "./time-series.ts";
import { formatKey, formatShown } from "./value-text.ts";

/**
 * Lines with their line feeds; nothing for an empty map in head.
 * @param utcOffsetSeconds of local time at a moment, for time series.
 */
export function formatMap(
  map: ShownMap,
  dialect: OutputDialect,
  utcOffsetSeconds: (wallNs: bigint) => number,
): string {
  const entries = orderEntries(map, dialect);
  const isOld = dialect === "0.17";
  if (entries.length === 0) return isOld ? "\n" : "";
  const text = entries.map((entry) => formatEntry(map, entry, dialect, utcOffsetSeconds)).join("");
  const kind = entries[0]?.value.kind;
  const hasBlankBehind = isOld && (kind === "avg" || kind === "stats");
  return hasBlankBehind ? `${text}\n` : text;
}

function formatEntry(
  map: ShownMap,
  entry: ShownEntry,
  dialect: OutputDialect,
  utcOffsetSeconds: (wallNs: bigint) => number,
): string {
  const { value } = entry;
  const key = entry.keys.length === 0 ? "" : `[${formatKey(entry.keys, dialect)}]`;
  const heading = `${map.name}${key}:`;
  if (value.kind === "hist" || value.kind === "lhist") {
    const rows = formatHistogram(value, dialect, BigInt(map.div));
    return `${heading}${dialect === "0.17" ? " " : ""}\n${rows}\n`;
  }
  if (value.kind === "tseries") {
    return `${heading}\n${formatTimeSeries(value, utcOffsetSeconds)}\n`;
  }
  return `${heading} ${formatShown(divideValue(value, map.div), dialect)}\n`;
}

/** What print(@m, top, div) divides: numbers, also averages, but no stats. */
export function divideValue(value: Shown, div: number): Shown {
  if (div <= 1) return value;
  const divisor = BigInt(div);
  switch (value.kind) {
    case "int":
      return { ...value, value: value.value / divisor };
    case "count":
    case "sum":
    case "min":
    case "max":
      return { kind: value.kind, value: value.value / divisor };
    case "avg":
      return { ...value, average: value.average / divisor };
    default:
      return value;
  }
}
