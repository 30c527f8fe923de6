/**
 * Operators, by the rules of each dialect: which operands they take, whether they compare signed or
 * unsigned, and what 0.17 and today's bpftrace warn of.
 */

import type { BinaryOp, Expression } from "../syntax/tree.ts";
import { bool, type IntType, int64, type Type, uint64 } from "../types.ts";
import { checkExpression } from "./expressions.ts";
import { castTo, makeCondition, makeInt, makeLoad, scaleIndex } from "./make-typed.ts";
import type { ProbeScope } from "./scope.ts";
import { isScalar, sameType, sizeOf, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

type Node<Kind extends Expression["kind"]> = Extract<Expression, { kind: Kind }>;
type Compare = Extract<TypedExpression, { kind: "compare" }>;
type Arithmetic = Extract<TypedExpression, { kind: "arithmetic" }>;

const COMPARISONS: readonly BinaryOp[] = ["==", "!=", "<", "<=", ">", ">="];

export function checkUnary(scope: ProbeScope, node: Node<"unary">): TypedExpression | undefined {
  if (node.op === "&") {
    return scope.program.error(
      node.range,
      "The address of a variable or map cannot be taken",
      "&p->field is not known to the language: use (uint64)p + offsetof(struct, field)",
    );
  }
  const operand = checkExpression(scope, node.operand);
  if (operand === undefined) return undefined;
  if (node.op === "*") return dereference(scope, node, operand);
  if (!isScalar(operand.type)) return badUnary(scope, node, operand.type);
  if (node.op === "!") return negate(scope, node, operand);
  if (operand.type.kind === "pointer") return badUnary(scope, node, operand.type);
  const number = operand.type.kind === "bool" ? castTo(operand, int64) : operand;
  if (node.op === "+") return number;
  return node.op === "-" ? minus(scope, node, number) : complement(scope, node, number);
}

function badUnary(scope: ProbeScope, node: Node<"unary">, type: Type): undefined {
  const text = typeText(type, scope.program.dialect);
  return scope.program.error(
    node.range,
    `The ${node.op} operator can not be used on expressions of type '${text}'`,
  );
}

function negate(scope: ProbeScope, node: Node<"unary">, operand: TypedExpression): TypedExpression {
  const { range } = node;
  const condition = makeCondition(operand);
  const inner: TypedExpression =
    condition.kind === "bool"
      ? { ...condition, range, value: !condition.value }
      : { kind: "not", range, type: bool, operand: condition };
  if (!scope.program.isOld) return inner;
  // There it is unsigned, and as wide as what it is of.
  const { type } = operand;
  return castTo(inner, { ...uint64, sizeBytes: type.kind === "int" ? type.sizeBytes : 8 });
}

function minus(scope: ProbeScope, node: Node<"unary">, operand: TypedExpression): TypedExpression {
  const { range } = node;
  if (operand.kind === "int" && (operand.type as IntType).isSigned) {
    return makeInt(range, -operand.value, scope.program.isOld ? int64 : smallest(-operand.value));
  }
  // Unsigned stays unsigned in 0.17, and of the operand's width.
  const type = scope.program.isOld && operand.type.kind === "int" ? operand.type : int64;
  const negated: TypedExpression = {
    kind: "unary",
    range,
    type: type.isSigned ? int64 : uint64,
    op: "-",
    operand,
  };
  return castTo(negated, type);
}

function smallest(value: bigint): IntType {
  for (const sizeBytes of [1, 2, 4] as const) {
    if (BigInt.asIntN(sizeBytes * 8, value) === value) return { ...int64, sizeBytes };
  }
  return int64;
}

function complement(
  scope: ProbeScope,
  node: Node<"unary">,
  operand: TypedExpression,
): TypedExpression {
  const { range } = node;
  if (operand.kind === "int") {
    const wide = (operand.type as IntType).isSigned ? int64 : uint64;
    return makeInt(range, ~operand.value, wide);
  }
  const type = operand.type.kind === "int" ? operand.type : int64;
  const wide = type.isSigned ? int64 : uint64;
  const inverted: TypedExpression = { kind: "unary", range, type: wide, op: "~", operand };
  return scope.program.isOld ? castTo(inverted, type) : inverted;
}

/** `*p`; of an integer the 64 bits that lie there, as kaddr() gives integers. */
function dereference(
  scope: ProbeScope,
  node: Node<"unary">,
  operand: TypedExpression,
): TypedExpression | undefined {
  const { type } = operand;
  if (type.kind === "int") return makeLoad(node.range, uint64, operand, scope.space);
  if (type.kind === "pointer") {
    if (type.to.kind !== "none") return makeLoad(node.range, type.to, operand, type.space);
    return scope.program.error(
      node.range,
      "A pointer to void can not be dereferenced",
      "cast it to a pointer to what lies there first: *(uint64 *)p",
    );
  }
  const text = typeText(type, scope.program.dialect);
  if (type.kind === "struct") {
    return scope.program.error(
      node.range,
      `Can not dereference struct/union of type '${text}'. It is not a pointer.`,
    );
  }
  return scope.program.error(
    node.range,
    `The dereference operator can not be used on expressions of type '${text}'`,
  );
}

/** What is true or false, where a value stands: a number in 0.17. */
export function asValue(scope: ProbeScope, value: TypedExpression): TypedExpression {
  return scope.program.isOld ? castTo(value, int64) : value;
}

export function checkBinary(scope: ProbeScope, node: Node<"binary">): TypedExpression | undefined {
  const left = checkExpression(scope, node.left);
  const right = checkExpression(scope, node.right);
  if (left === undefined || right === undefined) return undefined;
  return makeBinary(scope, node.range, node.op, left, right);
}

/** Also of compound assignments, whose left side is no expression of the tree. */
export function makeBinary(
  scope: ProbeScope,
  range: Node<"binary">["range"],
  op: BinaryOp,
  left: TypedExpression,
  right: TypedExpression,
): TypedExpression | undefined {
  const site: Site = { scope, range, op, left, right };
  if (op === "&&" || op === "||") return logical(site, op);
  if (COMPARISONS.includes(op)) return compare(site, op as Compare["op"]);
  return arithmetic(site, op as Arithmetic["op"]);
}

interface Site {
  readonly scope: ProbeScope;
  readonly range: Node<"binary">["range"];
  readonly op: BinaryOp;
  readonly left: TypedExpression;
  readonly right: TypedExpression;
}

function logical(site: Site, op: "&&" | "||"): TypedExpression | undefined {
  const { scope, range, left, right } = site;
  if (!isScalar(left.type) || !isScalar(right.type)) return mismatch(site);
  const first = makeCondition(left);
  const second = makeCondition(right);
  // What decides is known: `1 == 2 && x`.
  const isKnown =
    first.kind === "bool" && (second.kind === "bool" || first.value === (op === "||"));
  const both: TypedExpression = isKnown
    ? first.value === (op === "||")
      ? first
      : second
    : { kind: "logical", range, type: bool, op, left: first, right: second };
  return asValue(scope, { ...both, range });
}

function mismatch(site: Site): undefined {
  const { scope, range, op, left, right } = site;
  const { dialect } = scope.program;
  const texts = `'${typeText(left.type, dialect)}' with '${typeText(right.type, dialect)}'`;
  return scope.program.error(range, `Type mismatch for '${op}': comparing ${texts}`);
}

function badOperator(site: Site): undefined {
  const { scope, range, op, left, right } = site;
  const { dialect } = scope.program;
  const texts = `${typeText(left.type, dialect)}, ${typeText(right.type, dialect)}`;
  return scope.program.error(
    range,
    `The ${op} operator can not be used on expressions of types ${texts}`,
  );
}

function compare(site: Site, op: Compare["op"]): TypedExpression | undefined {
  const { scope, range, left, right } = site;
  const of = comparedAs(site, op);
  if (of === undefined) return undefined;
  // Bools are compared as such only with bools.
  const isMixed = of === "signed" || of === "unsigned";
  const widen = (value: TypedExpression): TypedExpression =>
    isMixed && value.type.kind === "bool" ? castTo(value, int64) : value;
  const both: Compare = {
    kind: "compare",
    range,
    type: bool,
    op,
    of,
    left: widen(left),
    right: widen(right),
  };
  return asValue(scope, foldComparison(both));
}

/** Of two literals, so that `if comptime` and static_assert() may ask. */
function foldComparison(node: Compare): TypedExpression {
  const { left, right, op, of, range } = node;
  const literal = (value: boolean): TypedExpression => ({ kind: "bool", range, type: bool, value });
  if (left.kind === "int" && right.kind === "int") {
    const asCompared = (value: bigint): bigint =>
      of === "unsigned" ? BigInt.asUintN(64, value) : value;
    return literal(compareSides(op, asCompared(left.value), asCompared(right.value)));
  }
  if (left.kind === "string" && right.kind === "string") {
    return literal(compareSides(op, left.value, right.value));
  }
  if (left.kind === "bool" && right.kind === "bool") {
    return literal(compareSides(op, left.value, right.value));
  }
  return node;
}

function compareSides<T>(op: Compare["op"], left: T, right: T): boolean {
  switch (op) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
  }
}

