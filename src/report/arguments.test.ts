import assert from "node:assert/strict";
import test from "node:test";
import {
  type ArgumentSource,
  decodeArguments,
  decodeReturn,
  type FunctionPrototype,
  formatValue,
  toJsonValue,
  type ValueType,
} from "./arguments.ts";

const INT: ValueType = { kind: "integer", sizeBytes: 4, isSigned: true };
const ULONG: ValueType = { kind: "integer", sizeBytes: 8, isSigned: false };
const STRING: ValueType = { kind: "string" };
const POINTER: ValueType = { kind: "pointer" };
const OPTIONS = { textLengthMax: 8, guessesText: false };

function createSource(
  args: readonly bigint[],
  texts: Record<string, string> = {},
  floats: readonly number[] = [],
): ArgumentSource {
  return {
    arg: (index) => args[index] ?? 0n,
    floatArg: (index, type) =>
      type === "float" ? Math.fround(floats[index] ?? 0) : (floats[index] ?? 0),
    readCString: (address, sizeMax) => texts[address.toString(16)]?.slice(0, sizeMax),
  };
}

function prototype(parameters: ValueType[], isVariadic = false): FunctionPrototype {
  return { parameters, returns: INT, isVariadic };
}

function show(
  source: ArgumentSource,
  type: FunctionPrototype | undefined,
  options = OPTIONS,
): string {
  return decodeArguments(source, type, options)
    .map((value) => formatValue(value, options.textLengthMax, (_role, text) => text))
    .join(", ");
}

test("arguments are shown by their types", () => {
  const source = createSource([0x1000n, 0xfffffffffffffffen, 2n ** 64n - 1n, 0n], {
    "1000": "/etc",
  });
  assert.equal(
    show(source, prototype([STRING, INT, ULONG, POINTER], true)),
    '"/etc", -2, 18446744073709551615, NULL, ...',
  );
});

test("only the width of a type is looked at", () => {
  const source = createSource([0xdeadbeef_00000007n, 0xff00n]);
  assert.equal(show(source, prototype([INT, { kind: "boolean" }])), "7, false");
});

test("a floating point parameter takes no integer register", () => {
  const source = createSource([1n, 2n]);
  assert.equal(show(source, prototype([INT, { kind: "other" }, INT])), "1, ?, 2");
});

test("floating point is read by itself, and shown with its point", () => {
  const source = createSource([1n, 2n], {}, [2, 0.1, 1e300, Number.NaN, 1, 1, 1, 1]);
  const double: ValueType = { kind: "float", sizeBytes: 8 };
  const float: ValueType = { kind: "float", sizeBytes: 4 };
  const type = prototype([double, INT, float, double, INT, double]);
  assert.equal(show(source, type), "2.0, 1, 0.1, 1e+300, 2, NaN");
  // The ninth is on the stack.
  assert.equal(show(source, prototype(Array(9).fill(double))).slice(-5), ".0, ?");
  const [two, , , , , nan] = decodeArguments(source, type, OPTIONS).map(toJsonValue);
  assert.deepEqual([two, nan], [2, "NaN"]);
  const returns = { ...prototype([]), returns: float };
  const value = decodeReturn(source, Math.fround(0.7), returns, OPTIONS);
  assert.equal(
    formatValue(value, 8, (_role, text) => text),
    "0.7",
  );
});

test("a string that cannot be read is a pointer, a long one is cut", () => {
  const source = createSource([0x2000n, 0x3000n, 0n], { "3000": "0123456789" });
  assert.equal(show(source, prototype([STRING, STRING, STRING])), '0x2000, "01234567"..., NULL');
});

test("without a prototype the first four arguments are hexadecimal, or text when asked", () => {
  const source = createSource([0x1000n, 0x2000n, 3n, 2n ** 64n - 1n], {
    "1000": "hello",
    "2000": "\x01\x02\x03\x04",
  });
  assert.equal(show(source, undefined), "0x1000, 0x2000, 0x3, 0xffffffffffffffff");
  const guessing = { ...OPTIONS, guessesText: true };
  assert.equal(show(source, undefined, guessing), '"hello", 0x2000, 0x3, 0xffffffffffffffff');
});

test("values become plain JSON", () => {
  const source = createSource([0x1000n, 2n ** 60n, 5n], { "1000": "0123456789" });
  const values = decodeArguments(
    source,
    prototype([STRING, ULONG, POINTER, { kind: "other" }]),
    OPTIONS,
  );
  assert.deepEqual(values.map(toJsonValue), [
    { address: "0x1000", text: "01234567", cut: true },
    "1152921504606846976",
    "0x5",
    null,
  ]);
});

test("a return value has its own type", () => {
  const source = createSource([]);
  assert.deepEqual(decodeReturn(source, 0xffffffffn, prototype([]), OPTIONS), {
    kind: "integer",
    value: -1n,
  });
  assert.deepEqual(decodeReturn(source, 0xffffffffn, undefined, OPTIONS), {
    kind: "pointer",
    value: 0xffffffffn,
  });
});
