/**
 * Holds a program's IR to its rules: every value is defined once and before its uses, operands and
 * results are of the types of the operation table, breaks lie in loops, the capture section does
 * nothing but read, and what the body still reads is marked as late.
 */

import { assert, BugError } from "../../base/errors.ts";
import type { Block, Instruction, IrProbe, IrProgram, IrType, Node, ValueId } from "./ir.ts";
import { irTypeOf, isIrInt } from "./lower.ts";
import { OPS, type OperandRule } from "./ops.ts";

/** @throws BugError that says which instruction breaks which rule. */
export function verifyIr(program: IrProgram): void {
  for (const probe of program.probes) new Verifier(program, probe).verify();
}

type Section = "capture" | "body";

class Verifier {
  readonly #program: IrProgram;
  readonly #probe: IrProbe;
  readonly #defined = new Set<ValueId>();
  /** What of the defined values can be seen here: those of the blocks around. */
  #visible = new Set<ValueId>();
  /** Values that a checkRead may follow. */
  readonly #reads = new Set<ValueId>();
  readonly #cellsSet = new Set<number>();
  #section: Section = "body";
  #loopDepth = 0;

  constructor(program: IrProgram, probe: IrProbe) {
    this.#program = program;
    this.#probe = probe;
  }

  verify(): void {
    this.#section = "capture";
    this.#block(this.#probe.capture);
    this.#section = "body";
    this.#block(this.#probe.body);
  }

  #block(block: Block): void {
    const outer = this.#visible;
    this.#visible = new Set(outer);
    for (const node of block) this.#node(node);
    this.#visible = outer;
  }

  #node(node: Node): void {
    switch (node.kind) {
      case "op":
        return this.#instruction(node);
      case "if":
        this.#use(node.condition, "if");
        this.#must(this.#typeOf(node.condition) === "bool", "if", "its condition is no bool");
        this.#block(node.onTrue);
        return this.#block(node.onFalse);
      case "loop":
      case "forMap":
        this.#must(this.#section === "body", node.kind, "a loop in the capture section");
        if (node.kind === "forMap") this.#checkForMap(node);
        this.#loopDepth++;
        this.#block(node.body);
        this.#loopDepth--;
        return;
      case "break":
      case "continue":
        return this.#must(this.#loopDepth > 0, node.kind, "it is in no loop");
      case "return":
        if (node.value === undefined) return;
        this.#use(node.value, "return");
        return this.#must(isIrInt(this.#typeOf(node.value)), "return", "its value is no integer");
    }
  }

  #checkForMap(node: Node & { kind: "forMap" }): void {
    const local = this.#probe.locals[node.local];
    this.#must(local?.type === "tuple", "forMap", `l${node.local} is no tuple`);
    const map = this.#program.maps[node.map];
    this.#must((map?.keyTypes.length ?? 0) > 0, "forMap", `map ${node.map} has no keys`);
  }

  #instruction(instruction: Instruction): void {
    const { op, operands, result, attributes } = instruction;
    const spec = OPS[op];
    for (const operand of operands) this.#use(operand, op);
    const count = spec.operands.length;
    const isCountRight = spec.hasRest ? operands.length >= count : operands.length === count;
    this.#must(isCountRight, op, `it has ${operands.length} operands`);
    for (const [index, rule] of spec.operands.entries()) {
      this.#checkOperand(instruction, rule, index);
    }
    for (const name of spec.attributes) {
      this.#must(attributes[name] !== undefined, op, `it lacks ${name}`);
    }
    this.#must((result === undefined) === (spec.result === "none"), op, "its result");
    this.#checkSection(instruction);
    this.#checkReference(instruction);
    if (result !== undefined) this.#define(result, instruction);
  }

  #checkOperand({ op, operands }: Instruction, rule: OperandRule, index: number): void {
    const [first = 0] = operands;
    const type = this.#typeOf(operands[index] ?? 0);
    const isRight =
      rule === "any" ||
      (rule === "int" && isIrInt(type)) ||
      (rule === "chars" && (type === "string" || type === "text")) ||
      (rule === "same" && type === this.#typeOf(first)) ||
      rule === type;
    this.#must(isRight, op, `operand ${index} is ${type}`);
  }

  #define(result: ValueId, instruction: Instruction): void {
    const { op, operands } = instruction;
    this.#must(!this.#defined.has(result), op, `%${result} is defined twice`);
    const type = this.#typeOf(result);
    const rule = OPS[op].result;
    const [first = 0] = operands;
    const isRight =
      rule === "any" ||
      (rule === "int" && isIrInt(type)) ||
      (rule === "first" && type === this.#typeOf(first)) ||
      rule === type;
    this.#must(isRight, op, `its result is ${type}`);
    this.#defined.add(result);
    this.#visible.add(result);
    if (OPS[op].effect === "machine" || op === "getCell") this.#reads.add(result);
  }

  #checkSection({ op, attributes }: Instruction): void {
    const { effect } = OPS[op];
    if (this.#section === "capture") {
      const isAllowed = effect === "machine" || effect === "pure" || effect === "local";
      this.#must(isAllowed && op !== "getCell", op, `it is ${effect}, in the capture section`);
    } else {
      this.#must(op !== "setCell", op, "it is in the body");
      const isLate = effect !== "machine" || attributes.isLate === true;
      this.#must(this.#probe.capture.length === 0 || isLate, op, "it is not marked as late");
    }
  }

  #checkReference({ op, operands, result, attributes }: Instruction): void {
    const { local, cell, map } = attributes;
    if (map !== undefined) this.#checkMap(op, map, operands);
    if (result === undefined && operands.length === 0) return;
    const [first = 0] = operands;
    const type = this.#typeOf(op.startsWith("set") ? first : (result ?? first));
    if (local !== undefined) {
      this.#must(this.#probe.locals[local]?.type === type, op, `l${local} is not ${type}`);
    }
    if (cell !== undefined) {
      this.#must(this.#probe.cells[cell] === type, op, `c${cell} is not ${type}`);
      this.#must(op !== "setCell" || !this.#cellsSet.has(cell), op, `c${cell} is set twice`);
      this.#cellsSet.add(cell);
    }
    if (op === "checkRead") {
      this.#must(this.#reads.has(first), op, `%${first} is no read`);
    }
  }

  #checkMap(op: Instruction["op"], map: number, operands: readonly ValueId[]): void {
    const info = this.#program.maps[map];
    this.#must(info !== undefined, op, `there is no map ${map}`);
    assert(info !== undefined, "the rule above holds");
    const isOfAll = ["mapLength", "mapClear", "mapZero", "printMap"].includes(op);
    if (isOfAll) return;
    const keyCount = info.keyTypes.length;
    this.#must(operands.length >= keyCount, op, "it lacks keys");
    info.keyTypes.forEach((type, index) => {
      const is = this.#typeOf(operands[index] ?? 0);
      this.#must(is === irTypeOf(type), op, `key ${index} is ${is}`);
    });
    if (op !== "mapSet") return;
    const value = this.#typeOf(operands[keyCount] ?? 0);
    this.#must(value === irTypeOf(info.valueType), op, `the value is ${value}`);
  }

  #use(value: ValueId, op: string): void {
    this.#must(this.#visible.has(value), op, `%${value} is not defined here`);
  }

  #typeOf(value: ValueId): IrType {
    const type = this.#probe.valueTypes[value];
    if (type === undefined) throw new BugError(`IR: %${value} has no type`);
    return type;
  }

  #must(condition: boolean, op: string, problem: string): void {
    if (!condition) throw new BugError(`IR: ${op}: ${problem}`);
  }
}
