/** The program that bad input is tried on. */

import { fileURLToPath } from "node:url";
import { run, type Scratch } from "../../real/support/tools.ts";

const SOURCE = fileURLToPath(new URL("../programs/waits.c", import.meta.url));

/** Gives the program's path. */
export function compileWaits(scratch: Scratch): string {
  const target = scratch.file("waits");
  run("gcc", ["-O1", "-o", target, SOURCE]);
  return target;
}
