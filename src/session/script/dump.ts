/** A program after each of its passes, for `-d`. */

import { printIr } from "../../script/ir/print.ts";
import type { Program } from "../../script/syntax/tree.ts";
import type { CheckedProgram } from "./program.ts";
import type { DumpStage } from "./settings.ts";

/** The text of the stages asked for, as far as the program came. */
export function dumpProgram(
  stages: readonly DumpStage[],
  program: Program,
  checked: CheckedProgram | undefined,
): string {
  let text = "";
  for (const stage of stages) {
    switch (stage) {
      case "ast":
        text += `${printTree(program)}\n`;
        break;
      case "types":
        if (checked !== undefined) text += `${printTree(checked.typed)}\n`;
        break;
      case "ir":
        if (checked !== undefined) text += `${printIr(checked.ir)}\n`;
        break;
      case "js":
        if (checked !== undefined) text += `${checked.code}\n`;
        break;
    }
  }
  return text;
}

/** A tree as indented lines: `kind` of a node with its plain members, then its children. */
function printTree(node: unknown): string {
  return printNode(node, "", "").join("\n");
}

function printNode(node: unknown, name: string, indent: string): string[] {
  const label = name === "" ? "" : `${name}: `;
  if (Array.isArray(node)) {
    if (node.length === 0) return [];
    return [
      `${indent}${name}`,
      ...node.flatMap((child) => printNode(child, "", `${indent} `)),
    ];
  }
  if (typeof node !== "object" || node === null) return [`${indent}${label}${plain(node)}`];
  const plains: string[] = [];
  const children: string[] = [];
  for (const [key, value] of Object.entries(node)) {
    if (key === "range" || value === undefined) continue;
    if (typeof value === "function") continue;
    if (typeof value === "object" && value !== null)
      children.push(...printNode(value, key, `${indent} `));
    else if (key === "kind") plains.unshift(String(value));
    else plains.push(`${key}=${plain(value)}`);
  }
  return [`${indent}${label}${plains.join(" ")}`.trimEnd(), ...children];
}

function plain(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
