/**
 * Formats of printf() and its like, held against the types of what they show. What a format looks
 * like when it is shown is the report's business; here it is only whether it can be.
 */

import type { Range } from "../source.ts";
import { castTo } from "./make-typed.ts";
import type { ProbeScope } from "./scope.ts";
import { kindText, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

/** 0.17: what it does not know is text to it. */
const OLD_SPECIFIER = /%(?:%|-?[0-9.]*(?:hh|h|ll|l|j|z|t)?(rx|rh|[duoxXpcsr]))/g;
/** Today: as C has them; floating point is known so that it can be refused. */
const SPECIFIER =
  /%(?:%|-?\+? ?#?0?(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlLjzt]*(gr|rh|rx|[diouxXeEfFgGaAcspnr]))/g;

interface Specifier {
  /** As written: `%-8s`. */
  readonly text: string;
  /** `d`, `rx`, ... */
  readonly letter: string;
  /** Widths and precisions that are arguments. */
  readonly starCount: number;
}

export function findSpecifiers(format: string, isOld: boolean): readonly Specifier[] {
  return [...format.matchAll(isOld ? OLD_SPECIFIER : SPECIFIER)]
    .filter((match) => match[1] !== undefined)
    .map((match) => ({
      text: match[0],
      letter: match[1] ?? "",
      starCount: match[0].split("*").length - 1,
    }));
}

const INTEGER_LETTERS = "diouxXcp";

/**
 * The values as the format takes them; undefined where they do not go together.
 * @param name of the function, for messages
 */
export function checkFormat(
  scope: ProbeScope,
  range: Range,
  name: string,
  format: string,
  values: readonly (TypedExpression | undefined)[],
): TypedExpression[] | undefined {
  const { program } = scope;
  const specifiers = findSpecifiers(format, program.isOld);
  const expected = specifiers.reduce((sum, one) => sum + 1 + one.starCount, 0);
  if (values.length !== expected) {
    const many = values.length < expected ? "Not enough" : "Too many";
    return program.error(
      range,
      `${name}: ${many} arguments for format string ` +
        `(${values.length} supplied, ${expected} expected)`,
    );
  }
  const checked: TypedExpression[] = [];
  let at = 0;
  let isGood = true;
  for (const specifier of specifiers) {
    for (let star = 0; star < specifier.starCount; star += 1, at += 1) {
      const width = values[at];
      if (width !== undefined) checked.push(width);
      if (width?.type.kind === "int") continue;
      if (width !== undefined) refuseWidth(scope, name, width);
      isGood = false;
    }
    const value = values[at];
    at += 1;
    const fitted = value === undefined ? undefined : fit(scope, range, name, specifier, value);
    if (fitted === undefined) isGood = false;
    else checked.push(fitted);
  }
  return isGood ? checked : undefined;
}

function refuseWidth(scope: ProbeScope, name: string, width: TypedExpression): void {
  const kind = kindText(width.type);
  scope.program.error(width.range, `${name}: * expects a value of type integer (${kind} supplied)`);
}

function fit(
  scope: ProbeScope,
  range: Range,
  name: string,
  specifier: Specifier,
  value: TypedExpression,
): TypedExpression | undefined {
  const { letter } = specifier;
  if ("eEfFgGaAn".includes(letter)) {
    return scope.program.error(
      range,
      `unsupported format specifier: ${letter}`,
      "there are no floating-point numbers: print a quotient and a remainder",
    );
  }
  const { type } = value;
  if (INTEGER_LETTERS.includes(letter)) {
    if (type.kind === "int" || type.kind === "pointer") return value;
    // 0.17 has its own bool: a number.
    if (type.kind === "bool") return castTo(value, { ...INT });
    return refuse(scope, range, name, specifier, value, "integer");
  }
  if (letter === "s") {
    if (isShownAsText(value) || !scope.program.isOld) return value;
    return refuse(scope, range, name, specifier, value, "string");
  }
  const isBytes = type.kind === "buffer" || type.kind === "array" || type.kind === "string";
  const isBuffer = scope.program.isOld ? type.kind === "buffer" : isBytes;
  return isBuffer ? value : refuse(scope, range, name, specifier, value, "buffer");
}

const INT = { kind: "int", sizeBytes: 8, isSigned: true, enum: undefined } as const;

/** What 0.17 takes for %s. */
function isShownAsText(value: TypedExpression): boolean {
  const { type } = value;
  return (
    type.kind === "string" ||
    type.kind === "symbol" ||
    type.kind === "stack" ||
    type.kind === "text"
  );
}

function refuse(
  scope: ProbeScope,
  range: Range,
  name: string,
  specifier: Specifier,
  value: TypedExpression,
  wanted: string,
): undefined {
  // To 0.17 what shows as text is a string.
  const kind = isShownAsText(value) ? "string" : kindText(value.type);
  const hint = hintFor(scope, specifier, value);
  if (scope.program.isOld) {
    return scope.program.error(
      range,
      `${name}: ${specifier.text} specifier expects a value of type ${wanted} (${kind} supplied)`,
      hint,
    );
  }
  return scope.program.error(
    value.range,
    `unsupported format specifier for type '${typeText(value.type, "head")}': ${specifier.letter}`,
    hint,
  );
}

function hintFor(
  scope: ProbeScope,
  specifier: Specifier,
  value: TypedExpression,
): string | undefined {
  const { kind } = value.type;
  if (specifier.letter === "s") {
    return kind === "int" || kind === "pointer" ? "str(p) gives the text at an address" : undefined;
  }
  if (kind === "string") return "%s shows a text";
  if (specifier.letter.startsWith("r")) return "buf(p, n) gives bytes";
  if (kind === "tuple" || kind === "struct") return "print() shows it, or its fields one by one";
  return scope.program.isOld || kind === "none" ? undefined : "%s shows any value";
}
