/**
 * Splits a probe in two. The capture section comes first and reads the machine: every read whose
 * operands, and the conditions it lies under, need nothing but other reads and pure work. What it
 * read lies in cells; the body works on those. So the target need not wait for the body, and the
 * capture section can run where the body cannot.
 *
 * Reads that cannot fail and cost next to nothing (arguments in registers, thread ids) are captured
 * also where it is not known whether they will be needed.
 *
 * A read stays in the body, marked as late, where it depends on the program's state, lies in a
 * loop, may come after a deed that changes what is read, or after a return that depends on any of
 * these. Reads of clocks keep their order among each other. Whether a read failed is told where it
 * always was: a cell remembers it.
 */

import { assert } from "../../base/errors.ts";
import type {
  Attributes,
  Block,
  Instruction,
  IrLocal,
  IrProbe,
  IrProgram,
  IrType,
  LocalId,
  Node,
  ValueId,
} from "./ir.ts";
import { OPS, type OpName } from "./ops.ts";

export function splitProgram(program: IrProgram): IrProgram {
  return { ...program, probes: program.probes.map(splitProbe) };
}

export function splitProbe(probe: IrProbe): IrProbe {
  assert(probe.capture.length === 0, "a probe is split once");
  const early = findEarly(probe);
  if (early.reads.size === 0) return { ...probe, body: markLate(probe.body) };
  return new Splitter(probe, early).split();
}

/** What can be done in the capture section. */
interface Early {
  readonly values: ReadonlySet<ValueId>;
  /** The reads of the machine among them. */
  readonly reads: ReadonlySet<ValueId>;
  /** Settings of locals to such values, where it is known that they are made. */
  readonly settings: ReadonlySet<Instruction>;
  /** Nodes other than instructions of which it is known whether they are reached. */
  readonly nodes: ReadonlySet<Node>;
}

/** What is known at a point of the program. */
interface Point {
  /** Locals that hold what the capture section cannot know. */
  readonly lateLocals: Set<LocalId>;
  hasActed: boolean;
}

function findEarly(probe: IrProbe): Early {
  const finder = new EarlyFinder();
  finder.block(probe.body, { lateLocals: new Set(), hasActed: false }, true);
  return finder;
}

class EarlyFinder implements Early {
  readonly values: Set<ValueId> = new Set();
  readonly reads: Set<ValueId> = new Set();
  readonly settings: Set<Instruction> = new Set();
  readonly nodes: Set<Node> = new Set();
  /** A return has been passed of which the capture section cannot know. */
  #mayHaveLeft = false;
  #hasLateClock = false;

  /**
   * isKnown: whether this block is reached is known early.
   * @returns whether its end can be reached.
   */
  block(block: Block, point: Point, isKnown: boolean): boolean {
    let isReached = true;
    for (const node of block) {
      // What follows a return is never reached, and so neither early nor of any matter.
      if (isReached) isReached = this.#node(node, point, isKnown && !this.#mayHaveLeft);
    }
    return isReached;
  }

