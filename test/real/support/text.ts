/** Whether a process's text is what its files hold: nothing of ours is left in it. */

import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** Where executable memory differs from its file, as text; empty when nowhere. */
export function findTextChanges(pid: number): readonly string[] {
  const changes: string[] = [];
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const match = /^(\w+)-(\w+) r-xp (\w+) \S+ \d+ +(\/.*?)( \(deleted\))?$/.exec(line);
      if (match === null || match[5] !== undefined) continue;
      const [, from = "", to = "", offset = "", path = ""] = match;
      const start = BigInt(`0x${from}`);
      const sizeBytes = Number(BigInt(`0x${to}`) - start);
      const live = new Uint8Array(sizeBytes);
      // The last page may reach beyond the end of the file.
      const filed = readFile(path, Number.parseInt(offset, 16), sizeBytes);
      readSync(memory, live, 0, filed.length, start);
      const at = filed.findIndex((byte, index) => byte !== live[index]);
      if (at >= 0) changes.push(`${path}+0x${(Number.parseInt(offset, 16) + at).toString(16)}`);
    }
  } finally {
    closeSync(memory);
  }
  return changes;
}

/** Pages that are executable and writable, or executable without a file: none once we are gone. */
export function readTracerPid(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^TracerPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

function readFile(path: string, offset: number, sizeBytes: number): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(sizeBytes);
    return bytes.subarray(0, readSync(file, bytes, 0, sizeBytes, offset));
  } finally {
    closeSync(file);
  }
}
