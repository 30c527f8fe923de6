/**
 * What goes to and from the harness (programs/harness.c), little-endian:
 *
 *   job     registers[34 x 8] threadPointer[8] seed[8] vectors[528] hasScalable[8] patchCount[8]
 *           4 patches of address[8] bytes[32]
 *   result  registers[34 x 8] threadPointer[8] vectors[528] signal[8] code[8] address[8]
 *           faultAddress[8] frameHash[8] changeCount[8], then changes of address[8] value[8]
 */

import { spawnSync } from "node:child_process";
import { REGISTER_COUNT } from "../../../src/arch/arm64/registers.ts";

export const VECTOR_BYTES = 528;
export const PATCH_BYTES = 32;
const PATCHES_MAX = 4;
const JOB_BYTES = REGISTER_COUNT * 8 + 16 + VECTOR_BYTES + 16 + PATCHES_MAX * (8 + PATCH_BYTES);
const RESULT_BYTES = REGISTER_COUNT * 8 + 8 + VECTOR_BYTES + 6 * 8;
const CHANGE_BYTES = 16;
const OUTPUT_BYTES_MAX = 1 << 28;

/** Code that is there while a job runs. */
export interface Patch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export interface Job {
  readonly registers: BigUint64Array;
  readonly threadPointer: bigint;
  /** Of what is in the windows of data, and beyond the low halves of scalable registers. */
  readonly seed: bigint;
  readonly vectors: Uint8Array;
  readonly hasScalable: boolean;
  readonly patches: readonly Patch[];
}

/** How a job ended: a signal, and all that its frame shows. */
export interface Result {
  readonly registers: BigUint64Array;
  threadPointer: bigint;
  readonly vectors: Uint8Array;
  readonly signal: number;
  readonly code: number;
  address: bigint;
  faultAddress: bigint;
  /** Of the frame's records: vector, scalable and matrix registers. */
  readonly frameHash: bigint;
  /** Words of the windows that differ from their seed's, as `address=value`. */
  readonly changes: string;
}

/** Run jobs under the emulator; undefined for one that it did not survive. */
export function runJobs(
  program: string,
  emulator: readonly [string, ...string[]],
  jobs: readonly Job[],
): readonly (Result | undefined)[] {
  const results: (Result | undefined)[] = [];
  const [command, ...options] = emulator;
  while (results.length < jobs.length) {
    const rest = jobs.slice(results.length);
    const input = new Uint8Array(rest.length * JOB_BYTES);
    for (const [index, job] of rest.entries()) writeJob(job, input, index * JOB_BYTES);
    const { stdout, error } = spawnSync(command, [...options, program], {
      input,
      maxBuffer: OUTPUT_BYTES_MAX,
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (error !== undefined && stdout === null) throw error;
    const found = readResults(stdout);
    results.push(...found);
    if (found.length < rest.length) results.push(undefined);
  }
  return results;
}

function writeJob(job: Job, target: Uint8Array, offset: number): void {
  const view = new DataView(target.buffer, offset, JOB_BYTES);
  let at = 0;
  const word = (value: bigint): void => {
    view.setBigUint64(at, value, true);
    at += 8;
  };
  const bytes = (value: Uint8Array): void => {
    target.set(value, offset + at);
    at += value.length;
  };
  for (const value of job.registers) word(value);
  word(job.threadPointer);
  word(job.seed);
  bytes(job.vectors);
  word(job.hasScalable ? 1n : 0n);
  word(BigInt(job.patches.length));
  for (const patch of job.patches) {
    word(patch.address);
    bytes(patch.bytes);
  }
}

/** As many as are whole. */
function readResults(output: Uint8Array): Result[] {
  const view = new DataView(output.buffer, output.byteOffset, output.byteLength);
  const results: Result[] = [];
  let start = 0;
  while (start + RESULT_BYTES <= output.length) {
    let at = start;
    const word = (): bigint => {
      const value = view.getBigUint64(at, true);
      at += 8;
      return value;
    };
    const registers = BigUint64Array.from({ length: REGISTER_COUNT }, word);
    const threadPointer = word();
    const vectors = new Uint8Array(output.subarray(at, at + VECTOR_BYTES));
    at += VECTOR_BYTES;
    const [signal, code] = [Number(word()), Number(word())];
    const [address, faultAddress, frameHash] = [word(), word(), word()];
    const changeCount = Number(word());
    if (at + changeCount * CHANGE_BYTES > output.length) break;
    const changes = Array.from({ length: changeCount }, () => {
      const where = word();
      return `[0x${where.toString(16)}]=0x${word().toString(16)}`;
    }).join(" ");
    start = at;
    const ending = { signal, code, address, faultAddress, frameHash, changes };
    results.push({ registers, threadPointer, vectors, ...ending });
  }
  return results;
}
