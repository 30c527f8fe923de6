/** Reads of the machine to JavaScript. What fails is 0, empty, or zeros. */

import { assert } from "../../base/errors.ts";
import type { Instruction } from "../ir/ir.ts";
import type { Generator } from "./generate.ts";

export function generateRead(g: Generator, instruction: Instruction, operands: string[]): void {
  const { op, attributes, result } = instruction;
  const [a = "", b = ""] = operands;
  const { index, name, space, sizeBytes = 0 } = attributes;
  assert(result !== undefined, `${op} gives a value`);
  const give = (expression: string) => g.line(`const v${result} = ${expression};`);
  switch (op) {
    case "arg":
      return give(`f.arg(${index})`);
    case "returnValue":
      return give("f.returnValue()");
    case "register":
      return give(`f.register(${quoted(name)}) ?? 0n`);
    case "field":
      return give(`BigInt.asUintN(64, f.argumentField(${index}))`);
    case "processId":
      return give("BigInt(f.processId())");
    case "threadId":
      return give("BigInt(f.threadId())");
    case "cpu":
      return give("BigInt(f.cpu())");
    case "comm":
      return give("f.comm()");
    case "number":
      return give(`BigInt.asUintN(64, f.number(${quoted(name)}))`);
    case "perCpuAddress":
      return give(`f.number(${quoted(`percpu_kaddr:${name}:`)} + ${a})`);
    case "text":
      return give(`f.text(${quoted(name)})`);
    case "functionName":
      return give("f.functionName()");
    case "probeName":
      return give("f.probeName()");
    case "clock":
      return give(name === "boot" ? 'run.nowNs("boot")' : `rt.clock(${quoted(name)})`);
    case "loadInt": {
      const read = `f.readUnsigned(${a}, ${sizeBytes}, "${space}")`;
      const fit = attributes.isSigned ? `BigInt.asIntN(${sizeBytes * 8}, v${result})` : undefined;
      return generateFallible(g, result, read, "0n", fit);
    }
    case "loadBytes": {
      const read = `rt.readBytes(f, ${a}, ${b}, ${sizeBytes}, "${space}")`;
      return generateFallible(g, result, read, `new Uint8Array(${zerosOf(g, instruction)})`);
    }
    case "loadString": {
      const read = `rt.readString(f, ${a}, ${b}, ${sizeBytes}, "${space}")`;
      return generateFallible(g, result, read, '""');
    }
    case "loadStrings":
      return give(`rt.readStrings(f, ${a}, ${sizeBytes}, "${space}", ${quoted(name)})`);
    case "stack":
      return give(`rt.stack(f, "${space}", "${attributes.mode}", ${a})`);
    case "symbol":
      return give(`rt.symbol(f, ${a}, "${space}")`);
    case "path":
      return give(`f.path(${a}) ?? ""`);
    default:
      assert(false, `${op} has no JavaScript`);
  }
}

function quoted(text: string | undefined): string {
  return JSON.stringify(text ?? "");
}

/** A struct that could not be read is as long as one that could; a buffer then is empty. */
function zerosOf(g: Generator, instruction: Instruction): string {
  const [, count] = instruction.operands;
  return count !== undefined && g.isLiteral(count) ? String(instruction.attributes.sizeBytes) : "0";
}

function generateFallible(
  g: Generator,
  result: number,
  read: string,
  zero: string,
  fit?: string,
): void {
  const isChecked = g.isChecked(result);
  g.line(`let v${result} = ${read};`);
  if (isChecked) g.line(`const x${result} = v${result} === undefined;`);
  const otherwise = fit === undefined ? "" : ` else v${result} = ${fit};`;
  g.line(`if (v${result} === undefined) v${result} = ${zero};${otherwise}`);
}
