/** Calls of the language's functions to IR; what each carries is said in check/functions.ts. */

import { BugError } from "../../base/errors.ts";
import type { TypedExpression } from "../check/typed-tree.ts";
import type { Range } from "../source.ts";
import type { Type } from "../types.ts";
import type { IrType, ValueId } from "./ir.ts";
import { irTypeOf, isIrInt, type Lowering, retyped } from "./lower.ts";
import { asType, fitType, lowerBool, lowerExpression, lowerKeys } from "./lower-expression.ts";

export type Call = Extract<TypedExpression, { kind: "call" }>;

/** undefined where the function gives nothing. */
export function lowerCall(lowering: Lowering, call: Call): ValueId | undefined {
  const lower = STATEMENTS[call.name];
  if (lower !== undefined) {
    lower(lowering, call);
    return undefined;
  }
  const lowerValue = VALUES[call.name];
  if (lowerValue === undefined) throw new BugError(`${call.name}() is not known to lowering`);
  return asType(lowering, lowerValue(lowering, call), call.type, call.range);
}

/** The functions that lowering knows, for the tests that hold it to the checker's table. */
export function isKnownFunction(name: string): boolean {
  return STATEMENTS[name] !== undefined || VALUES[name] !== undefined;
}

type LowerStatement = (lowering: Lowering, call: Call) => void;
type LowerValue = (lowering: Lowering, call: Call) => ValueId;

const STATEMENTS: Readonly<Record<string, LowerStatement>> = {
  printf: output,
  debugf: output,
  errorf: output,
  warnf: output,
  cat: output,
  time: (lowering, call) => {
    lowering.builder.effect("output", [], call.range, {
      name: "time",
      format: call.options.text ?? "%H:%M:%S\n",
      types: [],
    });
  },
  join: (lowering, { operands, options, range }) => {
    const { builder, program } = lowering;
    const address = unsigned(lowering, first(operands));
    const text = builder.value("loadStrings", "string", [address], range, {
      name: options.text ?? " ",
      sizeBytes: program.config.strlenMax - 1,
      space: options.space ?? "kernel",
    });
    builder.effect("output", [text], range, { name: "join", format: "", types: [] });
  },
  print: lowerPrint,
  exit: (lowering, { operands, range }) => {
    const [code] = operands;
    leave(lowering, code === undefined ? 0n : code, range);
  },
  clear: (lowering, { options, range }) => {
    lowering.builder.effect("mapClear", [], range, { map: options.map ?? 0 });
  },
  zero: (lowering, { options, range }) => {
    lowering.builder.effect("mapZero", [], range, { map: options.map ?? 0 });
  },
  unwatch: (lowering, { operands, range }) => {
    lowering.builder.effect("unwatch", [unsigned(lowering, first(operands))], range);
  },
  assert: (lowering, call) => {
    const { builder } = lowering;
    const condition = lowerBool(lowering, first(call.operands));
    const otherwise = builder.block(() => {
      const format = (call.options.text ?? "assertion failed").replaceAll("%", "%%");
      builder.effect("output", [], call.range, { name: "errorf", format, types: [] });
      leave(lowering, 1n, call.range);
    });
    builder.node({ kind: "if", condition, onTrue: [], onFalse: otherwise });
  },
  fail: (lowering, call) => {
    output(lowering, { ...call, name: "errorf" });
    leave(lowering, 1n, call.range);
  },
  system: (lowering, { operands, options, range }) => {
    const values = operands.map((operand) => lowerExpression(lowering, operand));
    lowering.builder.effect("system", values, range, {
      format: options.format ?? "",
      types: typesOf(operands),
    });
  },
  signal: lowerSignal,
  signal_thread: lowerSignal,
  override: (lowering, { operands, range }) => {
    lowering.builder.effect("overrideReturn", [unsigned(lowering, first(operands))], range);
  },
};