function comparedAs(site: Site, op: Compare["op"]): Compare["of"] | undefined {
  const { left, right } = site;
  const isOrder = op !== "==" && op !== "!=";
  if (isText(left.type) && isText(right.type)) {
    return isOrder ? badOperator(site) : "string";
  }
  if (isScalar(left.type) && isScalar(right.type)) {
    if (left.type.kind === "bool" && right.type.kind === "bool") return "bool";
    return isSignedComparison(site) ? "signed" : "unsigned";
  }
  const isBytes = isByteType(left.type) && isByteType(right.type);
  if (isBytes && sizeOf(left.type) === sizeOf(right.type)) {
    return isOrder ? badOperator(site) : "bytes";
  }
  return mismatch(site);
}

function isText(type: Type): boolean {
  return type.kind === "string";
}

function isByteType(type: Type): boolean {
  return type.kind === "array" || type.kind === "buffer" || type.kind === "struct";
}

/**
 * 0.17: signed only if both are; today: if either is. A literal that is not negative takes the sign
 * of the other side.
 */
function isSignedComparison(site: Site): boolean {
  const { scope, range, left, right } = site;
  const isLeftSigned = isSigned(left.type);
  const isRightSigned = isSigned(right.type);
  if (isLeftSigned === isRightSigned) return isLeftSigned;
  if (isFlexible(left)) return isRightSigned;
  if (isFlexible(right)) return isLeftSigned;
  if (!scope.program.isOld) return bothKnownSigned(left, right);
  warnOfSigns(site, "comparison of integers", range);
  return false;
}

