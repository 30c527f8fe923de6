/** Instructions to JavaScript: an expression for each that gives a value, a line for the others. */

import { assert } from "../../base/errors.ts";
import type { Instruction, IrType, ValueId } from "../ir/ir.ts";
import { sizeBytesOf } from "../ir/layout.ts";
import { OPS } from "../ir/ops.ts";
import { type Known, pureFunctions } from "./functions.ts";
import { type Generator, literalOf } from "./generate.ts";
import { generateMapOp } from "./generate-map.ts";
import { generateRead } from "./generate-read.ts";
import {
  bytesOfInteger,
  bytesOfText,
  compareValues,
  readInteger,
  sliceBytes,
  textOfBytes,
  textUpToNul,
  zeroOf,
} from "./values.ts";

export function generateOp(g: Generator, instruction: Instruction): void {
  const { op, result, attributes } = instruction;
  if (op === "const") {
    assert(attributes.value !== undefined && result !== undefined, "a const has a value");
    return g.setLiteral(result, literalOf(attributes.value));
  }
  const operands = instruction.operands.map((id) => g.value(id));
  const { effect } = OPS[op];
  if (effect === "machine") return generateRead(g, instruction, operands);
  if (attributes.map !== undefined) return generateMapOp(g, instruction, operands);
  if (effect === "output" || effect === "act") return generateOutput(g, instruction, operands);
  if (effect === "local") return generateLocal(g, instruction, operands);
  assert(result !== undefined, `${op} gives a value`);
  g.line(`const v${result} = ${expressionOf(g, instruction, operands)};`);
}

/** The 64 bits of an exact result. */
function wrapped(type: IrType, text: string): string {
  return type === "s64" ? `BigInt.asIntN(64, ${text})` : `BigInt.asUintN(64, ${text})`;
}

function unsigned(type: IrType, text: string): string {
  return type === "s64" ? `BigInt.asUintN(64, ${text})` : text;
}

const JS_RELATIONS = { "==": "===", "!=": "!==", "<": "<", "<=": "<=", ">": ">", ">=": ">=" };

function expressionOf(g: Generator, instruction: Instruction, operands: string[]): string {
  const { op, attributes } = instruction;
  const [a = "", b = ""] = operands;
  const [first] = instruction.operands;
  const type = g.typeOf(instruction.result ?? 0);
  const relation = JS_RELATIONS[attributes.relation ?? "=="];
  const sizeBytes = attributes.sizeBytes ?? 0;
  switch (op) {
    case "add":
      return wrapped(type, `${a} + ${b}`);
    case "sub":
      return wrapped(type, `${a} - ${b}`);
    case "mul":
      return wrapped(type, `${a} * ${b}`);
    case "divu":
    case "remu":
      return generateDivision(g, instruction, a, b, type);
    // Of two canonical numbers the result is canonical.
    case "and":
      return `${a} & ${b}`;
    case "or":
      return `${a} | ${b}`;
    case "xor":
      return `${a} ^ ${b}`;
    case "shl":
      return generateShift(g, instruction, wrapped(type, `${a} << ${b}`), b);
    case "shr":
      return generateShift(g, instruction, wrapped(type, `${unsigned(type, a)} >> ${b}`), b);
    case "neg":
      return wrapped(type, `-${a}`);
    case "complement":
      return type === "s64" ? `~${a}` : wrapped(type, `~${a}`);
    case "retype":
      return wrapped(type, a);
    case "narrow":
      return `BigInt.${attributes.isSigned ? "asIntN" : "asUintN"}(${sizeBytes * 8}, ${a})`;
    case "compare":
    case "compareStrings":
    case "compareBools":
      return `${a} ${relation} ${b}`;
    case "compareBytes":
      return `${g.constant(compareValues)}(${a}, ${b}) ${relation} 0`;
    case "isNonzero":
      return `${a} !== 0n`;
    case "isNonempty":
      return `${a}.length !== 0`;
    case "fromBool":
      return `${a} ? 1n : 0n`;
    case "not":
      return `!${a}`;
    case "cut":
      return `${a}.length > ${sizeBytes} ? ${a}.slice(0, ${sizeBytes}) : ${a}`;
    case "stringToBytes":
      return `${g.constant(bytesOfText)}(${a}, ${sizeBytes})`;
    case "bytesToString":
      return `${g.constant(textUpToNul)}(${g.constant(textOfBytes)}(${a}))`;
    case "intToBytes":
      return `${g.constant(bytesOfInteger)}(${a}, ${sizeBytes})`;
    case "bytesToInt":
      return `${g.constant(readInteger)}(${a}, 0n, ${sizeBytes}, ${attributes.isSigned})`;
    case "extractInt":
      return `${g.constant(readInteger)}(${a}, ${b}, ${sizeBytes}, ${attributes.isSigned})`;
    case "extractBytes":
      return `${g.constant(sliceBytes)}(${a}, ${b}, ${sizeBytes})`;
    case "extractString": {
      const bytes = `${g.constant(sliceBytes)}(${a}, ${b}, ${sizeBytes})`;
      return `${g.constant(textUpToNul)}(${g.constant(textOfBytes)}(${bytes}))`;
    }
    case "byteAt":
      return `${g.constant(byteAt)}(${a}, ${b})`;
    case "tuple":
      return `[${operands.join(", ")}]`;
    case "element":
      return `${a}[${attributes.index}]`;
    case "zero": {
      const [of] = attributes.types ?? [];
      assert(of !== undefined, "zero has a type");
      return g.zero(zeroOf(of));
    }
    case "pure":
      return generatePure(g, instruction, operands);
    case "random":
      return "BigInt(run.random())";
    case "ask":
      return `rt.ask("${attributes.name}", [${operands.join(", ")}], ${text(attributes.format)})`;
    default:
      assert(false, `${op} of ${first} has no JavaScript`);
  }
}

