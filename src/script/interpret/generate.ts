/**
 * One probe's IR to the text of one JavaScript function of a firing `f`. What it refers to comes
 * in as `rt` (runtime.ts), `run`, the maps `m0`, `m1`, ... and constants `c0`, `c1`, ...; values
 * are `v`, locals `l`, cells `s` with their numbers.
 */

import { assert, assertNever } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Block, Instruction, IrProbe, IrType, Node, ValueId } from "../ir/ir.ts";
import { generateOp } from "./generate-op.ts";
import type { Runtime } from "./runtime.ts";
import { type Value, zeroOf } from "./values.ts";

export interface GeneratedProbe {
  readonly code: string;
  readonly constants: readonly unknown[];
}

export function generateProbe(probe: IrProbe, runtime: Runtime): GeneratedProbe {
  const generator = new Generator(probe, runtime);
  return generator.generate();
}

export class Generator {
  readonly probe: IrProbe;
  readonly runtime: Runtime;
  readonly #constants: unknown[] = [];
  readonly #literals = new Map<ValueId, string>();
  /** Reads whose failure is told: a `checkRead` follows. */
  readonly #checked = new Set<ValueId>();
  readonly #checkedCells = new Set<number>();
  #lines: string[] = [];
  #hasLoops = false;

  constructor(probe: IrProbe, runtime: Runtime) {
    this.probe = probe;
    this.runtime = runtime;
  }

  generate(): GeneratedProbe {
    const { probe } = this;
    if (this.runtime.options.reportsReadFailures) {
      this.#findChecked(probe.body);
      this.#findCheckedCells(probe.body);
      this.#findCheckedCaptures(probe.capture);
    }
    probe.locals.forEach((local, index) => {
      this.line(`let l${index} = ${this.zero(zeroOf(local.of))};`);
    });
    probe.cells.forEach((type, index) => {
      this.line(`let s${index} = ${zeroLiteral(type)}, sx${index} = false;`);
    });
    if (probe.capture.length > 0) {
      this.line("capture: {");
      this.#block(probe.capture, "break capture;");
      this.line("}");
    }
    this.#block(probe.body, undefined);
    const body = this.#lines;
    const names = this.#constants.map((_, index) => `const c${index} = c[${index}];`);
    const maps = this.runtime.maps.map((_, index) => `const m${index} = rt.maps[${index}];`);
    const code = [
      '"use strict";',
      "const run = rt.run;",
      ...names,
      ...maps,
      "return function fire(f) {",
      ...(this.#hasLoops ? ["let rounds = 0;"] : []),
      ...body,
      "};",
    ].join("\n");
    return { code, constants: this.#constants };
  }

  line(text: string): void {
    this.#lines.push(text);
  }

  constant(value: unknown): string {
    this.#constants.push(value);
    return `c${this.#constants.length - 1}`;
  }

  /** A value as code: its literal, or the variable that holds it. */
  value(id: ValueId): string {
    return this.#literals.get(id) ?? `v${id}`;
  }

  typeOf(id: ValueId): IrType {
    const type = this.probe.valueTypes[id];
    assert(type !== undefined, `value ${id} has no type`);
    return type;
  }

  isChecked(id: ValueId): boolean {
    return this.#checked.has(id);
  }

  isLiteral(id: ValueId): boolean {
    return this.#literals.has(id);
  }

  setLiteral(id: ValueId, text: string): void {
    this.#literals.set(id, text);
  }

  site(instruction: Instruction): number {
    return this.runtime.site(instruction.range);
  }

  zero(value: Value): string {
    if (typeof value === "object") return this.constant(value);
    return literalOf(value);
  }

  #findChecked(block: Block): void {
    visitInstructions(block, ({ op, operands }) => {
      if (op === "checkRead") for (const id of operands) this.#checked.add(id);
    });
  }

  /** A read whose failure is told may be in a cell: then the capture section notes it. */
  #findCheckedCells(block: Block): void {
    visitInstructions(block, ({ op, result, attributes }) => {
      if (op !== "getCell" || result === undefined || !this.#checked.has(result)) return;
      this.#checkedCells.add(attributes.cell ?? 0);
    });
  }

  #findCheckedCaptures(block: Block): void {
    visitInstructions(block, ({ op, operands, attributes }) => {
      if (op !== "setCell" || !this.#checkedCells.has(attributes.cell ?? 0)) return;
      for (const id of operands) this.#checked.add(id);
    });
  }

  /** leave: what a return is in the capture section. */
  #block(block: Block, leave: string | undefined): void {
    for (const node of block) this.#node(node, leave);
  }

  #node(node: Node, leave: string | undefined): void {
    switch (node.kind) {
      case "op":
        return generateOp(this, node);
      case "if":
        this.line(`if (${this.value(node.condition)}) {`);
        this.#block(node.onTrue, leave);
        if (node.onFalse.length > 0) {
          this.line("} else {");
          this.#block(node.onFalse, leave);
        }
        return this.line("}");
      case "loop":
        this.line("for (;;) {");
        this.#countRound(node);
        this.#block(node.body, leave);
        return this.line("}");
      case "forMap": {
        const map = `m${node.map}`;
        this.line(`for (const key of ${map}.keysNow()) {`);
        this.line(`const entry = ${map}.table.get(key);`);
        this.line("if (entry === undefined) continue;");
        this.#countRound(node);
        this.line(`l${node.local} = ${map}.pair(entry);`);
        this.#block(node.body, leave);
        return this.line("}");
      }
      case "break":
      case "continue":
        return this.line(`${node.kind};`);
      case "return":
        if (leave !== undefined) return this.line(leave);
        return this.line(
          node.value === undefined ? "return;" : `return Number(${this.value(node.value)});`,
        );
      default:
        return assertNever(node);
    }
  }

  #countRound(node: Node & { kind: "loop" | "forMap" }): void {
    this.#hasLoops = true;
    const site = this.runtime.site(node.range);
    const max = limits.scriptLoopRoundsMax;
    this.line(`if (++rounds > ${max}) { rt.loopTooLong(${site}); return; }`);
  }
}

function visitInstructions(block: Block, visit: (instruction: Instruction) => void): void {
  for (const node of block) {
    if (node.kind === "op") visit(node);
    else if (node.kind === "if") {
      visitInstructions(node.onTrue, visit);
      visitInstructions(node.onFalse, visit);
    } else if (node.kind === "loop" || node.kind === "forMap") visitInstructions(node.body, visit);
  }
}

/** As JavaScript has it; a negative bigint in parentheses. */
export function literalOf(value: bigint | boolean | string): string {
  if (typeof value === "bigint") return value < 0n ? `(${value}n)` : `${value}n`;
  return JSON.stringify(value);
}

function zeroLiteral(type: IrType): string {
  switch (type) {
    case "s64":
    case "u64":
      return "0n";
    case "bool":
      return "false";
    case "string":
    case "text":
      return '""';
    default:
      return "undefined";
  }
}
