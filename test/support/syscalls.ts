/** The system call instructions of a module, of which libc has some hundred. */

import { closeSync, openSync, readSync } from "node:fs";
import type { Session } from "../../src/index.ts";

/** Addresses of all `syscall` instructions of a module's functions. */
export function findSyscalls(session: Session, moduleName: string): readonly bigint[] {
  const module = session.modules().find((one) => one.name.startsWith(moduleName));
  if (module === undefined) throw new Error(`no module ${moduleName}`);
  const fd = openSync(`/proc/${session.pid}/mem`, "r");
  try {
    const bytes = Buffer.alloc(module.sizeBytes);
    const count = readText(fd, bytes, module.base);
    const found: bigint[] = [];
    for (let at = bytes.indexOf("0f05", 0, "hex"); at >= 0 && at < count; ) {
      const address = module.base + BigInt(at);
      const check = session.check(address)[0];
      if (check?.verdict.kind === "probe" && check.instruction === "syscall") found.push(address);
      at = bytes.indexOf("0f05", at + 1, "hex");
    }
    return found;
  } finally {
    closeSync(fd);
  }
}

/** Page by page, as there may be holes. */
function readText(fd: number, bytes: Buffer, base: bigint): number {
  for (let at = 0; at < bytes.length; at += 4096) {
    try {
      readSync(fd, bytes, at, 4096, (base + BigInt(at)) as unknown as number);
    } catch {
      // Not mapped.
    }
  }
  return bytes.length;
}