function byteAt(value: string | Uint8Array, index: bigint): bigint {
  if (index < 0n || index >= BigInt(value.length)) return 0n;
  const at = Number(index);
  return BigInt(typeof value === "string" ? value.charCodeAt(at) : (value[at] ?? 0));
}

function text(value: string | undefined): string {
  return JSON.stringify(value ?? "");
}

/** By 0: 1 today, 0 in 0.17. */
function generateDivision(
  g: Generator,
  { op }: Instruction,
  a: string,
  b: string,
  type: IrType,
): string {
  const sign = op === "divu" ? "/" : "%";
  const quotient = `${unsigned(type, a)} ${sign} ${unsigned(type, b)}`;
  const given = type === "s64" ? wrapped(type, quotient) : quotient;
  const byZero = g.runtime.options.dialect === "head" ? "1n" : "0n";
  return `${b} === 0n ? ${byZero} : ${given}`;
}

/** Shifted by 64 or more nothing is left; a negative count is a huge one. */
function generateShift(g: Generator, instruction: Instruction, shifted: string, b: string): string {
  const [, count] = instruction.operands;
  if (count !== undefined && g.isLiteral(count) && /^([0-9]|[1-5][0-9]|6[0-3])n$/.test(b)) {
    return shifted;
  }
  return `${b} > 63n || ${b} < 0n ? 0n : ${shifted}`;
}

function generatePure(g: Generator, { attributes }: Instruction, operands: string[]): string {
  const call = pureFunctions[attributes.name ?? ""];
  assert(call !== undefined, `${attributes.name}() is not known at run time`);
  const known: Known = { types: attributes.types ?? [], text: attributes.format ?? "" };
  return `${g.constant(call)}([${operands.join(", ")}], ${g.constant(known)})`;
}

function generateLocal(g: Generator, instruction: Instruction, operands: string[]): void {
  const { op, attributes, result } = instruction;
  const { local, cell } = attributes;
  const [a = ""] = operands;
  switch (op) {
    case "getLocal":
      return g.line(`const v${result} = l${local};`);
    case "setLocal":
      return g.line(`l${local} = ${a};`);
    case "getCell":
      g.line(`const v${result} = s${cell};`);
      if (result !== undefined && g.isChecked(result)) g.line(`const x${result} = sx${cell};`);
      return;
    default: {
      g.line(`s${cell} = ${a};`);
      const [id] = instruction.operands;
      if (id !== undefined && g.isChecked(id)) g.line(`sx${cell} = x${id};`);
    }
  }
}

function generateOutput(g: Generator, instruction: Instruction, operands: string[]): void {
  const { op, attributes, result } = instruction;
  const [a = "", b = ""] = operands;
  const [first, second] = instruction.operands;
  switch (op) {
    case "checkRead":
      if (!g.runtime.options.reportsReadFailures) return;
      return g.line(
        `if (x${first}) rt.readFailed("${readHelper(g, first ?? 0)}", ${g.site(instruction)});`,
      );
    case "checkDivisor":
      if (g.runtime.options.dialect !== "head") return;
      return g.line(`if (${a} === 0n) rt.divisorIsZero(${g.site(instruction)});`);
    case "printValue":
      return g.line(`rt.printValue(${a}, ${g.constant(attributes.types?.[0])});`);
    case "output": {
      const made = generateText(g, instruction, operands);
      if (attributes.name === "printf") {
        return g.line(`run.emit({ kind: "printf", text: ${made} });`);
      }
      return g.line(`rt.output("${attributes.name}", ${made}, ${g.site(instruction)});`);
    }
    case "exit":
      return g.line(`run.exit(Number(${a}));`);
    case "system":
      return g.line(`run.system(${generateText(g, instruction, operands)});`);
    case "write": {
      const [type] = attributes.types ?? [];
      const sizeBytes = type === undefined ? 8 : sizeBytesOf(type);
      assert(second !== undefined, "write has a value");
      return g.line(`const v${result} = rt.write(f, ${a}, ${b}, ${sizeBytes});`);
    }
    case "signal": {
      const toThread = attributes.name === "thread";
      return g.line(`const v${result} = f.signal(Number(${a}), ${toThread});`);
    }
    case "overrideReturn":
      return g.line(`f.overrideReturn(${a});`);
    case "unwatch":
      return g.line(`run.unwatch(${a});`);
    default:
      assert(false, `${op} has no JavaScript`);
  }
}

function readHelper(g: Generator, id: ValueId): string {
  return g.typeOf(id) === "string" ? "probe_read_str" : "probe_read";
}

/** What a format makes of its values; without any it is known now. */
function generateText(g: Generator, instruction: Instruction, operands: string[]): string {
  const { attributes } = instruction;
  const { types = [], name } = attributes;
  if (name === "join") return operands[0] ?? '""';
  if (name === "time") return text(attributes.format);
  const format = g.runtime.formatter(attributes.format ?? "");
  if (operands.length === 0) return text(format([]));
  const values = operands.map((operand, index) => {
    const type = types[index];
    assert(type !== undefined, "a format's value has a type");
    const isPlainInt = type.kind === "int" && type.enum === undefined;
    if (isPlainInt) return operand;
    return `rt.argument(${operand}, ${g.constant(type)})`;
  });
  return `${g.constant(format)}([${values.join(", ")}])`;
}
