/**
 * The typed tree as text, for `-d types` and golden tests: one statement a line, types behind a
 * colon where they are not plain from what stands there.
 */

import { assertNever } from "../../base/errors.ts";
import type { Type } from "../types.ts";
import { typeText } from "./type-rules.ts";
import type {
  CallOptions,
  MapId,
  TypedExpression,
  TypedProbe,
  TypedProgram,
  TypedStatement,
  VariableId,
} from "./typed-tree.ts";

export function printTyped(program: TypedProgram): string {
  const maps = program.maps.map((map) => {
    const keys = map.keyTypes.map(text).join(", ");
    const limit = map.keysMax === undefined ? "" : ` max ${map.keysMax}${map.isLru ? " lru" : ""}`;
    return `map ${map.name}${keys === "" ? "" : `[${keys}]`}: ${text(map.valueType)}${limit}\n`;
  });
  return (
    maps.join("") + program.probes.map((probe) => new Printer(program, probe).print()).join("")
  );
}

function text(type: Type): string {
  return typeText(type, "head");
}

class Printer {
  readonly #program: TypedProgram;
  readonly #probe: TypedProbe;
  readonly #lines: string[] = [];

  constructor(program: TypedProgram, probe: TypedProbe) {
    this.#program = program;
    this.#probe = probe;
  }

  print(): string {
    const points = this.#probe.points.map((point) => point.text).join(",");
    const name = this.#probe.name === undefined ? "" : `${this.#probe.name} = `;
    this.#lines.push(`probe ${name}${points}`);
    for (const [id, variable] of this.#probe.variables.entries()) {
      this.#lines.push(`  var ${this.#variable(id)}: ${text(variable.type)}`);
    }
    this.#block(this.#probe.body, 1);
    return `${this.#lines.join("\n")}\n`;
  }

