/**
 * A script's output as JSON, one object a line: `{"type": "map", "data": {"@x": {"1": 5}}}`. Every
 * line is valid by itself, in UTF-8. Integers that no double holds are texts in head, digits in
 * 0.17. Keys of maps are texts, parts of a key joined by commas.
 */

import { decodeUtf8, encodeUtf8 } from "./byte-string.ts";
import { type HistogramRow, listRows, type ShownHistogram } from "./histograms.ts";
import { orderEntries } from "./map-order.ts";
import { divideValue } from "./map-text.ts";
import { findLineColumn } from "./message-text.ts";
import type { OutputDialect } from "./script-dialect.ts";
import type { EventPlace, ScriptEvent } from "./script-event.ts";
import type { Shown, ShownMap } from "./shown.ts";
import type { ShownTimeSeries } from "./time-series.ts";
import { formatKey, formatShown } from "./value-text.ts";

/** JSON that is already written, so that integers of 64 bits keep their digits. */
type Json = string;

const TEXT_TYPES = {
  printf: "printf",
  cat: "cat",
  join: "join",
  time: "time",
  system: "syscall",
} as const;

/** A line with its line feed; empty for an empty map. Bytes, one character each. */
export function formatJsonEvent(event: ScriptEvent, dialect: OutputDialect): string {
  const json = writeEvent(event, dialect);
  return json === undefined ? "" : `${encodeUtf8(json)}\n`;
}

export function formatJsonAttached(probeCount: number, dialect: OutputDialect): string {
  const data = `"data": {"probes": ${probeCount}}`;
  const count = dialect === "head" ? `"count": ${probeCount}, ` : "";
  return `{"type": "attached_probes", ${count}${data}}\n`;
}

function writeEvent(event: ScriptEvent, dialect: OutputDialect): Json | undefined {
  switch (event.kind) {
    case "value":
      return writeLine("value", writeValue(event.value, dialect));
    case "map":
    case "mapValue":
      return writeMapLine(event.map, dialect);
    case "errorf":
    case "warnf":
      return writeMessage(event.kind, event.text, event.range, "");
    case "runtimeWarning":
      return writeMessage("runtime_error", event.message, event.range, "");
    case "helperError": {
      const helper = `"helper": ${quote(event.helper)}, "retcode": ${event.returnCode}, `;
      if (dialect === "head") {
        return writeMessage("helper_error", event.message, event.range, helper);
      }
      return `{"type": "helper_error", ${helper}${writePlace(event.range)}}`;
    }
    default:
      return writeLine(TEXT_TYPES[event.kind], quote(event.text));
  }
}

function writeLine(type: string, data: Json): Json {
  return `{"type": ${quote(type)}, "data": ${data}}`;
}

function writeMessage(type: string, message: string, place: EventPlace, extra: Json): Json {
  const file = `"filename": ${JSON.stringify(place.source.name)}`;
  return `{"type": "${type}", "msg": ${quote(message)}, ${extra}${file}, ${writePlace(place)}}`;
}

function writePlace(place: EventPlace): Json {
  const { line, column } = findLineColumn(place.source.text, place.start);
  return `"line": ${line}, "col": ${column}`;
}

function writeMapLine(map: ShownMap, dialect: OutputDialect): Json | undefined {
  const entries = orderEntries(map, dialect);
  const first = entries[0];
  if (first === undefined) return undefined;
  const write = (value: Shown): Json => writeMapValue(value, map.div, dialect);
  const written = map.isScalar
    ? write(first.value)
    : writeObject(
        entries.map(({ keys, value }) => [writeKey(keys, dialect), write(value)] as const),
        ", ",
      );
  return writeLine(typeOfMap(first.value), `{${quote(map.name)}: ${written}}`);
}

/** Of a map of averages too the type is `stats`. */
function typeOfMap(value: Shown): string {
  switch (value.kind) {
    case "hist":
    case "lhist":
      return "hist";
    case "avg":
    case "stats":
      return "stats";
    case "tseries":
      return "tseries";
    default:
      return "map";
  }
}

