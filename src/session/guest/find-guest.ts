/**
 * From the address of a stub to a kernel that can be probed: opens the machine and finds the kernel
 * in its memory. A guest that is still booting is let run, and looked at again.
 */

import { arm64 } from "../../arch/arm64/arm64.ts";
import { x86_64 } from "../../arch/x86_64/x86_64.ts";
import { ToolError } from "../../base/errors.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import { decodeKernel, findKernelImage } from "../../guest/kernel.ts";
import type { GdbMachine } from "../../machine/gdb/machine.ts";
import { openGdbMachine } from "../../machine/gdb/open.ts";
import type { GdbThread } from "../../machine/gdb/thread.ts";
import { readCpuState } from "./cpu-registers.ts";
import { type GuestRam, openGuestRam } from "./guest-ram.ts";
import { findKnownKernel, keepKernel } from "./kernel-cache.ts";

/** How long a guest that is booting runs between two looks. */
const BOOT_LOOK_MS = 200;
/** How long it may take to stop. */
const STOP_TIMEOUT_MS = 5000;

export interface FoundGuest {
  readonly machine: GdbMachine;
  readonly ram: GuestRam;
  readonly kernel: GuestKernel;
  /** Symbols and types came from the cache. */
  readonly isKnown: boolean;
}

/** @throws ToolError usage, gdb.*, kernel.* */
export function findGuest(
  address: string,
  options: { readonly kernelTimeoutMs: number },
): FoundGuest {
  const machine = openGdbMachine({ address, archs: [x86_64, arm64] });
  let ram: GuestRam | undefined;
  try {
    ram = openGuestRam(machine.client, address);
    if (ram === undefined) {
      throw new ToolError("gdb.unsupported", `the stub at ${address} is not that of a whole QEMU`, {
        hint: "kernels are found by physical addresses, which QEMU's stub alone knows of",
      });
    }
    const found = waitForKernel(machine, ram, options.kernelTimeoutMs);
    return { machine, ram, ...found };
  } catch (error) {
    ram?.[Symbol.dispose]();
    machine.close();
    throw error;
  }
}

function waitForKernel(
  machine: GdbMachine,
  ram: GuestRam,
  timeoutMs: number,
): { readonly kernel: GuestKernel; readonly isKnown: boolean } {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return lookForKernel(machine, ram);
    } catch (error) {
      const isEarly = error instanceof ToolError && error.code === "kernel.notFound";
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

/** Let the guest run for a while, and stop it again. */
function letRun(machine: GdbMachine, timeMs: number): void {
  const [first] = machine.threads;
  if (first === undefined) return;
  machine.wait(timeMs);
  machine.interrupt(first);
  const stop = machine.wait(STOP_TIMEOUT_MS);
  if (stop !== undefined && "thread" in stop) stop.thread.resume(0);
}
