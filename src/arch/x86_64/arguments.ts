/**
 * Where a function's arguments are when it is entered: System V AMD64 psABI, 3.2.3 (classification
 * and passing) and 3.2.1 (the stack frame). Variable arguments are passed like the others (3.5.7).
 *
 *   [rsp]        return address
 *   [rsp + 8]    the argument area: what found no registers, each from a multiple of 8 or 16 bytes
 *
 * LIMIT: vector types of 16 bytes and more (__m128, _Float128), and C++ classes that are passed by
 * an invisible pointer, are not told apart here: whoever asks does not have them.
 */

import type {
  ArgumentPlace,
  ArgumentPlacer,
  ArgumentWord,
  PassedScalar,
  PassedType,
} from "../arch.ts";
import { convention } from "./convention.ts";

/** Floating-point arguments in registers: xmm0 to xmm7. */
export const VECTOR_ARGUMENT_COUNT = 8;

const WORD_BYTES = 8;
/** A larger aggregate is passed in memory. */
const AGGREGATE_IN_REGISTERS_BYTES_MAX = 16;

/** The class of eight bytes of a value; one "memory" stands for all of it. */
type ArgumentClass = "integer" | "vector" | "x87" | "x87up" | "memory";

/** See Arch.placeArguments. */
export function placeArguments(returns: PassedType | undefined): ArgumentPlacer {
  const placer = new Placer();
  // The caller passes the place for a value that is returned in memory as a hidden first argument.
  if (returns !== undefined && isReturnedInMemory(returns)) {
    placer.next({ kind: "integer", sizeBytes: 8 });
  }
  return placer;
}

class Placer implements ArgumentPlacer {
  #generalUsed = 0;
  #vectorUsed = 0;
  #stackUsedBytes = 0;

  get stackSizeBytes(): number {
    return this.#stackUsedBytes;
  }

  next(type: PassedType): ArgumentPlace {
    const classes = classifyArgument(type);
    const wantsGeneral = classes.filter((one) => one === "integer").length;
    const wantsVector = classes.filter((one) => one === "vector").length;
    const fits =
      this.#generalUsed + wantsGeneral <= convention.argumentRegisters.length &&
      this.#vectorUsed + wantsVector <= VECTOR_ARGUMENT_COUNT;
    // A value that does not fit whole leaves the rest of the registers to those behind it.
    if (classes.includes("memory") || !fits) return this.#nextOnStack(type);
    return { kind: "registers", words: classes.map((one) => this.#nextWord(one)) };
  }

  #nextWord(wanted: ArgumentClass): ArgumentWord {
    const sizeBytes = WORD_BYTES;
    if (wanted === "vector") return { file: "vector", index: this.#vectorUsed++, sizeBytes };
    const index = convention.argumentRegisters[this.#generalUsed++] as number;
    return { file: "general", index, sizeBytes };
  }

  #nextOnStack(type: PassedType): ArgumentPlace {
    const alignBytes = Math.max(WORD_BYTES, alignmentOf(type));
    const start = roundUp(this.#stackUsedBytes, alignBytes);
    this.#stackUsedBytes = start + roundUp(type.sizeBytes, WORD_BYTES);
    return { kind: "stack", offsetBytes: convention.stackArgumentOffsetBytes + start };
  }
}

/** The classes by which an argument is passed: an x87 register passes none. */
function classifyArgument(type: PassedType): readonly ArgumentClass[] {
  const classes = classify(type);
  return classes.includes("x87") ? ["memory"] : classes;
}

/** A structure of nothing but one long double is returned on the x87 stack, others with one not. */
function isReturnedInMemory(type: PassedType): boolean {
  return type.kind === "aggregate" && classify(type).includes("memory");
}

/** The classes of each eight bytes of a value. */
function classify(type: PassedType): readonly ArgumentClass[] {
  if (type.kind === "aggregate") return classifyAggregate(type.sizeBytes, type.scalars);
  if (type.kind === "integer") return type.sizeBytes === 16 ? ["integer", "integer"] : ["integer"];
  return type.sizeBytes === 16 ? ["x87", "x87up"] : ["vector"];
}

function classifyAggregate(
  sizeBytes: number,
  scalars: readonly PassedScalar[],
): readonly ArgumentClass[] {
  if (sizeBytes > AGGREGATE_IN_REGISTERS_BYTES_MAX) return ["memory"];
  const classes: ArgumentClass[] = [];
  for (const { offsetBytes, type } of scalars) {
    const first = Math.floor(offsetBytes / WORD_BYTES);
    for (const [index, one] of classify(type).entries()) {
      classes[first + index] = merge(classes[first + index], one);
    }
  }
  // What is left of a long double after the merger goes with its first half.
  const isTorn = classes.some((one, index) => one === "x87up" && classes[index - 1] !== "x87");
  return isTorn || classes.includes("memory") ? ["memory"] : classes;
}

/** Two classes in the same eight bytes: rules (a) to (f) of the merger. */
function merge(a: ArgumentClass | undefined, b: ArgumentClass): ArgumentClass {
  if (a === undefined || a === b) return b;
  if (a === "memory" || b === "memory") return "memory";
  if (a === "integer" || b === "integer") return "integer";
  // Of SSE and one half of an x87 value, or its two halves.
  return "memory";
}

function alignmentOf(type: PassedType): number {
  return type.kind === "aggregate" ? type.alignBytes : type.sizeBytes;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
