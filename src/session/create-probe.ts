/** From what the user asks for to the probe of its kind, which is not placed yet. */

import { formatAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { type ParsedWhere, parseWhere } from "../symbols/where.ts";
import type { JprobeHandler, JprobeHandlers, NativeJprobe, ProbeRequest, Where } from "./api.ts";
import { EntryJprobe, HandlerJprobe } from "./jprobe.ts";
import { type BaseProbe, Kprobe, Kretprobe, type ProbeOwner } from "./probe.ts";
import { UsdtProbe } from "./usdt.ts";

/** A request whose location is given parsed; its text is for messages only. */
export type ParsedRequest = ProbeRequest & { readonly parsed?: ParsedWhere };

/** @throws ToolError where.malformed, usage */
export function createProbe(owner: ProbeOwner, request: ParsedRequest): BaseProbe {
  const settings = { disabled: request.options?.disabled ?? false };
  if ("usdt" in request) return new UsdtProbe(owner, request.usdt, request.handlers, settings);
  const where = whereOf(request);
  const text = typeof where === "bigint" ? formatAddress(where) : where;
  const parsed = request.parsed ?? parseWhere(where);
  if ("kprobe" in request) return new Kprobe(owner, text, parsed, request.handlers, settings);
  requireNoOffset(text, parsed, "kretprobe" in request ? "return probe" : "jprobe");
  if ("kretprobe" in request) return new Kretprobe(owner, text, parsed, request.handlers, settings);
  const handlers = normalize(text, request.handlers);
  return "entry" in handlers
    ? new EntryJprobe(owner, text, parsed, handlers, settings)
    : new HandlerJprobe(owner, text, parsed, handlers, settings);
}

function whereOf(request: Exclude<ProbeRequest, { usdt: string }>): Where {
  if ("kprobe" in request) return request.kprobe;
  return "kretprobe" in request ? request.kretprobe : request.jprobe;
}

function requireNoOffset(text: string, parsed: ParsedWhere, kind: string): void {
  const isInside = parsed.isEvery || (parsed.kind === "symbol" && parsed.offsetBytes !== 0);
  if (!isInside) return;
  throw new ToolError(
    "where.malformed",
    `${text}: a ${kind} goes on a function's entry, without an offset`,
    { hint: "leave the offset out, or use a kprobe" },
  );
}

/** A jprobe has a handler or an entry, whatever it was written as. */
function normalize(
  text: string,
  handlers: JprobeHandler | JprobeHandlers | NativeJprobe,
): JprobeHandlers | NativeJprobe {
  if (typeof handlers === "function") return { handler: handlers };
  const hasHandler = "handler" in handlers && typeof handlers.handler === "function";
  const hasEntry = "entry" in handlers && handlers.entry !== undefined;
  if (hasHandler !== hasEntry) return handlers;
  throw new ToolError(
    "usage",
    `the jprobe of ${text} has ${hasHandler ? "both a handler and an entry" : "neither a handler nor an entry"}`,
    { hint: 'write `(args, hit) => { ... }`, or `{ entry: "a function of the target" }`' },
  );
}
