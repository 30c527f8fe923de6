/**
 * A guest as the readers of guest memory want it: its RAM as physical memory, by reads of the
 * shared file, and the states of its vCPUs, over the stub.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { arm64 } from "../../src/arch/arm64/arm64.ts";
import { x86_64 } from "../../src/arch/x86_64/x86_64.ts";
import type { CpuState } from "../../src/guest/cpu-state.ts";
import type { PhysicalAddress, PhysicalMemory } from "../../src/guest/memory.ts";
import { openGdbMachine } from "../../src/machine/gdb/open.ts";
import type { GdbThread } from "../../src/machine/gdb/thread.ts";
import { readCpuState } from "../../src/session/guest/cpu-registers.ts";
import type { Guest } from "./guest.ts";

export class SharedRam implements PhysicalMemory {
  /** Reads so far, which over a stub would be packets. */
  readCount = 0;
  readonly #fd: number;
  readonly #base: number;
  readonly #sizeBytes: number;

  constructor(guest: Guest) {
    this.#fd = openSync(guest.memoryPath, "r");
    this.#base = guest.memoryBase;
    this.#sizeBytes = guest.memorySizeBytes;
  }

  read(address: PhysicalAddress, target: Uint8Array): boolean {
    const at = address - this.#base;
    this.readCount += 1;
    if (at < 0 || at + target.length > this.#sizeBytes) return false;
    return readSync(this.#fd, target, 0, target.length, at) === target.length;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** A vCPU of a stopped guest. */
export interface StoppedCpu {
  readonly state: CpuState;
}

/** Stop the guest for as long as `look` takes, and let it run again. */
export async function whileStopped<T>(
  guest: Guest,
  look: (cpus: readonly StoppedCpu[]) => T | Promise<T>,
): Promise<T> {
  const machine = openGdbMachine({ address: `unix:${guest.gdbPath}`, archs: [x86_64, arm64] });
  try {
    const cpus = [...machine.threads].map((thread) => {
      const state = readCpuState(machine, thread as GdbThread);
      if (state === undefined) throw new Error("the stub tells no registers of memory management");
      return { state };
    });
    return await look(cpus);
  } finally {
    machine.close();
  }
}
