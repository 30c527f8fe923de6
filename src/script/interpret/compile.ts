/**
 * Makes a program's IR executable: each probe becomes one JavaScript function, so that a hit costs
 * no walk over a tree.
 */

import type { IrProgram } from "../ir/ir.ts";
import { verifyIr } from "../ir/verify.ts";
import type { AttachPoint } from "../syntax/tree.ts";
import { generateProbe } from "./generate.ts";
import type { Firing, Run } from "./host.ts";
import { Runtime, type RuntimeOptions } from "./runtime.ts";

export interface Executable {
  readonly probes: readonly ExecutableProbe[];
  /** At the end of the run, after the end probes: the maps, by name. */
  finish(): void;
  /** Actions that were ended because their loops did not. */
  readonly loopsEnded: number;
}

export interface ExecutableProbe {
  readonly name: string | undefined;
  readonly points: readonly AttachPoint[];
  /** The body of its function, in JavaScript. */
  readonly code: string;
  /** One execution of the action; what it returned, where it did. */
  fire(firing: Firing): number | undefined;
}

export type CompileOptions = RuntimeOptions;

/** The clock `elapsed` starts now. */
export function compileProgram(ir: IrProgram, run: Run, options: CompileOptions): Executable {
  verifyIr(ir);
  const runtime = new Runtime(run, ir.config, ir.maps, options);
  const probes = ir.probes.map((probe): ExecutableProbe => {
    const { code, constants } = generateProbe(probe, runtime);
    const make = new Function("rt", "c", code) as (
      runtime: Runtime,
      constants: readonly unknown[],
    ) => (firing: Firing) => number | undefined;
    return { name: probe.name, points: probe.points, code, fire: make(runtime, constants) };
  });
  return {
    probes,
    finish: () => {
      if (!ir.config.printsMapsOnExit) return;
      const byName = [...runtime.maps].sort((a, b) => (a.info.name < b.info.name ? -1 : 1));
      for (const map of byName) runtime.printMap(map, 0, 0);
    },
    get loopsEnded() {
      return runtime.loopsEnded;
    },
  };
}