  #node(node: Node, point: Point, isKnown: boolean): boolean {
    switch (node.kind) {
      case "op":
        this.#instruction(node, point, isKnown);
        return true;
      case "if":
        return this.#if(node, point, isKnown);
      case "loop":
      case "forMap":
        this.#loop(node, point);
        return true;
      case "return":
        if (isKnown) this.nodes.add(node);
        else this.#mayHaveLeft = true;
        return false;
      default:
        return false;
    }
  }

  #instruction(instruction: Instruction, point: Point, isKnown: boolean): void {
    const { op, operands, result, attributes } = instruction;
    const { effect } = OPS[op];
    if (effect === "act") point.hasActed = true;
    const hasEarlyOperands = operands.every((operand) => this.values.has(operand));
    if (op === "setLocal" && attributes.local !== undefined) {
      const isEarly = isKnown && hasEarlyOperands;
      if (isEarly) {
        this.settings.add(instruction);
        point.lateLocals.delete(attributes.local);
      } else point.lateLocals.add(attributes.local);
    }
    if (result !== undefined && !point.hasActed && isCheap(op)) {
      this.values.add(result);
      this.reads.add(result);
      return;
    }
    if (result === undefined || !isKnown || !hasEarlyOperands) {
      if (op === "clock") this.#hasLateClock = true;
      return;
    }
    if (effect === "pure") this.values.add(result);
    else if (op === "getLocal") {
      if (!point.lateLocals.has(attributes.local ?? 0)) this.values.add(result);
    } else if (effect === "machine") {
      const isLate = point.hasActed || (op === "clock" && this.#hasLateClock);
      if (op === "clock" && isLate) this.#hasLateClock = true;
      if (isLate) return;
      this.values.add(result);
      this.reads.add(result);
    }
  }

  #if(node: Node & { kind: "if" }, point: Point, isKnownBefore: boolean): boolean {
    const isKnown = isKnownBefore && this.values.has(node.condition);
    if (isKnown) this.nodes.add(node);
    const onTrue = copyOf(point);
    const onFalse = copyOf(point);
    const trueFalls = this.block(node.onTrue, onTrue, isKnown);
    const falseFalls = this.block(node.onFalse, onFalse, isKnown);
    const ends = [...(trueFalls ? [onTrue] : []), ...(falseFalls ? [onFalse] : [])];
    point.lateLocals.clear();
    point.hasActed = false;
    for (const end of ends) {
      for (const local of end.lateLocals) point.lateLocals.add(local);
      point.hasActed ||= end.hasActed;
    }
    return ends.length > 0;
  }

  /** Nothing in a loop is early, and what it sets and does is known to nobody behind it. */
  #loop(node: Node & { kind: "loop" | "forMap" }, point: Point): void {
    if (node.kind === "forMap") point.lateLocals.add(node.local);
    const visit = (block: Block): void => {
      for (const inner of block) {
        if (inner.kind === "op") {
          const { op, attributes } = inner;
          if (op === "setLocal") point.lateLocals.add(attributes.local ?? 0);
          if (op === "clock") this.#hasLateClock = true;
          if (OPS[op].effect === "act") point.hasActed = true;
        } else if (inner.kind === "if") {
          visit(inner.onTrue);
          visit(inner.onFalse);
        } else if (inner.kind === "return") this.#mayHaveLeft = true;
        else if (inner.kind === "loop" || inner.kind === "forMap") {
          if (inner.kind === "forMap") point.lateLocals.add(inner.local);
          visit(inner.body);
        }
      }
    };
    visit(node.body);
    if (!point.hasActed) this.#takeCheap(node.body);
  }

  /** Out of a loop that does nothing to the target. */
  #takeCheap(block: Block): void {
    for (const node of block) {
      if (node.kind === "op") {
        if (node.result === undefined || !isCheap(node.op)) continue;
        this.values.add(node.result);
        this.reads.add(node.result);
      } else if (node.kind === "if") {
        this.#takeCheap(node.onTrue);
        this.#takeCheap(node.onFalse);
      } else if (node.kind === "loop" || node.kind === "forMap") this.#takeCheap(node.body);
    }
  }
}

const CHEAP: readonly OpName[] = ["arg", "returnValue", "processId", "threadId", "cpu"];

function isCheap(op: OpName): boolean {
  return CHEAP.includes(op);
}

function copyOf(point: Point): Point {
  return { lateLocals: new Set(point.lateLocals), hasActed: point.hasActed };
}

class Splitter {
  readonly #probe: IrProbe;
  readonly #early: Early;
  /** Of the reads, in order of the program. */
  readonly #cells = new Map<ValueId, number>();
  readonly #cellTypes: IrType[] = [];
  readonly #valueTypes: IrType[];
  readonly #locals: IrLocal[];
  /** The capture section's own values and locals, by those of the body. */
  readonly #values = new Map<ValueId, ValueId>();
  readonly #localCopies = new Map<LocalId, LocalId>();
  readonly #neededValues = new Set<ValueId>();
  readonly #neededLocals = new Set<LocalId>();

  constructor(probe: IrProbe, early: Early) {
    this.#probe = probe;
    this.#early = early;
    this.#valueTypes = [...probe.valueTypes];
    this.#locals = [...probe.locals];
  }

  split(): IrProbe {
    for (const read of [...this.#early.reads].sort((a, b) => a - b)) {
      this.#cells.set(read, this.#cellTypes.length);
      this.#cellTypes.push(this.#typeOf(read));
    }
    this.#findNeeded();
    const capture = this.#capture(this.#probe.body);
    return {
      ...this.#probe,
      valueTypes: this.#valueTypes,
      locals: this.#locals,
      cells: this.#cellTypes,
      capture,
      body: markLate(this.#fromCells(this.#probe.body)),
    };
  }

  #typeOf(value: ValueId): IrType {
    const type = this.#probe.valueTypes[value];
    assert(type !== undefined, `value ${value} has no type`);
    return type;
  }

  /** What reads and their conditions are made of, until no more is found. */
  #findNeeded(): void {
    for (let before = -1; before !== this.#neededValues.size + this.#neededLocals.size; ) {
      before = this.#neededValues.size + this.#neededLocals.size;
      this.#need(this.#probe.body);
    }
  }