  #add(depth: number, line: string): void {
    this.#lines.push("  ".repeat(depth) + line);
  }

  #block(statements: readonly TypedStatement[], depth: number): void {
    for (const statement of statements) this.#statement(statement, depth);
  }

  #statement(node: TypedStatement, depth: number): void {
    switch (node.kind) {
      case "expression":
        return this.#add(depth, this.#show(node.value));
      case "block":
        this.#add(depth, "block");
        return this.#block(node.body, depth + 1);
      case "if":
        this.#add(depth, `if ${this.#show(node.condition)}`);
        this.#block(node.then, depth + 1);
        if (node.else.length === 0) return;
        this.#add(depth, "else");
        return this.#block(node.else, depth + 1);
      case "unroll":
        this.#add(depth, `unroll ${node.count}`);
        return this.#block(node.body, depth + 1);
      case "while":
        this.#add(depth, `while ${this.#show(node.condition)}`);
        return this.#block(node.body, depth + 1);
      case "forRange": {
        const bounds = `${this.#show(node.start)} .. ${this.#show(node.end)}`;
        this.#add(depth, `for ${this.#variable(node.variable)} in ${bounds}`);
        return this.#block(node.body, depth + 1);
      }
      case "forMap":
        this.#add(depth, `for ${this.#variable(node.variable)} in ${this.#map(node.map)}`);
        return this.#block(node.body, depth + 1);
      case "break":
      case "continue":
        return this.#add(depth, node.kind);
      case "return":
        return this.#add(depth, `return${this.#optional(node.value)}`);
      case "setVariable":
        return this.#add(depth, `${this.#variable(node.variable)} = ${this.#show(node.value)}`);
      case "setMap": {
        const place = this.#entry(node.map, node.keys);
        return this.#add(depth, `${place} = ${this.#show(node.value)}`);
      }
      case "aggregate": {
        const place = this.#entry(node.map, node.keys);
        const { kind, ...rest } = node.aggregate;
        const details = Object.entries(rest).map(([name, value]) => ` ${name}=${value}`);
        return this.#add(
          depth,
          `${place} <- ${kind}${details.join("")}${this.#optional(node.value)}`,
        );
      }
      default:
        return assertNever(node);
    }
  }

  #optional(value: TypedExpression | undefined): string {
    return value === undefined ? "" : ` ${this.#show(value)}`;
  }

  /** Blocks end with their variables, so two may have the same name: the second is `$x#1`. */
  #variable(id: VariableId): string {
    const { variables } = this.#probe;
    const name = variables[id]?.name ?? "$?";
    const isFirst = variables.findIndex((one) => one.name === name) === id;
    return isFirst ? name : `${name}#${id}`;
  }

  #map(id: MapId): string {
    return this.#program.maps[id]?.name ?? "@?";
  }

  #entry(map: MapId, keys: readonly TypedExpression[]): string {
    const list = keys.map((key) => this.#show(key)).join(", ");
    return `${this.#map(map)}${keys.length === 0 ? "" : `[${list}]`}`;
  }

  /** An expression; where its type is not that of its parts, `: type` behind it. */
  #show(node: TypedExpression): string {
    switch (node.kind) {
      case "int":
        return `${node.value}:${text(node.type)}`;
      case "bool":
        return String(node.value);
      case "string":
        return JSON.stringify(node.value);
      case "variable":
        return this.#variable(node.variable);
      case "getMap":
        return this.#entry(node.map, node.keys);
      case "readAggregate":
        return `read(${this.#entry(node.map, node.keys)}):${text(node.type)}`;
      case "hasKey":
        return `has(${this.#entry(node.map, node.keys)})`;
      case "deleteKey":
        return `delete(${this.#entry(node.map, node.keys)})`;
      case "mapLength":
        return `length(${this.#map(node.map)})`;
      case "builtin": {
        const isNumbered = node.name === "arg" || node.name === "sarg" || node.name === "args";
        return `${node.name}${isNumbered ? node.index : ""}:${text(node.type)}`;
      }
      case "unary":
        return `(${node.op}${this.#show(node.operand)}):${text(node.type)}`;
      case "not":
        return `!${this.#show(node.operand)}`;
      case "arithmetic":
        return `(${this.#show(node.left)} ${node.op} ${this.#show(node.right)}):${text(node.type)}`;
      case "compare":
        return `(${this.#show(node.left)} ${node.op} ${node.of} ${this.#show(node.right)})`;
      case "logical":
        return `(${this.#show(node.left)} ${node.op} ${this.#show(node.right)})`;
      default:
        return this.#showMore(node);
    }
  }

  #showMore(node: MoreExpression): string {
    switch (node.kind) {
      case "ternary": {
        const branches = `${this.#show(node.then)} : ${this.#show(node.else)}`;
        return `(${this.#show(node.condition)} ? ${branches})`;
      }
      case "let":
        return `(let ${this.#variable(node.variable)} = ${this.#show(node.value)} in ${this.#show(node.in)})`;
      case "increment": {
        const { target } = node;
        const place =
          target.kind === "variable"
            ? this.#variable(target.variable)
            : this.#entry(target.map, target.keys);
        const op = node.delta > 0n ? "++" : "--";
        return node.isPrefix ? `${op}${place}` : `${place}${op}`;
      }
      case "cast":
        return `cast(${this.#show(node.value)}):${text(node.type)}`;
      case "load":
        return `load(${this.#show(node.address)}${this.#bits(node.bits)} ${node.space}):${text(node.type)}`;
      case "extract": {
        const place = `${this.#show(node.value)}, ${this.#show(node.offsetBytes)}`;
        return `extract(${place}${this.#bits(node.bits)}):${text(node.type)}`;
      }
      case "tuple":
        return `(${node.elements.map((one) => this.#show(one)).join(", ")})`;
      case "element":
        return `${this.#show(node.value)}.${node.index}`;
      case "byteAt":
        return `byte(${this.#show(node.value)}, ${this.#show(node.index)})`;
      case "call": {
        const operands = node.operands.map((one) => this.#show(one));
        return `${node.name}(${[...operands, ...this.#options(node.options)].join(", ")})${this.#callType(node.type)}`;
      }
      case "blockExpression":
        return this.#blockExpression(node);
      default:
        return assertNever(node);
    }
  }

  #callType(type: Type): string {
    return type.kind === "none" ? "" : `:${text(type)}`;
  }

  #options(options: CallOptions): readonly string[] {
    return Object.entries(options).map(([name, value]) => {
      if (name === "map") return `map=${this.#map(value as MapId)}`;
      return `${name}=${typeof value === "string" ? JSON.stringify(value) : value}`;
    });
  }

  #bits(bits: { readonly offset: number; readonly count: number } | undefined): string {
    return bits === undefined ? "" : ` bits ${bits.offset}+${bits.count}`;
  }

  #blockExpression(node: Extract<TypedExpression, { kind: "blockExpression" }>): string {
    const inner = new Printer(this.#program, this.#probe);
    inner.#block(node.body, 0);
    return `{ ${[...inner.#lines, ...(node.value === undefined ? [] : [this.#show(node.value)])].join("; ")} }`;
  }
}

type MoreExpression = Extract<
  TypedExpression,
  {
    kind:
      | "ternary"
      | "let"
      | "increment"
      | "cast"
      | "load"
      | "extract"
      | "tuple"
      | "element"
      | "byteAt"
      | "call"
      | "blockExpression";
  }
>;
