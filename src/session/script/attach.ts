/**
 * Puts the probes of a script on its targets. A point that matches nothing now is missing, unless a
 * file that may still be loaded has what it names.
 */

import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { ToolError } from "../../base/errors.ts";
import type { Diagnostics } from "../../script/diagnostics.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import { isGlob } from "../../symbols/glob.ts";
import type { ParsedWhere } from "../../symbols/where.ts";
import type { CallInstance, Hit, Probe } from "../api.ts";
import type { ParsedRequest } from "../create-probe.ts";
import type { GuestSession } from "../guest/guest-session.ts";
import type { HitView } from "../hit-view.ts";
import { findModuleFile } from "../program-search.ts";
import type { LiveSession } from "../session.ts";
import type { SymbolFiles } from "../symbol-files/symbol-files.ts";
import { kernelWhere, userWhere, type WhereResult } from "./attach-where.ts";
import { HitFiring, type KeptArguments } from "./hit-firing.ts";
import type { AttachedPoint } from "./point.ts";

export type ScriptSession = LiveSession | GuestSession;

/** What happens at a hit of a point. */
export interface PointAction {
  readonly attached: AttachedPoint;
  /** True where the probed function is not to run. */
  fire(hit: HitView, kept: KeptArguments | undefined): boolean;
}

export interface AttachHost {
  readonly sessions: readonly ScriptSession[];
  readonly files: SymbolFiles;
  readonly diagnostics: Diagnostics;
  readonly missingProbes: "error" | "warn" | "ignore";
}

const USER_PROVIDERS = new Set(["uprobe", "uretprobe"]);
const KERNEL_PROVIDERS = new Set(["kprobe", "kretprobe", "fentry", "fexit"]);

/** Whether it is attached to functions, and not by something else. */
export function isFunctionPoint(point: AttachPoint): boolean {
  return USER_PROVIDERS.has(point.provider) || KERNEL_PROVIDERS.has(point.provider);
}

/** Put one point on every target. Gives the probes; of a point that is missing, none. */
export function attachPoint(host: AttachHost, action: PointAction): readonly Probe[] {
  const { point } = action.attached;
  const isUser = USER_PROVIDERS.has(point.provider);
  if (host.sessions.length === 0) {
    host.diagnostics.error(
      point.range,
      `${point.provider} needs a target`,
      isUser
        ? "say which process: -c 'CMD', -p PID or --name NAME"
        : "say which kernel: --gdb ADDRESS of a guest's GDB stub",
    );
    return [];
  }
  const isGuest = host.sessions.some((session) => "guest" in session);
  if (isUser === isGuest) {
    host.diagnostics.error(point.range, ...wrongTarget(point, isGuest));
    return [];
  }
  const result = isUser ? userWhere(point, findRealPath) : kernelWhere(point);
  if ("wrong" in result) {
    host.diagnostics.error(point.range, result.wrong, result.hint);
    return [];
  }
  return place(host, action, result);
}

type FoundWhere = Exclude<WhereResult, { readonly wrong: string }>;

function place(host: AttachHost, action: PointAction, found: FoundWhere): readonly Probe[] {
  const { point } = action.attached;
  try {
    return placeNow(host, action, found.where, false);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    if (error.code === "probe.refused") {
      host.diagnostics.error(point.range, error.message, error.hint);
      return [];
    }
    const isExpected = isInFile(host.files, found);
    if (!isExpected) reportMissing(host, point, error, found.file);
    if (!isExpected && host.missingProbes === "error") return [];
    return placeNow(host, action, found.where, true);
  }
}

/** On every session; throws where it is on none of them, and no waiting is wanted. */
function placeNow(
  host: AttachHost,
  action: PointAction,
  where: ParsedWhere,
  pending: boolean,
): readonly Probe[] {
  const probes: Probe[] = [];
  let absence: unknown;
  for (const session of host.sessions) {
    try {
      probes.push(...session.register([requestOf(action, programFirst(session, where), pending)]));
    } catch (error) {
      if (!(error instanceof ToolError) || error.code === "probe.refused") {
        for (const probe of probes) probe.unregister();
        throw error;
      }
      absence ??= error;
    }
  }
  if (probes.length === 0 && absence !== undefined) throw absence;
  // Where some have it, others of the same program may come to have it.
  return probes;
}

/** A function without a file is one of the program itself, where that has it. */
function programFirst(session: ScriptSession, where: ParsedWhere): ParsedWhere {
  if (where.kind !== "symbol" || where.module !== undefined || "guest" in session) return where;
  const program = session.program;
  if (program === undefined) return where;
  const { symbols } = program;
  const found = where.isGlob ? symbols?.match(where.name) : symbols?.findByName(where.name);
  return found === undefined || found.length === 0 ? where : { ...where, module: program.path };
}

function requestOf(action: PointAction, where: ParsedWhere, pending: boolean): ParsedRequest {
  const { attached } = action;
  const { text } = attached.point;
  const options = { pending };
  if (!attached.isReturn) {
    const pre = (hit: Hit): boolean => action.fire(hit as HitView, undefined);
    return { kprobe: text, parsed: where, handlers: { pre }, options };
  }
  const count = attached.keptArguments;
  const handler = (hit: Hit, call: CallInstance): void => {
    action.fire(hit as HitView, call.data as KeptArguments | undefined);
  };
  if (count === 0) return { kretprobe: text, parsed: where, handlers: { handler }, options };
  const entry = (hit: Hit, call: CallInstance): void => {
    call.data = HitFiring.keepArguments(hit as HitView, count);
  };
  return { kretprobe: text, parsed: where, handlers: { entry, handler }, options };
}

function wrongTarget(point: AttachPoint, isGuest: boolean): [string, string] {
  const { provider } = point;
  if (isGuest) {
    return [
      `${provider} is for processes, and the target is a kernel`,
      "run trapline where the process is, with -p PID; kernel functions are kprobe:FUNCTION",
    ];
  }
  return [
    `${provider} is for kernels, and the target is a process`,
    "a kernel is probed from outside: boot it as a guest and give its stub with --gdb ADDRESS; " +
      "what a process calls in libraries is uprobe:FILE:FUNCTION",
  ];
}

function reportMissing(
  host: AttachHost,
  point: AttachPoint,
  error: ToolError,
  file: string | undefined,
): void {
  if (host.missingProbes === "ignore") return;
  const isNoFile = file !== undefined && !isGlob(file) && findFile(file) === undefined;
  const message =
    isNoFile && error.code === "module.unknown"
      ? `${point.provider} target file '${file}' does not exist or is not executable`
      : error.message;
  if (host.missingProbes === "warn") host.diagnostics.warning(point.range, message, error.hint);
  else host.diagnostics.error(point.range, message, error.hint);
}

/** Whether a file that is not loaded yet has what is to be probed. */
function isInFile(files: SymbolFiles, { where, file }: FoundWhere): boolean {
  if (file === undefined || isGlob(file) || where.kind === "address") return false;
  const path = findFile(file);
  if (path === undefined) return false;
  try {
    const symbols = files.open(path);
    if (where.kind === "fileAddress") return true;
    const found = where.isGlob ? symbols.match(where.name) : symbols.findByName(where.name);
    return found.length > 0;
  } catch (error) {
    if (error instanceof ToolError) return false;
    throw error;
  }
}

function findFile(file: string): string | undefined {
  return findModuleFile(file, process.env)?.path;
}

function findRealPath(file: string): string | undefined {
  try {
    return realpathSync(resolve(file));
  } catch {
    return undefined; // not on our disk: the process may be in another root
  }
}
