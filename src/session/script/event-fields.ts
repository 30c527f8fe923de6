/**
 * `args` of a guest's tracepoints: types of fields from what the kernel writes of them in C, with
 * its own types for the names in that.
 */

import { findIntegerType } from "../../script/check/named-types.ts";
import type { ArgumentField, ArgumentList, TypeWorld } from "../../script/check/typed-tree.ts";
import {
  type Field,
  int64,
  intType,
  none,
  type Space,
  type Type,
  uint64,
} from "../../script/types.ts";
import { SYSCALL_NUMBER } from "./hit-firing.ts";

/** What of a kernel's types is needed. */
export type NamedTypesOf = Pick<TypeWorld, "findType">;

/** One parameter of a system call, or one field of a record, as the kernel tells of it. */
export interface ToldField {
  readonly type: string;
  readonly name: string;
}

/** Of `sys_enter_NAME`. */
export function callEnterFields(
  parameters: readonly ToldField[],
  types: NamedTypesOf,
): ArgumentList {
  const fields = parameters.map(
    ({ type, name }, index): ArgumentField => ({
      name,
      type: parseType(type, types, "user") ?? uint64,
      from: { kind: "syscall", index },
    }),
  );
  return { fields: [callNumber(), ...fields] };
}

/** Of `sys_exit_NAME`. */
export function callExitFields(): ArgumentList {
  return { fields: [callNumber(), { name: "ret", type: int64, from: { kind: "return" } }] };
}

function callNumber(): ArgumentField {
  const type = intType(4, true);
  return { name: "__syscall_nr", type, from: { kind: "syscall", index: SYSCALL_NUMBER } };
}

/**
 * Of a record: the members of the kernel's struct for it. What stands in front (`ent`) and behind
 * (`__data`) is no field; `__data_loc_NAME` tells where the field NAME is.
 * @param told the same fields as the kernel prints them, which alone say what a data location is of
 */
export function recordFields(record: Type, told: readonly ToldField[]): ArgumentList | undefined {
  if (record.kind !== "struct") return undefined;
  const fields: ArgumentField[] = [];
  for (const field of record.struct.fields) {
    if (field.name === "ent" || field.name === "__data" || field.name === "") continue;
    const location = /^__data_loc_(.+)$/.exec(field.name)?.[1];
    // What is found relative to its own field is in records of user events alone.
    if (field.name.startsWith("__rel_loc_")) continue;
    if (location === undefined) {
      fields.push({ name: field.name, type: field.type, from: { kind: "record", field } });
      continue;
    }
    const isText = /char\s*\[/.test(told.find(({ name }) => name === location)?.type ?? "char[]");
    const to = intType(1, isText);
    const located: Field = { ...field, name: location, isDataLoc: true };
    const type: Type = { kind: "pointer", to, space: "kernel" };
    fields.push({ name: location, type, from: { kind: "record", field: located } });
  }
  return { fields };
}

/** `const char *`, `struct sockaddr *`, `umode_t`; undefined for what is not known. */
export function parseType(text: string, types: NamedTypesOf, space: Space): Type | undefined {
  const plain = text
    .replace(/\b(?:const|volatile|__user|__kernel|__iomem)\b/g, "")
    .replaceAll("*", " * ")
    .replace(/\s+/g, " ")
    .trim();
  const stars = plain.match(/\*/g)?.length ?? 0;
  const name = plain.replaceAll("*", "").trim();
  let type = findNamed(name, types);
  if (type === undefined && stars === 0) return undefined;
  type ??= none;
  for (let depth = 0; depth < stars; depth++) type = { kind: "pointer", to: type, space };
  return type;
}

function findNamed(name: string, types: NamedTypesOf): Type | undefined {
  const tagged = /^(struct|union|enum) (\w+)$/.exec(name);
  if (tagged !== null) {
    return types.findType(tagged[2] ?? "", tagged[1] as "struct" | "union" | "enum");
  }
  if (name === "void") return none;
  return findIntegerType(name) ?? types.findType(name, "typedef");
}
