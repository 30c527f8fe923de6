/**
 * A script from its text to its output, in a world of the test's own making: every pass of the
 * language in order, the IR split or whole.
 */

import { ScriptWriter } from "../../src/report/script-writer.ts";
import { checkProgram } from "../../src/script/check/check-program.ts";
import type { TypedProgram, TypeWorld } from "../../src/script/check/typed-tree.ts";
import { Diagnostics, formatDiagnostic } from "../../src/script/diagnostics.ts";
import type { Dialect } from "../../src/script/dialect.ts";
import { expandProgram } from "../../src/script/expand/expand-program.ts";
import { compileProgram, type Executable } from "../../src/script/interpret/compile.ts";
import { splitProgram } from "../../src/script/ir/capture.ts";
import type { IrProgram } from "../../src/script/ir/ir.ts";
import { lowerProgram } from "../../src/script/ir/lower.ts";
import { parseProgram } from "../../src/script/syntax/parse-program.ts";
import { FakeFiring, FakeRun } from "./script-host.ts";

export interface ScriptOptions {
  readonly dialect: Dialect;
  readonly isSplit?: boolean;
  /** -k and -kk of 0.17. */
  readonly reportsFailures?: boolean;
  readonly positionals?: readonly string[];
  readonly world?: Partial<TypeWorld>;
}

const noWorld: TypeWorld = {
  findArguments: () => undefined,
  findType: () => undefined,
  findConstant: () => undefined,
  findSymbol: () => undefined,
  taskType: undefined,
  pointerSizeBytes: 8,
};

export function checkScript(text: string, options: ScriptOptions): TypedProgram {
  const { dialect, positionals = [] } = options;
  const diagnostics = new Diagnostics();
  const source = { name: "stdin", text };
  const parsed = parseProgram(source, { dialect }, diagnostics);
  const readImport = () => undefined;
  const expanded =
    parsed && expandProgram(parsed, { dialect, positionals, readImport }, diagnostics);
  const checked =
    expanded &&
    checkProgram(
      expanded,
      {
        dialect,
        world: { ...noWorld, ...options.world },
        positionals,
        named: new Map(),
        isUnsafe: true,
        environment: new Map(),
      },
      diagnostics,
    );
  if (checked === undefined || diagnostics.hasErrors) {
    throw new Error(diagnostics.all.map(formatDiagnostic).join(""));
  }
  return checked;
}

export class ScriptRun {
  readonly run: FakeRun = new FakeRun();
  readonly firing: FakeFiring = new FakeFiring();
  readonly ir: IrProgram;
  readonly executable: Executable;
  readonly #dialect: Dialect;

  constructor(text: string, options: ScriptOptions) {
    const whole = lowerProgram(checkScript(text, options));
    this.ir = options.isSplit === true ? splitProgram(whole) : whole;
    this.#dialect = options.dialect;
    this.executable = compileProgram(this.ir, this.run, {
      dialect: options.dialect,
      reportsMapFailures: options.reportsFailures ?? false,
      reportsReadFailures: options.reportsFailures ?? false,
    });
  }

  /** Fire the probes of a provider, all by default, each point once. */
  fire(provider?: string): number | undefined {
    let result: number | undefined;
    for (const probe of this.executable.probes) {
      const points = probe.points.filter(
        (point) => point.provider === (provider ?? point.provider),
      );
      for (let index = 0; index < points.length; index++) result = probe.fire(this.firing);
    }
    return result;
  }

  finish(): void {
    this.executable.finish();
  }

  /** What a user sees, errors and warnings behind `!`. */
  get output(): string {
    let text = "";
    const writer = new ScriptWriter({
      dialect: this.#dialect,
      format: "text",
      isQuiet: true,
      utcOffsetSeconds: () => 0,
      emit: (stream, piece) => {
        text += stream === "out" ? piece : piece.replace(/^/, "!");
      },
    });
    for (const event of this.run.events) writer.write(event);
    return text;
  }
}

/** Fired once, with its maps at the end. */
export function outputOf(text: string, options: ScriptOptions): string {
  const script = new ScriptRun(text, options);
  script.fire();
  script.finish();
  return script.output;
}
