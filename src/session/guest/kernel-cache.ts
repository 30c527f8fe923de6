/**
 * Kernels that were seen before, by build-id, so that a guest is opened the next time without
 * searching its memory: a file for each in the user's cache directory. Whatever is wrong with one,
 * it is as if it were not there.
 */

import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { limits } from "../../base/limits.ts";
import type { GuestKernel, KernelImage } from "../../guest/kernel.ts";
import { encodeKernel, recallKernel } from "../../guest/kernel-cache.ts";

/** Undefined when this kernel was not seen before. */
export function findKnownKernel(image: KernelImage): GuestKernel | undefined {
  const path = pathOf(image.buildId);
  if (path === undefined) return undefined;
  try {
    if (statSync(path).size > limits.kernelImageSizeBytesMax) return undefined;
    return recallKernel(readFileSync(path), image);
  } catch {
    return undefined;
  }
}

/** Remember a kernel, if that can be done. */
export function keepKernel(kernel: GuestKernel): void {
  const path = pathOf(kernel.buildId);
  const bytes = path === undefined ? undefined : encodeKernel(kernel);
  if (path === undefined || bytes === undefined) return;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const partial = `${path}.${process.pid}`;
    writeFileSync(partial, bytes);
    renameSync(partial, path);
  } catch {
    // No room, or no right to write: the next time takes as long as this.
  }
}

function pathOf(buildId: string | undefined): string | undefined {
  if (buildId === undefined || !/^[0-9a-f]{8,128}$/.test(buildId)) return undefined;
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "trapline", "kernels", buildId);
}
