/** What can be told of a location's text without a process. */

/** Module and name of `module:name`; a `::` belongs to the name. */
export interface WhereParts {
  readonly module: string | undefined;
  readonly name: string;
}

/** The last `:` that is no part of `::` or of `[abi:cxx11]` separates. */
export function splitWhere(where: string): WhereParts {
  for (let at = where.length - 1; at > 0; at--) {
    if (where[at] !== ":" || where[at - 1] === ":" || where[at + 1] === ":") continue;
    if (where.endsWith("[abi", at)) continue;
    return { module: where.slice(0, at), name: where.slice(at + 1) };
  }
  return { module: undefined, name: where };
}

/** The function's name when the text is that of one plain C function. */
export function findPlainName(where: string): string | undefined {
  const { name } = splitWhere(where);
  return /^[A-Za-z_]\w*$/.test(name) ? name : undefined;
}

/** True for `name+4`, `name+*` and for bare addresses, which may lie inside a function. */
export function hasOffset(where: string): boolean {
  const { name } = splitWhere(where);
  return /(?<!\boperator)\+(0x[0-9a-f]+|\d+|\*)$/i.test(name) || /^0x[0-9a-f]+$/i.test(name);
}

/** Whether a module or name is a pattern. */
export function hasGlob(text: string): boolean {
  // A bracket may belong to a name of C++ (`operator[]`, `[abi:cxx11]`).
  return /[*?]/.test(text) || /\[(?!abi:)[^\]:]+\]/.test(text);
}