/** Parts without blanks between them; the keys' own blanks stay. */
function writeKey(keys: readonly Shown[], dialect: OutputDialect): string {
  const only = keys.length === 1 ? keys[0] : undefined;
  const parts = only?.kind === "tuple" ? only.elements : keys;
  return parts.map((part) => formatKey([part], dialect)).join(",");
}

function writeMapValue(value: Shown, div: number, dialect: OutputDialect): Json {
  switch (value.kind) {
    case "hist":
    case "lhist":
      return writeHistogram(value, BigInt(div), dialect);
    case "tseries":
      return writeTimeSeries(value, dialect);
    default:
      return writeValue(divideValue(value, div), dialect);
  }
}

function writeValue(value: Shown, dialect: OutputDialect): Json {
  switch (value.kind) {
    case "int":
    case "enum":
    case "pointer":
    case "count":
    case "sum":
    case "min":
    case "max":
      return writeInteger(value.value, dialect);
    case "avg":
      return writeInteger(value.average, dialect);
    case "bool":
      return dialect === "head" ? String(value.value) : value.value ? "1" : "0";
    case "stats":
      return writeStats(value, dialect);
    case "buffer":
      if (dialect === "head") return `[${[...value.bytes].join(",")}]`;
      return quote(formatShown(value, dialect));
    case "array":
    case "tuple":
      return `[${value.elements.map((element) => writeValue(element, dialect)).join(",")}]`;
    case "fields":
      return writeObject(
        value.fields.map(({ name, value: field }) => [name, writeValue(field, dialect)]),
        ", ",
      );
    case "string":
    case "text":
    case "symbol":
    case "stack":
      return quote(formatShown(value, dialect));
    default:
      return "null";
  }
}

function writeStats(
  value: Extract<Shown, { readonly kind: "stats" }>,
  dialect: OutputDialect,
): Json {
  return writeObject(
    [
      ["count", writeInteger(value.count, dialect)],
      ["average", writeInteger(value.average, dialect)],
      ["total", writeInteger(value.total, dialect)],
    ],
    ", ",
  );
}

/** Readers of JSON take numbers for doubles. */
function writeInteger(value: bigint, dialect: OutputDialect): Json {
  const isExact = BigInt(Number(value)) === value;
  return dialect === "head" && !isExact ? `"${value}"` : String(value);
}

function writeHistogram(histogram: ShownHistogram, div: bigint, dialect: OutputDialect): Json {
  const divisor = histogram.kind === "hist" && div > 0n ? div : 1n;
  const rows = listRows(histogram).map((row) => writeRow(row, divisor, dialect));
  return `[${rows.join(", ")}]`;
}

/** Bounds are inclusive; that of all less has only a max, that of all more only a min. */
function writeRow(row: HistogramRow, divisor: bigint, dialect: OutputDialect): Json {
  const fields: (readonly [string, Json])[] = [];
  if (row.start !== undefined) fields.push(["min", writeInteger(row.start, dialect)]);
  if (row.end !== undefined) fields.push(["max", writeInteger(row.end - 1n, dialect)]);
  fields.push(["count", writeInteger(row.count / divisor, dialect)]);
  return writeObject(fields, ", ");
}

function writeTimeSeries(series: ShownTimeSeries, dialect: OutputDialect): Json {
  const points = series.points.flatMap(({ startWallNs, value }) => {
    if (value === undefined) return [];
    const start = `"interval_start":"${formatUtc(startWallNs)}"`;
    return [`{${start},"value":${writeInteger(value, dialect)}}`];
  });
  return `[${points.join(",")}]`;
}

/** `1970-01-01 00:00:00.500000000`. */
function formatUtc(wallNs: bigint): string {
  const seconds = new Date(Number(wallNs / 1_000_000_000n) * 1000).toISOString();
  const fraction = String(wallNs % 1_000_000_000n).padStart(9, "0");
  return `${seconds.slice(0, 10)} ${seconds.slice(11, 19)}.${fraction}`;
}

function writeObject(fields: readonly (readonly [string, Json])[], separator: string): Json {
  return `{${fields.map(([name, json]) => `${quote(name)}: ${json}`).join(separator)}}`;
}

/** @param byteString one character a byte. */
function quote(byteString: string): Json {
  return JSON.stringify(decodeUtf8(byteString));
}
