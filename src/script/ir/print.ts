/**
 * IR as text, for people and golden files: a line for each instruction, its result with its type,
 * and what is known beforehand as `name=value`.
 */

import type { Type } from "../types.ts";
import type { Attributes, Block, Instruction, IrProbe, IrProgram, Node } from "./ir.ts";

export function printIr(program: IrProgram): string {
  return program.probes.map((probe) => printProbe(probe, program)).join("\n");
}

export function printProbe(probe: IrProbe, program: IrProgram): string {
  const printer = new Printer(probe, program);
  return printer.print();
}

class Printer {
  readonly #probe: IrProbe;
  readonly #program: IrProgram;
  readonly #lines: string[] = [];

  constructor(probe: IrProbe, program: IrProgram) {
    this.#probe = probe;
    this.#program = program;
  }

  print(): string {
    const { points, locals, cells, capture, body } = this.#probe;
    this.#line(0, `probe ${points.map((point) => point.text).join(", ")}`);
    locals.forEach((local, index) => {
      this.#line(1, `local l${index}: ${local.type}${local.name === "" ? "" : ` ${local.name}`}`);
    });
    cells.forEach((type, index) => {
      this.#line(1, `cell c${index}: ${type}`);
    });
    if (capture.length > 0) {
      this.#line(1, "capture");
      this.#block(capture, 2);
    }
    this.#line(1, "body");
    this.#block(body, 2);
    return this.#lines.join("");
  }

  #line(depth: number, text: string): void {
    this.#lines.push(`${"  ".repeat(depth)}${text}\n`);
  }

  #block(block: Block, depth: number): void {
    for (const node of block) this.#node(node, depth);
  }

  #node(node: Node, depth: number): void {
    switch (node.kind) {
      case "op":
        return this.#line(depth, this.#instruction(node));
      case "if":
        this.#line(depth, `if %${node.condition}`);
        this.#block(node.onTrue, depth + 1);
        if (node.onFalse.length === 0) return;
        this.#line(depth, "else");
        return this.#block(node.onFalse, depth + 1);
      case "loop":
        this.#line(depth, "loop");
        return this.#block(node.body, depth + 1);
      case "forMap":
        this.#line(depth, `forMap ${this.#mapName(node.map)} local=l${node.local}`);
        return this.#block(node.body, depth + 1);
      case "return":
        return this.#line(depth, node.value === undefined ? "return" : `return %${node.value}`);
      default:
        return this.#line(depth, node.kind);
    }
  }

  #instruction({ op, result, operands, attributes }: Instruction): string {
    const words: string[] = [op, ...operands.map((operand) => `%${operand}`)];
    for (const [name, value] of Object.entries(attributes) as [keyof Attributes, unknown][]) {
      words.push(this.#attribute(name, value, attributes));
    }
    const text = words.join(" ");
    return result === undefined ? text : `%${result}: ${this.#probe.valueTypes[result]} = ${text}`;
  }

  #attribute(name: keyof Attributes, value: unknown, attributes: Attributes): string {
    switch (name) {
      case "value":
        return typeof value === "bigint" ? String(value) : JSON.stringify(value);
      case "map":
        return this.#mapName(attributes.map ?? 0);
      case "local":
        return `l${value}`;
      case "cell":
        return `c${value}`;
      case "relation":
        return String(value);
      case "isLate":
        return "late";
      case "aggregate":
        return attributes.aggregate?.kind ?? "";
      case "types":
        return `types=[${attributes.types?.map(typeText).join(", ")}]`;
      case "format":
        return `format=${JSON.stringify(value)}`;
      default:
        return `${name}=${value}`;
    }
  }

  #mapName(map: number): string {
    return this.#program.maps[map]?.name ?? `map${map}`;
  }
}

function typeText(type: Type): string {
  switch (type.kind) {
    case "int":
      return `${type.isSigned ? "int" : "uint"}${type.sizeBytes * 8}`;
    case "string":
      return `string[${type.sizeBytes}]`;
    case "struct":
      return type.struct.name;
    case "tuple":
      return `(${type.elements.map(typeText).join(", ")})`;
    default:
      return type.kind;
  }
}