const VALUES: Readonly<Record<string, LowerValue>> = {
  write_user: (lowering, { operands, range }) => {
    const [address, value] = operands;
    if (address === undefined || value === undefined) throw new BugError("write_user of nothing");
    const at = unsigned(lowering, address);
    const given = lowerExpression(lowering, value);
    return lowering.builder.value("write", "bool", [at, given], range, { types: [value.type] });
  },
  str: lowerStr,
  buf: lowerBuf,
  ksym: lowerSymbol,
  usym: lowerSymbol,
  kstack: lowerStack,
  ustack: lowerStack,
  reg: (lowering, { options, range }) =>
    lowering.builder.value("register", "u64", [], range, { name: options.text ?? "ip" }),
  uaddr: (lowering, { options, range }) =>
    lowering.builder.value("number", "u64", [], range, { name: `uaddr:${options.text ?? ""}` }),
  percpu_kaddr: (lowering, { operands, options, range }) => {
    const { builder } = lowering;
    const [cpu] = operands;
    const on =
      cpu === undefined ? builder.value("cpu", "u64", [], range) : lowerExpression(lowering, cpu);
    return builder.value("perCpuAddress", "u64", [on], range, { name: options.text ?? "" });
  },
  path: (lowering, { operands, range }) => {
    const address = unsigned(lowering, first(operands));
    return lowering.builder.value("path", "string", [address], range);
  },
  nsecs: (lowering, { options, range }) =>
    lowering.builder.value("clock", "u64", [], range, { name: clockOf(options.text) }),
  kptr: (lowering, { operands }) => lowerExpression(lowering, first(operands)),
  uptr: (lowering, { operands }) => lowerExpression(lowering, first(operands)),
  strncmp: (lowering, call) => {
    const count = BigInt(call.options.countMax ?? 0);
    const { builder } = lowering;
    const operands = call.operands.map((operand) => lowerExpression(lowering, operand));
    operands.push(builder.value("const", "s64", [], call.range, { value: count }));
    return named(lowering, "pure", call, operands);
  },
  memcmp: (lowering, call) => {
    const [left, right, count] = call.operands;
    if (left === undefined || right === undefined || count === undefined) {
      throw new BugError("memcmp() of less than two");
    }
    const sides = [left, right].map((side) => lowerExpression(lowering, side));
    const n = lowerExpression(lowering, count);
    const read = sides.map((side) => bytesAt(lowering, side, n, call));
    return named(lowering, "pure", call, [...read, n]);
  },
  strcontains: pure,
  strlen: pure,
  strstr: pure,
  strcap: pure,
  str_concat: pure,
  bswap: pure,
  len: pure,
  ntop: pure,
  pton: pure,
  macaddr: pure,
  strerror: pure,
  signal_name: pure,
  syscall_name: ask,
  cgroup_path: ask,
  cgroupid: ask,
  strftime: ask,
};

function clockOf(name: string | undefined): string {
  return name === "sw_tai" ? "tai" : (name ?? "boot");
}

function first(operands: readonly TypedExpression[]): TypedExpression {
  const [operand] = operands;
  if (operand === undefined) throw new BugError("a call lacks its operand");
  return operand;
}

function typesOf(operands: readonly TypedExpression[]): readonly Type[] {
  return operands.map((operand) => operand.type);
}

function unsigned(lowering: Lowering, expression: TypedExpression): ValueId {
  return retyped(lowering, lowerExpression(lowering, expression), "u64", expression.range);
}

/** A format, and the values for it. */
function output(lowering: Lowering, call: Call): void {
  const values = call.operands.map((operand) => lowerExpression(lowering, operand));
  lowering.builder.effect("output", values, call.range, {
    name: call.name === "debugf" ? "printf" : call.name,
    format: call.options.format ?? "",
    types: typesOf(call.operands),
  });
}

function lowerPrint(lowering: Lowering, { operands, options, range }: Call): void {
  const { builder, program } = lowering;
  const top = options.top ?? 0;
  const div = options.div ?? 0;
  const [value] = operands;
  if (options.map !== undefined) {
    if (operands.length === 0) {
      return builder.effect("printMap", [], range, { map: options.map, top, div });
    }
    const keys = lowerKeys(lowering, options.map, operands);
    return builder.effect("printMapValue", keys, range, { map: options.map, top, div });
  }
  if (value === undefined) throw new BugError("print() of nothing");
  if (value.kind === "getMap" && program.maps[value.map]?.valueType.kind === "aggregate") {
    const keys = lowerKeys(lowering, value.map, value.keys);
    return builder.effect("printMapValue", keys, range, { map: value.map, top, div });
  }
  const given = lowerExpression(lowering, value);
  builder.effect("printValue", [given], range, { types: [value.type] });
}

/** The run's end, and this action's at once. */
function leave(lowering: Lowering, code: TypedExpression | bigint, range: Range): void {
  const { builder } = lowering;
  const value =
    typeof code === "bigint"
      ? builder.value("const", "s64", [], range, { value: code })
      : lowerExpression(lowering, code);
  builder.effect("exit", [value], range);
  builder.node({ kind: "return", value: undefined });
}

function lowerSignal(lowering: Lowering, call: Call): void {
  const number = lowerExpression(lowering, first(call.operands));
  const name = call.name === "signal_thread" ? "thread" : "process";
  lowering.builder.value("signal", "bool", [number], call.range, { name });
}

