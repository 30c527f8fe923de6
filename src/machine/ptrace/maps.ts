/**
 * /proc/PID/maps, a mapping a line (proc(5)):
 *   start-end rwxp offset dev inode path
 */

import { readFileSync } from "node:fs";
import { toAddress } from "../../base/address.ts";
import type { Mapping } from "../machine.ts";

const LINE = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) ([0-9a-f]+) \S+ \d+\s*(.*)$/;

/** The mappings of a process in ascending order; empty when it is gone. */
export function readMappings(pid: number): readonly Mapping[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch {
    return [];
  }
  return parseMappings(text);
}

export function parseMappings(text: string): readonly Mapping[] {
  const result: Mapping[] = [];
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, start, end, read, write, execute, share, offset, path] = match;
    result.push({
      start: toAddress(BigInt(`0x${start}`)),
      end: toAddress(BigInt(`0x${end}`)),
      fileOffset: Number.parseInt(offset ?? "0", 16),
      readable: read === "r",
      writable: write === "w",
      executable: execute === "x",
      shared: share === "s",
      path: path ?? "",
    });
  }
  return result;
}
