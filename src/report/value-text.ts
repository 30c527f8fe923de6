/**
 * Values of scripts as text, in the ways of both dialects: alone, inside other values, and as keys
 * of maps. Stacks and aggregates too, but histograms and time series only in histograms.ts and
 * time-series.ts, as they take lines of their own.
 */

import type { OutputDialect } from "./script-dialect.ts";
import type { Shown, ShownAggregate, ShownFrame } from "./shown.ts";

/** As the value of a map, an argument of %s or print(). */
export function formatShown(value: Shown, dialect: OutputDialect): string {
  switch (value.kind) {
    case "int":
      return String(value.value);
    case "enum":
      return dialect === "head" ? (value.name ?? String(value.value)) : String(value.value);
    case "bool":
      return dialect === "head" ? String(value.value) : value.value ? "1" : "0";
    case "string":
    case "text":
      return value.value;
    case "pointer":
      return dialect === "head" ? `0x${value.value.toString(16)}` : String(value.value);
    case "symbol":
      return value.name ?? formatUnknown(value.address);
    case "stack":
      return `\n${formatFrames(value.frames, value.mode, "        ")}`;
    case "buffer":
      return formatBuffer(value.bytes, "r");
    case "array":
      return `[${value.elements.map((element) => formatShown(element, dialect)).join(",")}]`;
    case "tuple":
      return `(${value.elements.map((element) => formatShown(element, dialect)).join(", ")})`;
    case "fields":
      return formatFields(
        value.fields.map(({ name, value: field }) => [name, formatShown(field, dialect)]),
      );
    case "none":
      return "";
    default:
      return formatAggregate(value, dialect);
  }
}

/** Inside the brackets behind a map's name. */
export function formatKey(keys: readonly Shown[], dialect: OutputDialect): string {
  // A tuple as the only key is the same as its elements as keys.
  const only = keys.length === 1 ? keys[0] : undefined;
  const parts = only?.kind === "tuple" ? only.elements : keys;
  return parts.map((part) => formatKeyPart(part, dialect)).join(", ");
}

function formatKeyPart(key: Shown, dialect: OutputDialect): string {
  if (key.kind === "int" && key.sizeBytes === 8 && dialect === "0.17") {
    // Seen there: keys of 64 bits are shown as signed, whatever their type.
    return String(BigInt.asIntN(64, key.value));
  }
  if (key.kind === "pointer") return `0x${key.value.toString(16)}`;
  if (key.kind === "stack") return `\n${formatFrames(key.frames, key.mode, "    ")}`;
  return formatShown(key, dialect);
}

/** %r: what can be printed as it is, the rest as `\x01`; %rx: all so; %rh: `61 62`. */
export function formatBuffer(bytes: Uint8Array, as: "r" | "rx" | "rh"): string {
  let text = "";
  for (const byte of bytes) {
    const isPlain = as === "r" && byte >= 0x20 && byte <= 0x7e;
    const digits = byte.toString(16).padStart(2, "0");
    if (isPlain) text += String.fromCharCode(byte);
    else if (as === "rh") text += text === "" ? digits : ` ${digits}`;
    else text += `\\x${digits}`;
  }
  return text;
}

/** One frame a line, each with its line feed. */
function formatFrames(
  frames: readonly ShownFrame[],
  mode: "bpftrace" | "perf" | "raw" | "build_id",
  indent: string,
): string {
  return frames.map((frame) => `${formatFrame(frame, mode, indent)}\n`).join("");
}

function formatFrame(
  frame: ShownFrame,
  mode: "bpftrace" | "perf" | "raw" | "build_id",
  indent: string,
): string {
  const name =
    frame.name === undefined ? formatUnknown(frame.address) : `${frame.name}+${frame.offset}`;
  if (mode === "bpftrace") return indent + name;
  if (mode !== "perf") return indent + formatUnknown(frame.address);
  const unknownModule = frame.name === undefined ? "[unknown]" : undefined;
  const module = frame.module ?? unknownModule;
  const suffix = module === undefined ? "" : ` (${module})`;
  return `\t${frame.address.toString(16)} ${name}${suffix}`;
}

/** An address without a name; C++ writes a zero in hexadecimal without prefix. */
function formatUnknown(address: bigint): string {
  return address === 0n ? "0" : `0x${address.toString(16)}`;
}

function formatAggregate(value: ShownAggregate, dialect: OutputDialect): string {
  switch (value.kind) {
    case "count":
    case "sum":
    case "min":
    case "max":
      return String(value.value);
    case "avg":
      return String(value.average);
    case "stats": {
      const { count, average, total } = value;
      if (dialect !== "head") return `count ${count}, average ${average}, total ${total}`;
      return formatFields([
        ["count", String(count)],
        ["average", String(average)],
        ["total", String(total)],
      ]);
    }
    default:
      // Of a histogram inside a text there is nothing that could stand in one line.
      return "";
  }
}

function formatFields(fields: readonly (readonly [string, string])[]): string {
  return `{ ${fields.map(([name, text]) => `.${name} = ${text}`).join(", ")} }`;
}