function lowerStr(lowering: Lowering, call: Call): ValueId {
  const { builder, program } = lowering;
  const { operands, options, range } = call;
  const [source, count] = operands;
  const value = lowerExpression(lowering, first(operands));
  const sizeBytes = Math.max(0, (options.countMax ?? program.config.strlenMax) - 1);
  const lengthMax =
    count === undefined
      ? builder.value("const", "s64", [], range, { value: BigInt(sizeBytes) })
      : lowerExpression(lowering, count);
  const type = builder.typeOf(value);
  if (!isIrInt(type)) {
    const text =
      type === "bytes" ? builder.value("bytesToString", "string", [value], range) : value;
    return builder.value("pure", "string", [text, lengthMax], range, { name: "strcap", types: [] });
  }
  const address = retyped(lowering, value, "u64", range);
  const space = options.space ?? (source?.type.kind === "pointer" ? source.type.space : "user");
  const text = builder.value("loadString", "string", [address, lengthMax], range, {
    sizeBytes,
    space,
  });
  builder.effect("checkRead", [text], range);
  return text;
}

function lowerBuf(lowering: Lowering, call: Call): ValueId {
  const { builder, program } = lowering;
  const { operands, options, range } = call;
  const [source, count] = operands;
  const value = lowerExpression(lowering, first(operands));
  const sizeBytes = options.countMax ?? program.config.strlenMax;
  const length =
    count === undefined
      ? builder.value("const", "s64", [], range, { value: BigInt(sizeBytes) })
      : lowerExpression(lowering, count);
  const type = builder.typeOf(value);
  if (type === "bytes" || type === "string") {
    return builder.value("pure", "bytes", [value, length], range, { name: "buf", types: [] });
  }
  const address = retyped(lowering, value, "u64", range);
  const space = options.space ?? (source?.type.kind === "pointer" ? source.type.space : "user");
  const bytes = builder.value("loadBytes", "bytes", [address, length], range, {
    sizeBytes,
    space,
  });
  builder.effect("checkRead", [bytes], range);
  return bytes;
}

function lowerSymbol(lowering: Lowering, call: Call): ValueId {
  const address = unsigned(lowering, first(call.operands));
  const space = call.options.space ?? (call.name === "ksym" ? "kernel" : "user");
  return lowering.builder.value("symbol", "symbol", [address], call.range, { space });
}

function lowerStack(lowering: Lowering, call: Call): ValueId {
  const { builder, program } = lowering;
  const { options, range } = call;
  const depth = BigInt(options.countMax ?? 127);
  const count = builder.value("const", "s64", [], range, { value: depth });
  return builder.value("stack", "stack", [count], range, {
    space: options.space ?? (call.name === "kstack" ? "kernel" : "user"),
    mode: options.mode ?? program.config.stackMode,
  });
}

/** What is at an address, where an address is given. */
function bytesAt(lowering: Lowering, value: ValueId, count: ValueId, call: Call): ValueId {
  const { builder } = lowering;
  if (!isIrInt(builder.typeOf(value))) return value;
  const address = retyped(lowering, value, "u64", call.range);
  const bytes = builder.value("loadBytes", "bytes", [address, count], call.range, {
    sizeBytes: lowering.program.config.strlenMax,
    space: call.options.space ?? "user",
  });
  builder.effect("checkRead", [bytes], call.range);
  return bytes;
}

function pure(lowering: Lowering, call: Call): ValueId {
  return named(
    lowering,
    "pure",
    call,
    call.operands.map((operand) => lowerExpression(lowering, operand)),
  );
}

function ask(lowering: Lowering, call: Call): ValueId {
  return named(
    lowering,
    "ask",
    call,
    call.operands.map((operand) => lowerExpression(lowering, operand)),
  );
}

/** A function by its name; integers it gives are 64 bits wide, whatever the checker makes of it. */
function named(
  lowering: Lowering,
  op: "pure" | "ask",
  call: Call,
  operands: readonly ValueId[],
): ValueId {
  const type = resultTypeOf(call);
  const value = lowering.builder.value(op, type, operands, call.range, {
    name: call.name,
    types: typesOf(call.operands),
    format: call.options.text ?? "",
  });
  return isIrInt(type) ? fitType(lowering, value, call.type, call.range) : value;
}

/** Some give a bool in one dialect and an integer in the other. */
function resultTypeOf(call: Call): IrType {
  if (call.name === "strcontains") return "bool";
  const type = irTypeOf(call.type);
  if (!isIrInt(type)) return type;
  return call.name === "strstr" || call.name === "memcmp" ? "s64" : "u64";
}