/** A pointer is never compared as a negative number. */
function bothKnownSigned(left: TypedExpression, right: TypedExpression): boolean {
  return left.type.kind !== "pointer" && right.type.kind !== "pointer";
}

function warnOfSigns(site: Site, what: string, range: Site["range"]): void {
  const { scope, left, right } = site;
  const { dialect } = scope.program;
  if (left.type.kind === "pointer" || right.type.kind === "pointer") return;
  const texts = `'${typeText(wide(left.type), dialect)}' and '${typeText(wide(right.type), dialect)}'`;
  scope.program.warning(
    range,
    `${what} of different signs: ${texts} can lead to undefined behavior`,
  );
}

/** Operands are of 64 bits by then. */
function wide(type: Type): Type {
  return isSigned(type) ? int64 : uint64;
}

function isSigned(type: Type): boolean {
  return type.kind === "int" && type.isSigned;
}

function isFlexible(value: TypedExpression): boolean {
  return value.kind === "int" && isSigned(value.type) && value.value >= 0n;
}

function arithmetic(site: Site, op: Arithmetic["op"]): TypedExpression | undefined {
  const { left, right } = site;
  if (left.type.kind === "pointer" || right.type.kind === "pointer") {
    return pointerArithmetic(site, op);
  }
  if (!isNumber(left.type) || !isNumber(right.type)) {
    const isSame = sameType(left.type, right.type) || left.type.kind === right.type.kind;
    return isSame ? badOperator(site) : mismatch(site);
  }
  const isResultSigned = isSignedResult(site, op);
  if (op === "/" || op === "%") warnOfDivision(site);
  const type = isResultSigned ? int64 : uint64;
  const folded = fold(site, op, type);
  if (folded !== undefined) return folded;
  const asNumber = (value: TypedExpression): TypedExpression =>
    value.type.kind === "bool" ? castTo(value, int64) : value;
  const { range } = site;
  return { kind: "arithmetic", range, type, op, left: asNumber(left), right: asNumber(right) };
}

