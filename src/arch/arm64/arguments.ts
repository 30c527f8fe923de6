/**
 * Where a function's arguments are when it is entered: AAPCS64 (Procedure Call Standard for the Arm
 * 64-bit Architecture), 6.8.2, whose rules are named in the comments. Variable arguments are passed
 * like the others, as on all systems but Apple's and Microsoft's.
 *
 *   [sp]    the argument area: what found no registers, each from a multiple of 8 or 16 bytes
 *
 * LIMIT: short vectors, scalable vectors, and C++ classes that are passed by an invisible pointer,
 * are not told apart here: whoever asks does not have them.
 */

import type {
  ArgumentPlace,
  ArgumentPlacer,
  ArgumentWord,
  DirectPlace,
  PassedScalar,
  PassedType,
} from "../arch.ts";

/** Floating-point arguments in registers: v0 to v7. */
export const VECTOR_ARGUMENT_COUNT = 8;

const GENERAL_ARGUMENT_COUNT = 8;
const WORD_BYTES = 8;
/** A larger aggregate is passed by a pointer to a copy, but for one of like floating points. */
const AGGREGATE_IN_REGISTERS_BYTES_MAX = 16;
const LIKE_FLOATS_MAX = 4;

const POINTER: PassedType = { kind: "integer", sizeBytes: 8 };

/**
 * See Arch.placeArguments. The place for a large return value is in x8, and takes no argument's.
 */
export function placeArguments(_returns: PassedType | undefined): ArgumentPlacer {
  return new Placer();
}

class Placer implements ArgumentPlacer {
  /** NGRN, NSRN and NSAA of the standard. */
  #generalUsed = 0;
  #vectorUsed = 0;
  #stackUsedBytes = 0;

  get stackSizeBytes(): number {
    return this.#stackUsedBytes;
  }

  next(type: PassedType): ArgumentPlace {
    const floats = likeFloats(type);
    if (floats !== undefined) return this.#nextFloats(type, floats);
    if (type.sizeBytes > AGGREGATE_IN_REGISTERS_BYTES_MAX) {
      return { kind: "pointed", pointer: this.#nextGeneral(POINTER) };
    }
    return this.#nextGeneral(type);
  }

  /** C.1 to C.7: a floating point, or up to four of a kind, in registers of their own. */
  #nextFloats(type: PassedType, floats: LikeFloats): DirectPlace {
    if (this.#vectorUsed + floats.count > VECTOR_ARGUMENT_COUNT) {
      this.#vectorUsed = VECTOR_ARGUMENT_COUNT;
      return this.#nextOnStack(type);
    }
    const words = Array.from({ length: floats.count }, (): ArgumentWord => {
      return { file: "vector", index: this.#vectorUsed++, sizeBytes: floats.sizeBytes };
    });
    return { kind: "registers", words };
  }

  /** C.9 to C.16. */
  #nextGeneral(type: PassedType): DirectPlace {
    const count = Math.ceil(type.sizeBytes / WORD_BYTES);
    if (alignmentOf(type) === 2 * WORD_BYTES) {
      this.#generalUsed = roundUp(this.#generalUsed, 2);
    }
    if (this.#generalUsed + count > GENERAL_ARGUMENT_COUNT) {
      // C.13: none behind it gets a register either.
      this.#generalUsed = GENERAL_ARGUMENT_COUNT;
      return this.#nextOnStack(type);
    }
    const words = Array.from({ length: count }, (): ArgumentWord => {
      return { file: "general", index: this.#generalUsed++, sizeBytes: WORD_BYTES };
    });
    return { kind: "registers", words };
  }

  #nextOnStack(type: PassedType): DirectPlace {
    const start = roundUp(this.#stackUsedBytes, Math.max(WORD_BYTES, alignmentOf(type)));
    this.#stackUsedBytes = start + roundUp(type.sizeBytes, WORD_BYTES);
    return { kind: "stack", offsetBytes: start };
  }
}

interface LikeFloats {
  readonly count: number;
  readonly sizeBytes: 4 | 8 | 16;
}

/**
 * A floating point, or a homogeneous floating-point aggregate (5.9.5): one to four of one type, and
 * nothing else; those of a union may overlap.
 */
function likeFloats(type: PassedType): LikeFloats | undefined {
  if (type.kind === "float") return { count: 1, sizeBytes: type.sizeBytes };
  if (type.kind === "integer") return undefined;
  const first = type.scalars[0]?.type;
  if (first?.kind !== "float") return undefined;
  const isLike = ({ type: one }: PassedScalar): boolean =>
    one.kind === "float" && one.sizeBytes === first.sizeBytes;
  const count = new Set(type.scalars.map((one) => one.offsetBytes)).size;
  if (!type.scalars.every(isLike) || count > LIKE_FLOATS_MAX) return undefined;
  // An empty member of C++, or room for alignment, makes it another type.
  if (count * first.sizeBytes !== type.sizeBytes) return undefined;
  return { count, sizeBytes: first.sizeBytes };
}

function alignmentOf(type: PassedType): number {
  const alignBytes = type.kind === "aggregate" ? type.alignBytes : type.sizeBytes;
  // C.10 and C.14 know 8 and 16 only.
  return Math.min(alignBytes, 2 * WORD_BYTES);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
