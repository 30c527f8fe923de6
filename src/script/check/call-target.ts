/**
 * Functions of the target: stacks, symbols, registers, clocks, and what changes it.
 */

import type { Expression } from "../syntax/tree.ts";
import { bool, intType, none, type Space, type StackMode, type Type, uint64 } from "../types.ts";
import { findBuiltin } from "./builtins.ts";
import {
  addressArgument,
  integerArgument,
  literalArgument,
  textArgument,
} from "./call-arguments.ts";
import type { CallCheck, CallNode } from "./calls.ts";
import { findKnownConstant } from "./constants.ts";
import { checkExpression } from "./expressions.ts";
import { castTo, makeCall, makeInt } from "./make-typed.ts";
import { checkName } from "./names.ts";
import { didYouMean } from "./nearest-name.ts";
import type { ProbeScope } from "./scope.ts";
import { isScalar, kindText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

export const targets: readonly (readonly [string, CallCheck])[] = [
  ["kstack", checkStack],
  ["ustack", checkStack],
  ["ksym", checkSymbol],
  ["usym", checkSymbol],
  ["kaddr", checkAddress],
  ["uaddr", checkAddress],
  ["percpu_kaddr", checkPerCpu],
  ["reg", checkRegister],
  ["kptr", checkSpace],
  ["uptr", checkSpace],
  ["path", checkPath],
  ["nsecs", checkClock],
  ["pid", checkNamespace],
  ["tid", checkNamespace],
  ["cgroupid", checkCgroupId],
  ["signal", checkSignal],
  ["signal_thread", checkSignal],
  ["override", checkOverride],
  ["write_user", checkWrite],
  ["unwatch", checkUnwatch],
];

const STACK_MODES: readonly string[] = ["bpftrace", "perf", "raw", "build_id"];

/** `kstack(perf, 3)`, `kstack(perf)`, `kstack(3)`. */
function checkStack(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [first] = node.arguments;
  const isMode = first?.kind === "identifier" && findBuiltin(first.name) === undefined;
  let mode: StackMode = scope.program.config.stackMode;
  if (isMode) {
    if (!STACK_MODES.includes(first.name)) {
      return scope.program.error(
        first.range,
        `Unknown identifier: '${first.name}'`,
        didYouMean(first.name, STACK_MODES) ?? `modes are ${STACK_MODES.join(", ")}`,
      );
    }
    mode = first.name as StackMode;
  }
  const at = isMode ? 1 : 0;
  const isCounted = node.arguments.length > at;
  if (node.arguments.length > at + 1) {
    return scope.program.error(node.range, `Invalid stack mode`, `${node.name}(mode, frames)`);
  }
  const count = isCounted ? literalArgument(scope, node, at) : undefined;
  if (isCounted && count === undefined) return undefined;
  if (count !== undefined && (count < 0n || count > STACK_FRAMES_MAX)) {
    return scope.program.error(
      node.range,
      `${node.name}([int limit]): limit shouldn't exceed ${STACK_FRAMES_MAX}, ${count} given`,
    );
  }
  const space: Space = node.name === "kstack" ? "kernel" : "user";
  const type: Type = { kind: "stack", space, mode };
  const options = count === undefined ? { space, mode } : { space, mode, countMax: Number(count) };
  return makeCall(node.range, node.name, type, [], options);
}

const STACK_FRAMES_MAX = 1024n;

function checkSymbol(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  const space: Space = node.name === "ksym" ? "kernel" : "user";
  if (value.type.kind !== "int" && value.type.kind !== "pointer") {
    return scope.program.error(node.range, `${node.name}() expects an integer or pointer argument`);
  }
  return makeCall(node.range, node.name, { kind: "symbol", space }, [value], { space });
}

/** The address is known before the run; what lies there has the size of the symbol. */
function checkAddress(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const name = textArgument(scope, node, 0);
  if (name === undefined) return undefined;
  const isKernel = node.name === "kaddr";
  const space: Space = isKernel ? "kernel" : "user";
  const [point] = scope.points;
  const symbol = scope.program.world.findSymbol(name, space, isKernel ? undefined : point);
  if (symbol === undefined) {
    return scope.program.error(
      node.range,
      isKernel
        ? `Failed to resolve kernel symbol: ${name}`
        : `Could not resolve symbol: ${point?.parts[0]?.text ?? ""}:${name}`,
    );
  }
  const address = makeInt(node.range, symbol.address, uint64);
  if (isKernel) return address;
  const sizeBytes = [1, 2, 4, 8].includes(symbol.sizeBytes)
    ? (symbol.sizeBytes as 1 | 2 | 4 | 8)
    : 8;
  return castTo(address, { kind: "pointer", to: intType(sizeBytes, false), space });
}

function checkPerCpu(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const name = textArgument(scope, node, 0);
  const cpu = node.arguments.length > 1 ? integerArgument(scope, node, 1) : undefined;
  if (name === undefined || (node.arguments.length > 1 && cpu === undefined)) return undefined;
  const operands = cpu === undefined ? [] : [cpu];
  return makeCall(node.range, "percpu_kaddr", uint64, operands, { text: name, space: "kernel" });
}

/** bpftrace's names, and those of the CPUs. */
const REGISTERS =
  "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss pc " +
  "rax rbx rcx rdx rsi rdi rbp rsp rip eflags lr fp x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 " +
  "x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 x30 pstate r0 r1 r2 r3 " +
  "r4 r5 r6 r7 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 r29 r30";
const registerNames: readonly string[] = REGISTERS.split(" ");

function checkRegister(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const name = textArgument(scope, node, 0);
  if (name === undefined) return undefined;
  if (!registerNames.includes(name)) {
    return scope.program.error(
      node.range,
      `'${name}' is not a valid register on this architecture`,
      didYouMean(name, registerNames),
    );
  }
  return makeCall(node.range, "reg", uint64, [], { text: name });
}

/** Only whose memory it points into changes. */
function checkSpace(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  const space: Space = node.name === "kptr" ? "kernel" : "user";
  if (value.type.kind === "pointer") return { ...value, type: { ...value.type, space } };
  if (value.type.kind === "int") {
    const type: Type = { kind: "pointer", to: intType(8, false), space };
    return { kind: "cast", range: node.range, type, value };
  }
  return scope.program.error(
    node.range,
    `${node.name}() only supports integer or pointer arguments (${kindText(value.type)} provided)`,
  );
}

function checkPath(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  const place = addressArgument(scope, value);
  if (place === undefined || value.type.kind === "string") {
    return scope.program.error(
      node.range,
      `path() only supports pointer arguments (${kindText(value.type)} provided)`,
    );
  }
  const type: Type = { kind: "string", sizeBytes: scope.program.config.strlenMax };
  return makeCall(node.range, "path", type, [place.address], { space: place.space });
}

const CLOCKS: readonly string[] = ["boot", "monotonic", "tai", "sw_tai"];

/** A word that stands for itself, as `boot` in nsecs(boot). */
function wordOf(node: Expression | undefined): string | undefined {
  return node?.kind === "identifier" ? node.name : undefined;
}

function checkClock(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const { range } = node;
  const [what] = node.arguments;
  if (what === undefined) return checkName(scope, { kind: "identifier", name: "nsecs", range });
  const clock = wordOf(what);
  if (clock !== undefined && CLOCKS.includes(clock)) {
    return makeCall(range, "nsecs", uint64, [], { text: clock });
  }
  return scope.program.error(
    range,
    `Invalid timestamp mode: ${clock ?? "?"}`,
    `modes are ${CLOCKS.join(", ")}`,
  );
}

/** `pid(init)` and `pid(curr_ns)`: what we see is what the tracer sees. */
function checkNamespace(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const { range, name } = node;
  const [what] = node.arguments;
  const word = wordOf(what);
  if (what !== undefined && word !== "init" && word !== "curr_ns") {
    return scope.program.error(
      what.range,
      `Invalid PID namespace mode: ${word ?? "?"} (expects: curr_ns or init)`,
    );
  }
  return checkName(scope, { kind: "identifier", name, range });
}

function checkCgroupId(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const text = textArgument(scope, node, 0);
  return text === undefined ? undefined : makeCall(node.range, "cgroupid", uint64, [], { text });
}

function checkSignal(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const idle = scope.points.find(({ provider }) => provider === "begin" || provider === "end");
  if (idle !== undefined) {
    return scope.program.error(
      node.range,
      `${node.name} can not be used with "${scope.program.isOld ? idle.provider.toUpperCase() : idle.provider}" probes`,
    );
  }
  if (what?.kind === "string") {
    const name = what.value.startsWith("SIG") ? what.value : `SIG${what.value}`;
    const known = findKnownConstant(name);
    if (known === undefined) {
      return scope.program.error(node.range, `${what.value} is not a valid signal`);
    }
    const number = makeInt(what.range, known.value, known.type);
    return makeCall(node.range, node.name, none, [number], {});
  }
  const number = integerArgument(scope, node, 0);
  if (number === undefined) return undefined;
  if (number.kind === "int" && (number.value < 1n || number.value > 64n)) {
    return scope.program.error(
      node.range,
      `${number.value} is not a valid signal, allowed range: [1,64]`,
    );
  }
  return makeCall(node.range, node.name, none, [number], {});
}

function checkOverride(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const value = integerArgument(scope, node, 0);
  return value === undefined ? undefined : makeCall(node.range, "override", none, [value], {});
}

/** As many bytes as the value has; of a literal 8, unless it is cast. */
function checkWrite(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [place, what] = node.arguments.map((one) => checkExpression(scope, one));
  if (place === undefined || what === undefined) return undefined;
  const address = place.type.kind === "string" ? undefined : addressArgument(scope, place);
  const isWritable =
    isScalar(what.type) || what.type.kind === "string" || what.type.kind === "array";
  if (address === undefined || !isWritable) {
    const wrong = address === undefined ? place : what;
    return scope.program.error(
      node.range,
      `write_user() takes a pointer and a value (${kindText(wrong.type)} provided)`,
    );
  }
  const sized = place.type.kind === "pointer" ? place.type.to : undefined;
  const value = sized?.kind === "int" && what.type.kind === "int" ? castTo(what, sized) : what;
  return makeCall(node.range, "write_user", bool, [address.address, value], {});
}

function checkUnwatch(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const address = integerArgument(scope, node, 0);
  return address === undefined ? undefined : makeCall(node.range, "unwatch", none, [address], {});
}
