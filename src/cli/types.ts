/** `trapline types`: declarations for TypeScript of a kernel's functions and structures. */

import { ToolError } from "../base/errors.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { parseArguments } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { readInput, writeOutput } from "./output.ts";
import { TYPES_SPEC } from "./specs.ts";
import { findTarget } from "./target.ts";

/** Run the command; the exit code. */
export async function runTypes(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(TYPES_SPEC, argv);
  const target = findTarget(parsed);
  let text: string;
  if (target !== undefined && "gdb" in target) {
    const { connect } = await import("../session/guest/guest-session.ts");
    using guest = connect(target.gdb, target);
    text = guest.declarations(parsed.positionals.length > 0 ? parsed.positionals : undefined);
  } else {
    const [file, ...functions] = parsed.positionals;
    if (file === undefined) {
      throw new ToolError("usage", "the types of which kernel?", {
        hint: "e.g. trapline types /sys/kernel/btf/vmlinux -o kernel.d.ts (or --gdb ADDRESS)",
      });
    }
    const { declareTypes } = await import("../session/guest/type-file.ts");
    text = declareTypes(file, readInput(file), functions);
  }
  const output = parsed.findValue("output");
  if (output === undefined) writeAll(1, text);
  else writeOutput(output, text);
  return ExitCode.Ok;
}
