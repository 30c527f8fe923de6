/**
 * Writes a kernel's functions and structures as declarations of TypeScript, so that an editor knows
 * the arguments of a handler and the members of what they point to. Values are what handlers get:
 * numbers up to 32 bits, bigints above and for addresses.
 */

import type { Btf } from "./btf.ts";
import { type CType, printPrototype } from "./c-prototype.ts";
import { getPrototype } from "./debug-prototype.ts";
import type { DebugType, TypeId } from "./type-table.ts";
import { stripType } from "./type-table.ts";

export interface DeclarationOptions {
  /** What the types are of, e.g. the kernel's banner. */
  readonly origin: string;
  /** Functions to declare; undefined for all. */
  readonly functions: ReadonlySet<string> | undefined;
}

/** The text of a `.d.ts` file. Of functions and structures that share a name the first counts. */
export function writeKernelDeclarations(types: Btf, options: DeclarationOptions): string {
  const functions = collect(types, types.list("function"), (id) => {
    const prototype = getPrototype(types, id);
    if (prototype === undefined || options.functions?.has(prototype.name) === false)
      return undefined;
    const fields = prototype.parameters.map(
      ({ name, type }, index) => `readonly ${quote(name ?? `arg${index}`)}: ${toValue(type)}`,
    );
    const list = fields.length === 0 ? "Record<never, never>" : `{ ${fields.join("; ")} }`;
    const text = printPrototype(prototype).replaceAll("*/", "* /");
    const declaration = `(args: ${list}) => ${toValue(prototype.returnType)}`;
    return [prototype.name, `  /** ${text} */\n  ${quote(prototype.name)}: ${declaration};`];
  });
  const structs = collect(types, [...types.list("struct"), ...types.list("union")], (id) => {
    const type = types.get(id);
    if ((type.kind !== "struct" && type.kind !== "union") || type.name === "") return undefined;
    const name = `${type.kind} ${type.name}`;
    return [name, `  ${quote(name)}: {\n${listMembers(types, type, 0).join("")}  };`];
  });
  return [
    `// The functions and structures of ${options.origin.replaceAll("\n", " ")}`,
    "// Written by trapline from the kernel's own types.",
    "",
    "/** Each function's arguments by name, and what it returns. */",
    "export interface KernelFunctions {",
    ...functions,
    "}",
    "",
    "/** Members by name; a pointer is an address. */",
    "export interface KernelStructs {",
    ...structs,
    "}",
    "",
  ].join("\n");
}

function collect(
  types: Btf,
  ids: readonly TypeId[],
  declare: (id: TypeId) => readonly [name: string, text: string] | undefined,
): readonly string[] {
  const texts = new Map<string, string>();
  for (const id of ids) {
    const declared = types.get(id).kind === "forward" ? undefined : declare(id);
    if (declared !== undefined && !texts.has(declared[0])) texts.set(...declared);
  }
  return [...texts.values()];
}

function toValue(type: CType): string {
  switch (type.kind) {
    case "void":
      return "void";
    case "bool":
      return "boolean";
    case "int":
      return type.widthBits <= 32 ? "number" : "bigint";
    case "float":
      return "number";
    case "cstring":
    case "pointer":
    case "function":
      return "bigint";
    default:
      return "unknown";
  }
}

const DEPTH_MAX = 8;

function listMembers(
  types: Btf,
  type: Extract<DebugType, { kind: "struct" | "union" }>,
  depth: number,
): readonly string[] {
  return type.members.flatMap((member) => {
    const inner = stripType(types, member.type);
    const isInner = inner.kind === "struct" || inner.kind === "union";
    // Members of unnamed structures are the outer one's.
    if (member.name === "" && isInner && depth < DEPTH_MAX) {
      return listMembers(types, inner, depth + 1);
    }
    return [`    readonly ${quote(member.name)}: ${memberValue(types, inner, depth)};\n`];
  });
}

function memberValue(types: Btf, type: DebugType, depth: number): string {
  switch (type.kind) {
    case "int":
      if (type.encoding === "bool") return "boolean";
      return type.sizeBytes <= 4 ? "number" : "bigint";
    case "enum":
      return type.sizeBytes <= 4 ? "number" : "bigint";
    case "float":
      return "number";
    case "pointer":
      return "bigint";
    case "array": {
      if (depth >= DEPTH_MAX) return "unknown";
      const element = memberValue(types, stripType(types, type.element), depth + 1);
      return `readonly (${element})[]`;
    }
    case "struct":
    case "union":
      return type.name === "" ? "unknown" : `KernelStructs[${quote(`${type.kind} ${type.name}`)}]`;
    default:
      return "unknown";
  }
}

/** A name as the key of an object. */
function quote(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
