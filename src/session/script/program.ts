/** The passes of a script, from its text to what can be executed, and what each of them shows. */

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { checkProgram } from "../../script/check/check-program.ts";
import type { Config, TypedProgram, TypeWorld } from "../../script/check/typed-tree.ts";
import type { Diagnostics } from "../../script/diagnostics.ts";
import { expandProgram } from "../../script/expand/expand-program.ts";
import { compileProgram, type Executable } from "../../script/interpret/compile.ts";
import type { Run } from "../../script/interpret/host.ts";
import type { IrProgram } from "../../script/ir/ir.ts";
import { lowerProgram } from "../../script/ir/lower.ts";
import type { Source } from "../../script/source.ts";
import { parseProgram } from "../../script/syntax/parse-program.ts";
import type { Program } from "../../script/syntax/tree.ts";
import type { ScriptSettings } from "./settings.ts";

/** The tree, macros and imports done; undefined when there were errors. */
export function readProgram(
  settings: ScriptSettings,
  hasTypes: boolean,
  diagnostics: Diagnostics,
): Program | undefined {
  const { dialect, positionals } = settings;
  const source: Source = { name: settings.name, text: settings.text };
  const parsed = parseProgram(source, { dialect, hasTypes }, diagnostics);
  if (parsed === undefined) return undefined;
  const options = { dialect, hasTypes, positionals, readImport };
  const program = expandProgram(parsed, options, diagnostics);
  return diagnostics.hasErrors ? undefined : program;
}

/** What is checked and lowered. */
export interface CheckedProgram {
  readonly config: Config;
  readonly typed: TypedProgram;
  readonly ir: IrProgram;
}

/** The program checked and lowered; undefined when there were errors. */
export function checkAndLower(
  program: Program,
  settings: ScriptSettings,
  world: TypeWorld,
  diagnostics: Diagnostics,
): CheckedProgram | undefined {
  const typed = checkProgram(
    program,
    {
      dialect: settings.dialect,
      world,
      positionals: settings.positionals,
      named: new Map(settings.named),
      isUnsafe: settings.isUnsafe,
      environment: new Map(Object.entries(settings.environment)),
    },
    diagnostics,
  );
  if (typed === undefined || diagnostics.hasErrors) return undefined;
  const ir = lowerProgram(typed);
  return { config: typed.config, typed, ir };
}

export function compile(checked: CheckedProgram, run: Run, settings: ScriptSettings): Executable {
  const { dialect, helperChecks } = settings;
  const isOld = dialect === "0.17";
  return compileProgram(checked.ir, run, {
    dialect,
    reportsMapFailures: isOld && helperChecks > 0,
    reportsReadFailures: helperChecks > (isOld ? 1 : 0),
  });
}

/** A path of an import is meant from the file that imports. */
function readImport(path: string, importer: Source): Source | undefined {
  const name = resolve(dirname(importer.name), path);
  for (const candidate of [name, `${name}.bt`]) {
    try {
      return { name: candidate, text: readFileSync(candidate, "utf8") };
    } catch {
      // Under another name, or not at all.
    }
  }
  return undefined;
}
