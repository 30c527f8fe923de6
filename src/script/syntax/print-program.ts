/**
 * A program as text in one way of writing: parsing it gives the same tree again, but for ranges.
 */

import { printExpression, printString, printType } from "./print-expression.ts";
import { indent, printBlock, printBody } from "./print-statement.ts";
import type {
  CDefinition,
  CField,
  CTypeName,
  FunctionDefinition,
  Macro,
  ProbeDefinition,
  Program,
} from "./tree.ts";

export function printProgram(program: Program): string {
  const config = program.config.map((one) => `${one.name}=${printExpression(one.value)};\n`);
  const sections = [
    program.includes.map((one) => `#include <${one.path}>\n`).join(""),
    ...program.definitions.map((one) => `${printDefinition(one)};\n`),
    config.length === 0 ? "" : `config = {\n${indent(config.join(""))}}\n`,
    program.imports.map((one) => `import ${printString(one.path)};\n`).join(""),
    program.mapDeclarations
      .map((one) => `let ${one.map} = ${one.storage}(${one.keysMax});\n`)
      .join(""),
    ...program.macros.map(printMacro),
    ...program.functions.map(printFunction),
    ...program.probes.map(printProbe),
  ];
  return sections.filter((one) => one !== "").join("\n");
}

function printProbe(probe: ProbeDefinition): string {
  const name = probe.name === undefined ? "" : `${probe.name}=`;
  const points = probe.points.map((one) => one.text).join(",\n");
  const predicate = probe.predicate ? `/ ${printExpression(probe.predicate, 1)} /\n` : "";
  return `${name}${points}\n${predicate}${printBlock(probe.body)}\n`;
}

function printMacro(macro: Macro): string {
  const parameters = macro.parameters.map((one) => one.name).join(", ");
  const body = indent(printBody(macro.body.statements, macro.value));
  return `macro ${macro.name}(${parameters}) {\n${body}}\n`;
}

function printFunction(one: FunctionDefinition): string {
  const parameters = one.parameters.map((each) => `${each.name} : ${printType(each.type)}`);
  const head = `fn ${one.name}(${parameters.join(", ")}) : ${printType(one.returns)}`;
  return `${head} ${printBlock(one.body)}\n`;
}

function printDefinition(definition: CDefinition): string {
  switch (definition.kind) {
    case "enum": {
      const values = definition.values.map((one) => `  ${one.name} = ${one.value},\n`);
      return `enum ${definition.name}${definition.name === "" ? "" : " "}{\n${values.join("")}}`;
    }
    case "typedef":
      return `typedef ${printDeclaration(definition.type, definition.name)}`;
    default: {
      const { kind, name, isPacked, fields } = definition;
      return `${kind} ${name} ${printFields(fields, isPacked)}`;
    }
  }
}

function printFields(fields: readonly CField[], isPacked: boolean): string {
  const lines = fields.map((field) => {
    const isBitField = field.bitFieldBits > 0 || (field.name === "" && !isAggregate(field.type));
    const bits = isBitField ? ` : ${field.bitFieldBits}` : "";
    return `${printDeclaration(field.type, field.name)}${bits};\n`;
  });
  return `{\n${indent(lines.join(""))}}${isPacked ? " __attribute__((packed))" : ""}`;
}

function isAggregate(type: CTypeName): boolean {
  return type.base.kind === "inline";
}

function printDeclaration(type: CTypeName, name: string): string {
  const { base, pointerDepth } = type;
  const counts = type.counts.map((count) => `[${count}]`).join("");
  const pointers = "*".repeat(pointerDepth);
  if (base.kind === "function") return `void (*${pointers}${name}${counts})(void)`;
  return `${printCBase(base)} ${pointers}${name}${counts}`.trimEnd();
}

function printCBase(base: Exclude<CTypeName["base"], { kind: "function" }>): string {
  if (base.kind === "named") return base.name;
  if (base.kind !== "inline") return `${base.kind} ${base.name}`;
  return `${base.isUnion ? "union" : "struct"} ${printFields(base.fields, base.isPacked)}`;
}
