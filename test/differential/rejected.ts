/**
 * Bytes that the decoder takes for no instruction, and that are refused for it: does the processor
 * think so, too? They are run unprobed, and whatever does not end in SIGILL is told of.
 */

import { Decoder, DecoderError, DecoderOptions } from "iced-x86";
import { generalRegisterWords, RFLAGS, RIP, RSP } from "../../src/arch/x86_64/registers.ts";
import { formatBytes } from "../support/x86-vectors.ts";
import { describe } from "./compare.ts";
import { decodeInto, scratchInstruction } from "./forms.ts";
import { LOW, LOW_DATA, STACK } from "./layout.ts";
import { Random } from "./random.ts";
import { Scratch } from "./scratch.ts";
import { middle } from "./states.ts";
import type { SuiteOptions } from "./suite.ts";

const PREFIXES_MAX = 5;
const SIGILL = 4;
const FLAGS = 0x202n;
const PRINTED_MAX = 40;
/** What is shown of the bytes: enough to know the instruction by. */
const SHOWN_BYTES = 8;

export interface Rejected {
  readonly triedCount: number;
  /** Bytes and how they ended. */
  readonly executed: readonly string[];
}

/** Run candidates that are no instruction to the decoder. */
export function tryRejected(candidates: readonly Uint8Array[], options: SuiteOptions): Rejected {
  const executed: string[] = [];
  let triedCount = 0;
  let scratch = new Scratch(options.program, options.cpu, new Random(options.seed));
  try {
    for (const bytes of candidates) {
      if (!isRejected(bytes)) continue;
      triedCount++;
      const end = tryOne(scratch, bytes);
      if (end !== undefined)
        executed.push(`${formatBytes(bytes.subarray(0, SHOWN_BYTES))} | ${end}`);
      if (scratch.isUsable) continue;
      scratch[Symbol.dispose]();
      scratch = new Scratch(options.program, options.cpu, new Random(options.seed));
    }
  } finally {
    scratch[Symbol.dispose]();
  }
  return { triedCount, executed };
}

/** No instruction, and not one that is only too long, which the processor refuses otherwise. */
function isRejected(bytes: Uint8Array): boolean {
  if (errorOf(bytes) !== DecoderError.InvalidInstruction) return false;
  for (let prefixCount = 1; prefixCount <= PREFIXES_MAX; prefixCount++) {
    const shorter = new Uint8Array(bytes.length);
    shorter.set(bytes.subarray(prefixCount));
    if (decodeInto(scratchInstruction, shorter) === undefined) continue;
    if (scratchInstruction.length + prefixCount > bytes.length) return false;
  }
  return true;
}

function errorOf(bytes: Uint8Array): DecoderError {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  try {
    decoder.decode().free();
    return decoder.lastError;
  } finally {
    decoder.free();
  }
}

/** How it ended, unless by SIGILL. */
function tryOne(scratch: Scratch, bytes: Uint8Array): string | undefined {
  const registers = scratch.ground.registers.slice();
  for (const word of generalRegisterWords) registers[word] = middle(LOW_DATA);
  const address = LOW.code.start + 0x200n;
  registers[RSP] = middle(STACK);
  registers[RFLAGS] = FLAGS;
  registers[RIP] = address;
  const placed = { bytes, address, registers, xsave: scratch.ground.xsave, patches: [] };
  scratch.place(placed);
  const outcome = scratch.run(placed);
  scratch.clear(placed);
  return outcome.frame?.signal === SIGILL ? undefined : describe(outcome);
}

export function formatRejected({ triedCount, executed }: Rejected): string {
  const lines = [
    `no instructions to the decoder: ${triedCount}, of which executed ${executed.length}`,
  ];
  lines.push(...executed.slice(0, PRINTED_MAX).map((line) => `  ${line}`));
  return `${lines.join("\n")}\n`;
}
