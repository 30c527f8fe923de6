/** `trapline run`: a user's module of handlers, in a worker of its own. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { ToolError } from "../base/errors.ts";
import { runHandlers } from "../session/worker/handlers-worker.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { parseArguments } from "./arguments.ts";
import { fromExitStatus } from "./exit-codes.ts";
import { Interrupts } from "./interrupts.ts";
import { RUN_SPEC } from "./specs.ts";
import { describeTarget, getTarget, isExitAlwaysZero, readSessionOptions } from "./target.ts";
import { GRACE_MS } from "./trace.ts";

/** Run the command; the exit code. */
export async function runRun(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(RUN_SPEC, argv);
  const [file, ...others] = parsed.positionals;
  if (file === undefined || others.length > 0) {
    throw new ToolError(
      "usage",
      file === undefined ? "no file of handlers" : "more than one file",
      {
        hint: "e.g. trapline run probes.ts -- ls (see: trapline run --help)",
      },
    );
  }
  const target = getTarget(parsed, "run");
  const alwaysZero = isExitAlwaysZero(parsed);
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new ToolError("file.unreadable", `no such file: ${file}`, { details: { path } });
  }
  using interrupts = new Interrupts();
  const { status, isOutputClosed } = await runHandlers({
    module: path,
    target,
    options: readSessionOptions(parsed),
    signal: interrupts,
    graceMs: GRACE_MS,
  });
  if (status.kind === "detached" && !isOutputClosed && !parsed.has("quiet")) {
    writeAll(2, `trapline: detached, ${describeTarget(target)} goes on\n`);
  }
  return fromExitStatus(status, {
    isLaunched: "command" in target,
    isInterrupted: interrupts.count > 0,
    alwaysZero,
  });
}
