/**
 * The tables of functions and builtins as Markdown, for the reference of the language, and as plain
 * lines for listings.
 */

import { builtinTable } from "./builtins.ts";
import { type FunctionInfo, functionTable } from "./functions.ts";

/** Three tables: builtins, functions, map functions. */
export function renderReference(): string {
  const builtins = builtinTable.map((info) => [
    `\`${info.name}\``,
    `\`${info.typeText}\``,
    info.since,
    providersText(info.providers),
    info.about,
  ]);
  const functions = functionTable.filter((info) => !info.isAggregation).map(functionRow);
  const aggregations = functionTable.filter((info) => info.isAggregation).map(functionRow);
  const head = ["Function", "Since", "Where", "What it gives or does"];
  return [
    "### Builtins\n",
    table(["Name", "Type", "Since", "Where", "What it is"], builtins),
    "\n### Functions\n",
    table(head, functions),
    "\n### Map functions\n",
    "Only as `@name[keys] = function(...)`.\n",
    table(head, aggregations),
  ].join("\n");
}

/** One line for each function: its signature and what it does. */
export function listFunctions(): readonly string[] {
  const width = Math.max(...functionTable.map((info) => info.signature.length));
  return functionTable.map((info) => `${info.signature.padEnd(width)}  ${info.about}`);
}

function functionRow(info: FunctionInfo): readonly string[] {
  const unsafe = info.isUnsafe ? "`--unsafe`" : "";
  const where = [unsafe, providersText(info.providers)].filter((text) => text !== "").join("; ");
  return [`\`${info.signature}\``, info.since, where, info.about];
}

function providersText(providers: readonly string[] | undefined): string {
  return providers === undefined ? "" : providers.join(", ");
}

/** Columns padded, so that the text reads well too. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
