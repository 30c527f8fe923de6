/**
 * The vector registers in the layout of Linux's `struct user_fpsimd_state` (<asm/ptrace.h>), which
 * PTRACE_GETREGSET gives for NT_PRFPREG and GDB's fpu feature lists:
 *
 *       0  v0 … v31   16 bytes each
 *     512  fpsr, fpcr  4 bytes each
 *
 * LIMIT: what scalable registers (SVE) hold beyond 128 bits is not in it.
 */

import type { ExtendedLayout } from "../arch.ts";
import { VECTOR_ARGUMENT_COUNT } from "./arguments.ts";

const VECTOR_COUNT = 32;
const VECTOR_BYTES = 16;
const STATUS_OFFSET = VECTOR_COUNT * VECTOR_BYTES;
const STATUS_BYTES = 4;

interface Place {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Where a vector register lies in the image. */
export function vectorOffset(index: number): number {
  return index * VECTOR_BYTES;
}

/** The floating-point and vector registers of arm64. */
export const extended: ExtendedLayout = {
  argumentRegisters: Array.from({ length: VECTOR_ARGUMENT_COUNT }, (_, index) => `v${index}`),
  returnRegister: "v0",
  sizeOf: (name) => findPlace(name)?.sizeBytes,
  read(image, name) {
    const place = findPlace(name);
    if (place === undefined || image.length < place.offsetBytes + place.sizeBytes) return undefined;
    return image.slice(place.offsetBytes, place.offsetBytes + place.sizeBytes);
  },
  write(image, name, bytes) {
    const place = findPlace(name);
    if (place === undefined || bytes.length > place.sizeBytes) return false;
    if (image.length < place.offsetBytes + place.sizeBytes) return false;
    image.set(bytes, place.offsetBytes);
    return true;
  },
};

/** v0 and q0 are the same; d0 and s0 its low 8 and 4 bytes. */
function findPlace(name: string): Place | undefined {
  if (name === "fpsr") return { offsetBytes: STATUS_OFFSET, sizeBytes: STATUS_BYTES };
  if (name === "fpcr")
    return { offsetBytes: STATUS_OFFSET + STATUS_BYTES, sizeBytes: STATUS_BYTES };
  const match = /^([vqds])(0|[1-9]\d?)$/.exec(name);
  if (match === null) return undefined;
  const index = Number(match[2]);
  if (index >= VECTOR_COUNT) return undefined;
  const sizeBytes = { v: 16, q: 16, d: 8, s: 4 }[match[1] as "v" | "q" | "d" | "s"];
  return { offsetBytes: vectorOffset(index), sizeBytes };
}
