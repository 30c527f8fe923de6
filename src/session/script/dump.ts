/** A program after each of its passes, for `-d`. */

import { printTyped } from "../../script/check/print-typed.ts";
import type { Executable } from "../../script/interpret/compile.ts";
import { printIr } from "../../script/ir/print.ts";
import { printProgram } from "../../script/syntax/print-program.ts";
import type { Program } from "../../script/syntax/tree.ts";
import type { CheckedProgram } from "./program.ts";
import type { DumpStage } from "./settings.ts";

/** The text of the stages asked for, as far as the program came. */
export function dumpProgram(
  stages: readonly DumpStage[],
  program: Program,
  checked: CheckedProgram | undefined,
  compile: (checked: CheckedProgram) => Executable,
): string {
  return stages.map((stage) => `${dumpStage(stage, program, checked, compile)}\n`).join("");
}

function dumpStage(
  stage: DumpStage,
  program: Program,
  checked: CheckedProgram | undefined,
  compile: (checked: CheckedProgram) => Executable,
): string {
  if (stage === "ast") return printProgram(program).trimEnd();
  if (checked === undefined) return "";
  if (stage === "types") return printTyped(checked.typed).trimEnd();
  if (stage === "ir") return printIr(checked.ir).trimEnd();
  return compile(checked)
    .probes.map(({ points, code }) => `// ${points.map((point) => point.text).join(", ")}\n${code}`)
    .join("\n")
    .trimEnd();
}
