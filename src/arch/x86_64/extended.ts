/**
 * The registers in an XSAVE image, as PTRACE_GETREGSET gives it: Intel SDM vol. 1, 10.5.1 (the
 * legacy area, which is that of FXSAVE in 64-bit mode) and 13.4.2 (the header).
 *
 *      32  st0 … st7       16 bytes each, of which 10 are used; in the order of the x87 stack
 *     160  xmm0 … xmm15    16 bytes each
 *     512  XSTATE_BV       bit 0 x87, bit 1 SSE: a clear bit says that the part is in its initial state
 */

import type { ExtendedLayout } from "../arch.ts";
import { VECTOR_ARGUMENT_COUNT } from "./arguments.ts";

const ST_OFFSET = 32;
const ST_COUNT = 8;
const ST_BYTES = 10;
const XMM_OFFSET = 160;
const XMM_COUNT = 16;
const XMM_BYTES = 16;
const STRIDE_BYTES = 16;
const XSTATE_BV_OFFSET = 512;
const XSTATE_X87 = 1;
const XSTATE_SSE = 2;

interface Place {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly component: number;
}

/** The vector and x87 registers of x86-64. */
export const extended: ExtendedLayout = {
  argumentRegisters: Array.from({ length: VECTOR_ARGUMENT_COUNT }, (_, index) => `xmm${index}`),
  returnRegister: "xmm0",
  sizeOf: (name) => findPlace(name)?.sizeBytes,
  read(image, name) {
    const place = findPlace(name);
    if (place === undefined || image.length <= XSTATE_BV_OFFSET) return undefined;
    const bytes = new Uint8Array(place.sizeBytes);
    // In their initial state all of these registers are zero.
    if (((image[XSTATE_BV_OFFSET] as number) & place.component) === 0) return bytes;
    bytes.set(image.subarray(place.offsetBytes, place.offsetBytes + place.sizeBytes));
    return bytes;
  },
  write(image, name, bytes) {
    const place = findPlace(name);
    // An x87 register is worth nothing without its tag, which says whether it is in use.
    if (place?.component !== XSTATE_SSE || bytes.length > place.sizeBytes) return false;
    if (image.length <= XSTATE_BV_OFFSET) return false;
    const components = image[XSTATE_BV_OFFSET] as number;
    if ((components & XSTATE_SSE) === 0) {
      image.fill(0, XMM_OFFSET, XMM_OFFSET + XMM_COUNT * STRIDE_BYTES);
      image[XSTATE_BV_OFFSET] = components | XSTATE_SSE;
    }
    image.set(bytes, place.offsetBytes);
    return true;
  },
};

function findPlace(name: string): Place | undefined {
  const match = /^(xmm|st)(0|[1-9]\d?)$/.exec(name);
  if (match === null) return undefined;
  const index = Number(match[2]);
  if (match[1] === "st") {
    if (index >= ST_COUNT) return undefined;
    const offsetBytes = ST_OFFSET + index * STRIDE_BYTES;
    return { offsetBytes, sizeBytes: ST_BYTES, component: XSTATE_X87 };
  }
  if (index >= XMM_COUNT) return undefined;
  const offsetBytes = XMM_OFFSET + index * STRIDE_BYTES;
  return { offsetBytes, sizeBytes: XMM_BYTES, component: XSTATE_SSE };
}