function isNumber(type: Type): boolean {
  return type.kind === "int" || type.kind === "bool";
}

function isSignedResult(site: Site, op: Arithmetic["op"]): boolean {
  const { scope, range, left, right } = site;
  const isLeftSigned = isSigned(left.type) || left.type.kind === "bool";
  const isRightSigned = isSigned(right.type) || right.type.kind === "bool";
  if (scope.program.isOld) {
    if (isLeftSigned === isRightSigned) return isLeftSigned;
    if (isFlexible(left)) return isRightSigned;
    if (isFlexible(right)) return isLeftSigned;
    if (op !== "<<" && op !== ">>") warnOfSigns(site, "arithmetic on integers", range);
    return false;
  }
  if (op === "-") return true;
  if (isFlexible(left) && !isRightSigned) return false;
  if (isFlexible(right) && !isLeftSigned) return false;
  return isLeftSigned || isRightSigned;
}

/**
 * Division is of unsigned numbers, whatever they are. A literal that is not negative takes the sign
 * of the other side, but alone makes no warning go away: `$signed / 2` is one.
 */
function warnOfDivision(site: Site): void {
  const { scope, range, op, left, right } = site;
  const isPlain = (value: TypedExpression): boolean =>
    isFlexible(value) || isUnsignedAtHeart(value);
  if (isPlain(left) && isPlain(right)) return;
  scope.program.warning(
    range,
    `signed operands for '${op}' can lead to undefined behavior ` +
      "(cast to unsigned to silence warning)",
  );
}

/** Differences of unsigned numbers, and their parts, are signed by type only: most are times. */
function isUnsignedAtHeart(value: TypedExpression): boolean {
  if (!isSigned(value.type)) return true;
  if (value.kind !== "arithmetic" || !["-", "/", "%"].includes(value.op)) return false;
  return [value.left, value.right].every((side) => isFlexible(side) || isUnsignedAtHeart(side));
}

/** Of two literals, so that `1 << 10` may stand where a literal must. */
function fold(site: Site, op: Arithmetic["op"], type: IntType): TypedExpression | undefined {
  const { range, left, right } = site;
  if (left.kind !== "int" || right.kind !== "int") return undefined;
  const value = foldIntegers(op, left.value, right.value);
  if (value === undefined) return undefined;
  const isSmall = !site.scope.program.isOld && type.isSigned && value >= 0n;
  return makeInt(range, value, isSmall && value < 2n ** 63n ? smallest(value) : type);
}

function foldIntegers(op: Arithmetic["op"], left: bigint, right: bigint): bigint | undefined {
  switch (op) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "&":
      return left & right;
    case "|":
      return left | right;
    case "^":
      return left ^ right;
    case "<<":
      return right >= 0n && right < 64n ? left << right : undefined;
    case ">>":
      return right >= 0n && right < 64n && left >= 0n ? left >> right : undefined;
    // By zero, and of negative numbers, they are what execution makes of them.
    case "/":
      return right > 0n && left >= 0n ? left / right : undefined;
    case "%":
      return right > 0n && left >= 0n ? left % right : undefined;
  }
}

/** `p + n` and `p - n`, in units of what p points to; `p - q` of the same type. */
function pointerArithmetic(site: Site, op: Arithmetic["op"]): TypedExpression | undefined {
  const { range, left, right } = site;
  if (left.type.kind === "pointer" && right.type.kind === "pointer") return badOperator(site);
  const [pointer, other] = left.type.kind === "pointer" ? [left, right] : [right, left];
  const index = other.type.kind === "bool" ? castTo(other, int64) : other;
  const isLegal = op === "+" || (op === "-" && pointer === left);
  if (!isLegal || !isNumber(index.type)) {
    return isNumber(index.type) ? badOperator(site) : mismatch(site);
  }
  const { type } = pointer;
  if (type.kind !== "pointer") return undefined;
  const scaled = scaleIndex(index, type.to.kind === "none" ? 1 : sizeOf(type.to));
  return { kind: "arithmetic", range, type, op, left: pointer, right: scaled };
}
