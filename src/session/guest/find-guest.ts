/**
 * From the address of a stub to a kernel that can be probed: opens the machine and finds the kernel
 * in its memory. A guest that is still booting is let run, and looked at again.
 */

import { arm64 } from "../../arch/arm64/arm64.ts";
import { x86_64 } from "../../arch/x86_64/x86_64.ts";
import { assert, ToolError } from "../../base/errors.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import { decodeKernel, findKernelImage } from "../../guest/kernel.ts";
import type { GdbMachine } from "../../machine/gdb/machine.ts";
import { openGdbMachine } from "../../machine/gdb/open.ts";
import type { GdbThread } from "../../machine/gdb/thread.ts";
import { readCpuState } from "./cpu-registers.ts";
import { type FoundImage, findImage, otherBuild } from "./find-image.ts";
import { type GuestRam, openGuestRam } from "./guest-ram.ts";
import { type ImageFile, openImageFile } from "./image-file.ts";
import { findKnownKernel, keepKernel } from "./kernel-cache.ts";
import { letRun } from "./let-run.ts";

/** How long a guest that is booting runs between two looks. */
const BOOT_LOOK_MS = 200;

export interface FoundGuest {
  readonly machine: GdbMachine;
  readonly ram: GuestRam;
  readonly kernel: GuestKernel;
  /** Symbols and types came from the cache. */
  readonly isKnown: boolean;
}

export interface FindOptions {
  readonly kernelTimeoutMs: number;
  /** A file of the target: see openImageFile(). */
  readonly kernel: string | undefined;
  readonly slide: bigint | undefined;
}

/** @throws ToolError usage, gdb.*, kernel.*, file.*, elf.*, symbol.unknown */
export function findGuest(address: string, options: FindOptions): FoundGuest | FoundImage {
  if (options.kernel === undefined && options.slide !== undefined) {
    throw new ToolError("usage", "a slide without a file that it moves", {
      hint: "name the file: kernel, or --kernel FILE",
    });
  }
  const file = options.kernel === undefined ? undefined : openImageFile(options.kernel);
  try {
    return findWithFile(address, file, options);
  } catch (error) {
    file?.[Symbol.dispose]();
    throw error;
  }
}

function findWithFile(
  address: string,
  file: ImageFile | undefined,
  options: FindOptions,
): FoundGuest | FoundImage {
  const machine = openGdbMachine({
    address,
    archs: [x86_64, arm64],
    // Stubs of boards and of kernels tell nothing that only processes have.
    runsTasks: ({ isQemuSystem, servesProcess }) =>
      isQemuSystem || (!servesProcess && file?.isProgram !== true),
  });
  let ram: GuestRam | undefined;
  try {
    ram = openGuestRam(machine.client, address);
    if (file !== undefined && (ram === undefined || !file.isLinux)) {
      ram?.[Symbol.dispose]();
      ram = undefined;
      const { slide, kernelTimeoutMs: timeoutMs } = options;
      return findImage(machine, file, { slide, timeoutMs });
    }
    if (ram === undefined) throw noFile(machine, address);
    const found = waitForKernel(machine, ram, options.kernelTimeoutMs, file !== undefined);
    if (found === undefined) {
      assert(file !== undefined, "a kernel without symbols is given up for a file only");
      ram[Symbol.dispose]();
      ram = undefined;
      return findImage(machine, file, { slide: options.slide, timeoutMs: 0 });
    }
    const kernel = file === undefined ? found.kernel : completeKernel(found.kernel, file);
    file?.[Symbol.dispose]();
    return { machine, ram, ...found, kernel };
  } catch (error) {
    ram?.[Symbol.dispose]();
    machine.close();
    throw error;
  }
}

/** What a kernel found in memory does not have itself, out of its file. */
function completeKernel(kernel: GuestKernel, file: ImageFile): GuestKernel {
  if (file.buildId !== undefined && kernel.buildId !== undefined) {
    if (file.buildId !== kernel.buildId) throw otherBuild(file, kernel.buildId);
  }
  return { ...kernel, types: kernel.types ?? file.readTypes() };
}

function noFile(machine: GdbMachine, address: string): ToolError {
  const what = machine.client.abilities.servesProcess
    ? "serves a process"
    : "gives no physical memory";
  return new ToolError("gdb.unsupported", `the stub at ${address} ${what}: its file is needed`, {
    hint: "name it: kernel, or --kernel FILE (an ELF file with symbols, or a System.map)",
  });
}

/** Undefined for one that holds no symbols, where a file does. */
function waitForKernel(
  machine: GdbMachine,
  ram: GuestRam,
  timeoutMs: number,
  hasFile: boolean,
): { readonly kernel: GuestKernel; readonly isKnown: boolean } | undefined {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return lookForKernel(machine, ram);
    } catch (error) {
      const isEarly = error instanceof ToolError && error.code === "kernel.notFound";
      if (isEarly && hasFile && error.details["cause"] === "kallsyms") return undefined;
      if (!isEarly || performance.now() >= deadline) throw error;
    }
    letRun(machine, BOOT_LOOK_MS);
    ram.forget();
  }
}

/** By the first vCPU whose registers lead to a kernel: others may not have been started yet. */
function lookForKernel(
  machine: GdbMachine,
  ram: GuestRam,
): { readonly kernel: GuestKernel; readonly isKnown: boolean } {
  let missing: unknown;
  for (const thread of machine.threads) {
    const cpu = readCpuState(machine, thread as GdbThread);
    if (cpu === undefined) continue;
    try {
      const image = findKernelImage(ram, cpu);
      const known = findKnownKernel(image);
      if (known !== undefined) return { kernel: known, isKnown: true };
      const kernel = decodeKernel(image);
      keepKernel(kernel);
      return { kernel, isKnown: false };
    } catch (error) {
      if (!(error instanceof ToolError) || error.code !== "kernel.notFound") throw error;
      missing ??= error;
    }
  }
  throw (
    missing ??
    new ToolError("gdb.unsupported", "the stub does not tell the registers that lead to a kernel")
  );
}
