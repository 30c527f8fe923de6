/**
 * Reads a kernel's list of symbols as text: the `System.map` of a build, what `nm` prints, or a
 * copy of /proc/kallsyms.
 *
 *   address  SPACE  letter  SPACE  name  [ TAB "[" module "]" ]        address: hexadecimal digits
 *
 * Symbols of modules are left out: they lie elsewhere at the next boot.
 */

import { type Address, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { KernelSymbols } from "./kernel-symbols.ts";
import { decodeText, encodeText } from "./text.ts";

interface Line {
  readonly address: bigint;
  readonly type: string;
  readonly name: string;
}

const LINE = /^([0-9a-f]{8,16}) ([a-z?]) (\S+)(\s+\[\S+\])?$/i;
/** Lines looked at before a file is taken for such a list. */
const TRIAL_LINES = 16;

/** Whether bytes look like such a list. */
export function isSystemMap(bytes: Uint8Array): boolean {
  const start = decodeText(bytes, 0, Math.min(bytes.length, 4096));
  const lines = start.split("\n").slice(0, TRIAL_LINES);
  // The last may be cut off.
  const whole = lines.length > 1 ? lines.slice(0, -1) : lines;
  return whole.length > 0 && whole.every((line) => LINE.test(line.trimEnd()));
}

/**
 * The symbols, sorted by address.
 * @param file for messages.  @throws ToolError kernel.malformed
 */
export function readSystemMap(bytes: Uint8Array, file: string): KernelSymbols {
  const lines = parseLines(decodeText(bytes, 0, bytes.length), file);
  if (lines.length === 0) throw wrong(file, "it has no symbols");
  if (lines.every(({ address }) => address === 0n)) {
    throw new ToolError("kernel.malformed", `${file} has no addresses: all are 0`, {
      hint: "/proc/kallsyms shows them to root (kptr_restrict)",
    });
  }
  lines.sort((left, right) => (left.address < right.address ? -1 : 1));
  return toColumns(lines, findBase(lines));
}

function parseLines(text: string, file: string): Line[] {
  const lines: Line[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const [, address, type, name, module] = LINE.exec(line.trimEnd()) ?? [];
    if (address === undefined || type === undefined || name === undefined) {
      throw wrong(file, `line ${index + 1} is no symbol`);
    }
    if (module !== undefined) continue;
    lines.push({ address: BigInt(`0x${address}`), type, name });
    if (lines.length > limits.symbolCountMax) {
      throw wrong(file, `more symbols than symbolCountMax ${limits.symbolCountMax}`);
    }
  }
  return lines;
}

/** Where the image begins: per-CPU variables and constants have lower addresses. */
function findBase(lines: readonly Line[]): Address {
  const isCode = ({ type }: Line): boolean => "tT".includes(type);
  const high = lines.find((line) => isCode(line) && line.address >> 63n === 1n);
  return toAddress((high ?? lines.find(isCode) ?? (lines[0] as Line)).address);
}

function toColumns(lines: readonly Line[], base: Address): KernelSymbols {
  const count = lines.length;
  const names: string[] = [];
  const offsets = new Float64Array(count);
  const types = new Uint8Array(count);
  const nameOffsets = new Uint32Array(count);
  let sizeBytes = 0;
  for (const [row, { address, type, name }] of lines.entries()) {
    offsets[row] = Number(BigInt.asIntN(64, address - base));
    types[row] = type.charCodeAt(0);
    nameOffsets[row] = sizeBytes;
    names.push(name);
    sizeBytes += encodeText(name).length + 1;
  }
  return { base, count, offsets, types, nameOffsets, strings: encodeText(`${names.join("\0")}\0`) };
}

function wrong(file: string, why: string): ToolError {
  return new ToolError("kernel.malformed", `cannot take symbols from ${file} (${why})`, {
    details: { file },
  });
}
