/**
 * A session for looking only (list, check): attached to the process named, or a program loaded for
 * the purpose, stopped before any of its code has run, and ended again.
 */

import { ToolError } from "../base/errors.ts";
import type { Session, SessionOptions } from "../session/api.ts";
import { connect } from "../session/guest/guest-session.ts";
import { findModuleFile } from "../session/program-search.ts";
import { attach, launch } from "../session/session.ts";
import type { ParsedArguments } from "./arguments.ts";
import { describeTarget, findTarget } from "./target.ts";
import { hasGlob, splitWhere } from "./where.ts";

export interface Inspection {
  readonly session: Session;
  /** What is looked at, for messages: `process 12`, `/bin/true, loaded for the purpose`. */
  readonly place: string;
  [Symbol.dispose](): void;
}

/** A program without libraries of its own beyond libc, in which others can be loaded. */
const CARRIERS: readonly string[] = ["true", "/bin/true", "env"];

/** @throws ToolError module.unknown, or what launch and attach throw */
export function openInspection(
  parsed: ParsedArguments,
  wheres: readonly string[],
  options: SessionOptions,
): Inspection {
  const target = findTarget(parsed);
  if (target !== undefined && !("command" in target)) {
    const session =
      "pid" in target
        ? attach(target.pid, options)
        : connect(target.gdb, { ...options, ...target });
    return {
      session,
      place: describeTarget(target),
      [Symbol.dispose]: () => session[Symbol.dispose](),
    };
  }
  if (target !== undefined)
    return openLaunched(target.command, {}, options, describeTarget(target));
  const carrier = planCarrier(wheres);
  return openLaunched([carrier.program], carrier.env, options, carrier.place);
}

interface Carrier {
  readonly program: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly place: string;
}

/** Which program to load so that every module named is there. */
function planCarrier(wheres: readonly string[]): Carrier {
  const modules = wheres
    .map((where) => splitWhere(where).module)
    .filter((name) => name !== undefined);
  const named = [...new Set(modules)].filter((name) => !hasGlob(name));
  const libraries: string[] = [];
  const programs: string[] = [];
  for (const name of named) {
    const found = findModuleFile(name, process.env);
    if (found === undefined) {
      throw new ToolError("module.unknown", `no library or program of the name ${name}`, {
        details: { module: name },
        hint: "give its path, or a process that has it loaded: -p PID",
      });
    }
    (found.kind === "library" ? libraries : programs).push(found.path);
  }
  if (programs.length > 1) {
    throw new ToolError("usage", "one program at a time", {
      hint: `named were: ${programs.join(", ")}`,
    });
  }
  const program = programs[0] ?? findCarrier();
  const preload = [...libraries, process.env.LD_PRELOAD ?? ""]
    .filter((path) => path !== "")
    .join(" ");
  const loaded = libraries.length > 0 ? ` with ${libraries.join(", ")}` : "";
  return {
    program,
    // Without its libraries bound at once, the loader leaves IFUNCs and symbols for later.
    env: preload === "" ? {} : { LD_PRELOAD: preload },
    place: `${program}${loaded}, loaded for the purpose`,
  };
}

function findCarrier(): string {
  for (const name of CARRIERS) {
    const found = findModuleFile(name, process.env);
    if (found !== undefined) return found.path;
  }
  throw new ToolError("usage", "no program to load libraries into was found", {
    hint: "name one: -c CMD, or -p PID",
  });
}

function openLaunched(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  options: SessionOptions,
  place: string,
): Inspection {
  const session = launch(command, {
    ...options,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const dispose = (): void => {
    // None of its code has run, and none of it shall.
    if (session.live) process.kill(session.pid, "SIGKILL");
    session[Symbol.dispose]();
  };
  return { session, place, [Symbol.dispose]: dispose };
}
