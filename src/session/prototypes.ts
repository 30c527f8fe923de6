/**
 * Joins C prototypes (symbols/) with the types by which reports decode arguments: what matters of a
 * type is how it is passed (System V, AAPCS64) and how a person wants to read it.
 */

import { assertNever, ToolError } from "../base/errors.ts";
import type { FunctionPrototype, ValueType } from "../report/arguments.ts";
import { type CPrototype, type CType, parsePrototype } from "../symbols/c-prototype.ts";
import { findPrototype } from "../symbols/libc-prototypes.ts";
import type { Guest } from "./api.ts";

/**
 * Prototypes by function name: the caller's own declarations first, then those of the guest's
 * kernel, or of libc as far as they are known.
 * @throws ToolError usage, for a declaration that does not parse
 */
export function createPrototypeFinder(
  declarations: readonly string[],
  guest: Guest | undefined = undefined,
): (name: string) => FunctionPrototype | undefined {
  const own = new Map<string, FunctionPrototype>();
  for (const declaration of declarations) {
    const prototype = parsePrototype(declaration);
    own.set(prototype.name, toFunctionPrototype(prototype));
  }
  return (name) => {
    const given = own.get(name);
    if (given !== undefined) return given;
    const known = guest === undefined ? findPrototype(name) : findInGuest(guest, name);
    return known === undefined ? undefined : toFunctionPrototype(known);
  };
}

function findInGuest(guest: Guest, name: string): CPrototype | undefined {
  const text = guest.prototype(name);
  if (text === undefined) return undefined;
  try {
    return parsePrototype(text);
  } catch (error) {
    // A kernel has types that no declaration of ours can say.
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

function toFunctionPrototype(prototype: CPrototype): FunctionPrototype {
  const { returnType } = prototype;
  return {
    parameters: prototype.parameters.map((parameter) => toValueType(parameter.type)),
    // Who returns a char * has written what it points to.
    returns: returnType.kind === "cstring" ? { kind: "string" } : toValueType(returnType),
    isVariadic: prototype.isVariadic,
  };
}

function toValueType(type: CType): ValueType {
  switch (type.kind) {
    case "void":
      return { kind: "void" };
    case "bool":
      return { kind: "boolean" };
    case "int":
      // LIMIT: a 128-bit integer takes two registers; it and what follows it are shown wrong.
      if (type.widthBits === 128) return { kind: "other" };
      return { kind: "integer", sizeBytes: type.widthBits / 8, isSigned: type.signed };
    case "cstring":
      // A char * that is not const is a buffer to be filled: at entry there is nothing in it to
      // read.
      return type.isConst ? { kind: "string" } : { kind: "pointer" };
    case "pointer":
    case "function":
      return { kind: "pointer" };
    case "float":
      // LIMIT: a long double is on the stack, or in an x87 register; trace does not look there.
      if (type.widthBits === 128) return { kind: "other" };
      return { kind: "float", sizeBytes: type.widthBits === 32 ? 4 : 8 };
    case "named":
    case "aggregate":
    case "array":
      return { kind: "other" };
    default:
      return assertNever(type);
  }
}
