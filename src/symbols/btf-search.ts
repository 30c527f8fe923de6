/**
 * Finds the BTF of a kernel in the read-only data of its image: nothing there says where it is when
 * the kernel's table of symbols holds functions only. The largest that reads whole is taken, as
 * headers of small ones lie about in BPF programs.
 */

import { ToolError } from "../base/errors.ts";
import type { Btf } from "./btf.ts";
import { BTF_MAGIC, readBtf, readBtfHeader } from "./btf.ts";

/** The types of a kernel take megabytes. */
const SIZE_BYTES_MIN = 0x1_0000;
/** Headers that promise more than there is cost a pass each. */
const CANDIDATE_COUNT_MAX = 64;

/** undefined when the bytes hold no BTF of a kernel, whole. */
export function findBtf(bytes: Uint8Array): Btf | undefined {
  const low = BTF_MAGIC & 0xff;
  const high = BTF_MAGIC >> 8;
  let best: Btf | undefined;
  let candidateCount = 0;
  for (let at = bytes.indexOf(low); at !== -1; at = bytes.indexOf(low, at + 1)) {
    if (bytes[at + 1] !== high || bytes[at + 2] !== 1) continue;
    const header = readBtfHeader(bytes, at);
    if (header === undefined || header.sizeBytes < SIZE_BYTES_MIN) continue;
    if (header.typesEnd !== header.stringsStart || at + header.sizeBytes > bytes.length) continue;
    if (header.sizeBytes <= (best?.bytes.length ?? 0)) continue;
    candidateCount += 1;
    if (candidateCount > CANDIDATE_COUNT_MAX) break;
    best = tryRead(bytes.subarray(at, at + header.sizeBytes)) ?? best;
  }
  return best;
}

function tryRead(bytes: Uint8Array): Btf | undefined {
  try {
    return readBtf(bytes);
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}