  /** True where something of the block goes into the capture section. */
  #need(block: Block): boolean {
    let isUsed = false;
    for (const node of block) {
      if (node.kind === "op") {
        if (!this.#isTaken(node)) continue;
        isUsed = true;
        for (const operand of node.operands) this.#neededValues.add(operand);
        if (node.op === "getLocal") this.#neededLocals.add(node.attributes.local ?? 0);
      } else if (this.#early.nodes.has(node)) {
        if (node.kind === "return") isUsed = true;
        if (node.kind !== "if") continue;
        const isNeeded = [node.onTrue, node.onFalse].map((branch) => this.#need(branch));
        if (!isNeeded.includes(true)) continue;
        isUsed = true;
        this.#neededValues.add(node.condition);
      } else {
        for (const inner of blocksOf(node)) isUsed = this.#need(inner) || isUsed;
      }
    }
    return isUsed;
  }

  #isTaken(instruction: Instruction): boolean {
    const { op, result, attributes } = instruction;
    if (op === "setLocal") {
      return this.#early.settings.has(instruction) && this.#neededLocals.has(attributes.local ?? 0);
    }
    if (result === undefined || !this.#early.values.has(result)) return false;
    return this.#early.reads.has(result) || this.#neededValues.has(result);
  }

  #capture(block: Block): Block {
    const nodes: Node[] = [];
    for (const node of block) {
      if (node.kind === "op") {
        if (this.#isTaken(node)) this.#captureInstruction(node, nodes);
      } else if (node.kind === "if" && this.#early.nodes.has(node)) {
        const onTrue = this.#capture(node.onTrue);
        const onFalse = this.#capture(node.onFalse);
        if (onTrue.length + onFalse.length === 0) continue;
        nodes.push({ kind: "if", condition: this.#valueCopy(node.condition), onTrue, onFalse });
      } else if (node.kind === "return" && this.#early.nodes.has(node)) {
        nodes.push({ kind: "return", value: undefined });
      } else {
        for (const inner of blocksOf(node)) nodes.push(...this.#capture(inner));
      }
    }
    return nodes;
  }

  #captureInstruction(instruction: Instruction, nodes: Node[]): void {
    const { result, operands, attributes, range } = instruction;
    const copied = operands.map((operand) => this.#valueCopy(operand));
    const { local } = attributes;
    const known: Attributes =
      local === undefined ? attributes : { ...attributes, local: this.#localCopy(local) };
    if (result === undefined) {
      nodes.push({ ...instruction, operands: copied, attributes: known });
      return;
    }
    const copy = this.#valueTypes.length;
    this.#valueTypes.push(this.#typeOf(result));
    this.#values.set(result, copy);
    nodes.push({ ...instruction, result: copy, operands: copied, attributes: known });
    const cell = this.#cells.get(result);
    if (cell === undefined) return;
    const attributesOfCell: Attributes = { cell };
    nodes.push({
      kind: "op",
      op: "setCell",
      result: undefined,
      operands: [copy],
      attributes: attributesOfCell,
      range,
    });
  }

  #valueCopy(value: ValueId): ValueId {
    const copy = this.#values.get(value);
    assert(copy !== undefined, `value ${value} is not in the capture section`);
    return copy;
  }

  #localCopy(local: LocalId): LocalId {
    const known = this.#localCopies.get(local);
    if (known !== undefined) return known;
    const original = this.#locals[local];
    assert(original !== undefined, `local ${local} does not exist`);
    this.#locals.push(original);
    this.#localCopies.set(local, this.#locals.length - 1);
    return this.#locals.length - 1;
  }

  #fromCells(block: Block): Block {
    return mapInstructions(block, (instruction) => {
      const { result } = instruction;
      const cell = result === undefined ? undefined : this.#cells.get(result);
      if (cell === undefined) return instruction;
      return { ...instruction, op: "getCell", operands: [], attributes: { cell } };
    });
  }
}

function blocksOf(node: Node): readonly Block[] {
  if (node.kind === "if") return [node.onTrue, node.onFalse];
  return node.kind === "loop" || node.kind === "forMap" ? [node.body] : [];
}

function markLate(block: Block): Block {
  return mapInstructions(block, (instruction) => {
    if (OPS[instruction.op].effect !== "machine") return instruction;
    return { ...instruction, attributes: { ...instruction.attributes, isLate: true } };
  });
}

function mapInstructions(block: Block, map: (instruction: Instruction) => Instruction): Block {
  return block.map((node): Node => {
    switch (node.kind) {
      case "op":
        return map(node);
      case "if": {
        const onTrue = mapInstructions(node.onTrue, map);
        return { ...node, onTrue, onFalse: mapInstructions(node.onFalse, map) };
      }
      case "loop":
      case "forMap":
        return { ...node, body: mapInstructions(node.body, map) };
      default:
        return node;
    }
  });
}
