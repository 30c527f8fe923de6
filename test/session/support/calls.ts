/** The program calls.c, launched for tests of its calls. */

import type { ExitStatus, LaunchOptions } from "../../../src/index.ts";
import { build, type LaunchedProgram, launchProgram } from "../../support/programs.ts";

/** Every function of the program that counts its calls. */
export const FUNCTIONS: readonly string[] = [
  ...["f", "g", "h", "fib", "sum_all", "tail_first", "tail_second", "return_char", "return_short"],
  ...["return_bool", "return_pair", "return_big", "return_double", "return_pointer"],
  ...["six_and_more", "no_arguments"],
];

/** What it does unless told otherwise. */
export const ROUNDS = 10;

export const ok: ExitStatus = { kind: "exited", code: 0 };

/** The program, launched. */
export function calls(options: LaunchOptions = {}, rounds: number = ROUNDS): LaunchedProgram {
  return launchProgram([build("calls.c"), String(rounds)], options);
}
