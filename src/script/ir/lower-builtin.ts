/** Builtins: values of the hit, the thread, the machine or the run. */

import { assertNever } from "../../base/errors.ts";
import type { TypedBuiltin, TypedExpression } from "../check/typed-tree.ts";
import type { ValueId } from "./ir.ts";
import { irTypeOf, isIrInt, type Lowering } from "./lower.ts";
import { asType, fitType } from "./lower-expression.ts";
import { loadAt } from "./lower-memory.ts";

export function lowerBuiltin(
  lowering: Lowering,
  expression: Extract<TypedExpression, { kind: "builtin" }>,
): ValueId {
  const value = readBuiltin(lowering, expression);
  const { type, range } = expression;
  return isIrInt(lowering.builder.typeOf(value)) && isIrInt(irTypeOf(type))
    ? fitType(lowering, value, type, range)
    : asType(lowering, value, type, range);
}

function readBuiltin(lowering: Lowering, expression: TypedBuiltin & TypedExpression): ValueId {
  const { builder } = lowering;
  const { name, index, range, type } = expression;
  switch (name) {
    case "arg":
      return builder.value("arg", "u64", [], range, { index });
    case "sarg":
      return builder.value("number", "u64", [], range, { name: `sarg${index}` });
    case "retval":
      return builder.value("returnValue", "u64", [], range);
    case "pid":
      return builder.value("processId", "u64", [], range);
    case "tid":
      return builder.value("threadId", "u64", [], range);
    case "cpu":
      return builder.value("cpu", "u64", [], range);
    case "comm":
      return builder.value("comm", "string", [], range);
    case "func":
      return builder.value("functionName", "string", [], range);
    case "probe":
      return builder.value("probeName", "string", [], range);
    case "nsecs":
      return builder.value("clock", "u64", [], range, { name: "boot" });
    case "elapsed":
      return builder.value("clock", "u64", [], range, { name: "elapsed" });
    case "rand": {
      const random = builder.value("random", "u64", [], range);
      return random;
    }
    case "usermode": {
      const value = builder.value("number", "u64", [], range, { name });
      return type.kind === "bool" ? builder.value("isNonzero", "bool", [value], range) : value;
    }
    case "pcomm":
    case "leader_comm":
    case "username":
    case "probetype":
      return builder.value("text", type.kind === "text" ? "text" : "string", [], range, { name });
    case "args": {
      const value = builder.value("field", "u64", [], range, { index });
      const isAddress = ["string", "array", "struct", "buffer"].includes(type.kind);
      if (isAddress) return loadAt(lowering, value, type, "kernel", range);
      return type.kind === "bool" ? builder.value("isNonzero", "bool", [value], range) : value;
    }
    case "uid":
    case "gid":
    case "ppid":
    case "leader_tid":
    case "numaid":
    case "ncpus":
    case "cgroup":
    case "jiffies":
    case "curtask":
    case "cpid":
    case "ctx":
      return builder.value("number", "u64", [], range, { name });
    default:
      return assertNever(name);
  }
}
