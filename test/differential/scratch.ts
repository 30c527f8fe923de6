/**
 * The scratch process, driven through Trapline's own ptrace machine and engine: a trial's state is
 * put into it, it runs, and what it left is read. It ends where it traps: at a landing, or in its
 * signal handler, which is a landing too, and then what the program would see is in the signal's
 * frame.
 */

import { readFileSync } from "node:fs";
import { x86_64 } from "../../src/arch/x86_64/x86_64.ts";
import type { Address } from "../../src/base/address.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Thread } from "../../src/machine/machine.ts";
import { gettid, schedGetaffinity, schedSetaffinity } from "../../src/machine/ptrace/libc.ts";
import { launchMachine, type OpenedMachine } from "../../src/machine/ptrace/open.ts";
import { type Frame, readFrame } from "./frame.ts";
import {
  COMPARED,
  HANDLER,
  HIGH,
  isLanding,
  LOW,
  LOW_DATA,
  MAPPED,
  SIGNAL_STACK,
  type Window,
} from "./layout.ts";
import type { Random } from "./random.ts";
import type { Ground, Patch, Placed } from "./states.ts";
import { readLayout } from "./xsave.ts";

const INT3 = 0xcc;
const REPORT_WORDS = 64;
const STOP_TIMEOUT_MS = 5000;
/** More stops than any single instruction needs: it loops. */
const STOPS_MAX = 64;
const MASK_BYTES = 128;

/** What a run left. */
export interface Outcome {
  /** Where it went on, or how it ended otherwise. */
  readonly end: "landing" | "signal" | "hung" | "died";
  readonly registers: BigUint64Array;
  readonly xsave: Uint8Array;
  /** Of a signal: what its handler was given. */
  readonly frame: Frame | undefined;
  /** The windows that differ from what they were, with their bytes. */
  readonly written: readonly { readonly window: Window; readonly bytes: Uint8Array }[];
}

interface Image {
  readonly window: Window;
  /** As it is to be when a trial starts. */
  readonly bytes: Uint8Array;
  /** Whether memory may hold anything else. */
  isDirty: boolean;
}

export class Scratch {
  readonly engine: Engine;
  readonly thread: Thread;
  readonly ground: Ground;
  readonly warnings: string[] = [];
  private readonly opened: OpenedMachine;
  private readonly images: readonly Image[];
  private readonly signalStack: Uint8Array = new Uint8Array(SIGNAL_STACK.sizeBytes);
  private isSignalStackDirty = false;
  private isOver = false;
  private readonly ownMask: Uint8Array = new Uint8Array(MASK_BYTES);
  private readonly buffers: readonly Uint8Array[];

  constructor(program: string, cpu: number, random: Random) {
    const window = (one: Window): string => `${one.start}:${one.sizeBytes}:${one.rights}`;
    const stack = `${SIGNAL_STACK.start}:${SIGNAL_STACK.sizeBytes}`;
    this.opened = launchMachine(
      x86_64,
      {
        argv: [program, stack, String(HANDLER), String(LOW_DATA.start), ...MAPPED.map(window)],
        cwd: undefined,
        env: {},
        stdio: ["ignore", "inherit", "inherit"],
        noRandomize: true,
      },
      { trustsFilters: false },
    );
    this.thread = this.opened.leader;
    schedGetaffinity(gettid(), MASK_BYTES, this.ownMask);
    // One processor: what it tells of itself, and the speed of a stop, are then always the same.
    const mask = new Uint8Array(MASK_BYTES);
    mask[cpu >> 3] = 1 << (cpu & 7);
    for (const id of [this.thread.id, gettid()]) schedSetaffinity(id, MASK_BYTES, mask);
    this.engine = new Engine(
      this.opened.machine,
      {
        followProcess: () => false,
        execed: () => false,
        processStarted: () => {},
        processEnded: () => {},
        lettingGo: () => {},
        warn: (message) => void this.warnings.push(message),
      },
      { force: undefined, nowMs: () => performance.now() },
    );
    this.runToReady();
    const report = new Uint32Array(REPORT_WORDS);
    this.read(LOW_DATA.start, new Uint8Array(report.buffer));
    const xsave = this.thread.saveExtended().slice();
    this.ground = {
      layout: readLayout(report, xsave.length),
      xsave,
      registers: this.thread.registers.slice(),
    };
    for (const one of [...LOW.landings, ...HIGH.landings]) {
      this.write(one.start, new Uint8Array(one.sizeBytes).fill(INT3));
    }
    this.images = COMPARED.map((one) => {
      const bytes = new Uint8Array(one.sizeBytes);
      random.fill(new Uint32Array(bytes.buffer));
      return { window: one, bytes, isDirty: true };
    });
    this.buffers = COMPARED.map((one) => new Uint8Array(one.sizeBytes));
  }

  get pid(): number {
    return this.thread.id;
  }

  /** False once the process has ended. */
  get isUsable(): boolean {
    return !this.isOver;
  }

  /** Put the bytes of a trial where it runs. */
  place(trial: Placed): void {
    this.write(trial.address, trial.bytes);
    for (const patch of trial.patches) this.patchImages(patch);
  }

  /** Take them out again, with other data in the words that were its own. */
  clear(trial: Placed): void {
    if (this.isOver) return;
    this.write(trial.address, new Uint8Array(trial.bytes.length).fill(INT3));
  }

  /** Run from the trial's state to the end. With a breakpoint in place the engine has its say. */
  run(trial: Placed): Outcome {
    this.reset(trial);
    this.thread.resume(0);
    return this.serve(trial);
  }

  read(address: bigint, target: Uint8Array): boolean {
    return this.thread.space.read(address as Address, target);
  }

  write(address: bigint, bytes: Uint8Array): void {
    if (!this.thread.space.write(address as Address, bytes)) {
      throw new Error(`cannot write to 0x${address.toString(16)} of the scratch process`);
    }
  }

  private runToReady(): void {
    const { machine } = this.opened;
    for (;;) {
      this.thread.resume(0);
      const stop = machine.wait(STOP_TIMEOUT_MS);
      if (stop?.kind === "trap") return;
      if (stop === undefined || stop.kind === "process-exited") {
        throw new Error(`the scratch process did not start: ${JSON.stringify(stop?.kind)}`);
      }
    }
  }

  private patchImages(patch: Patch): void {
    for (const image of this.images) {
      const offset = Number(patch.address - image.window.start);
      if (offset < 0 || offset + patch.bytes.length > image.bytes.length) continue;
      image.bytes.set(patch.bytes, offset);
      image.isDirty = true;
    }
  }

  private reset(trial: Placed): void {
    for (const image of this.images) {
      if (image.isDirty) this.write(image.window.start, image.bytes);
      image.isDirty = false;
    }
    if (this.isSignalStackDirty) this.write(SIGNAL_STACK.start, this.signalStack.fill(0));
    this.isSignalStackDirty = false;
    const { thread } = this;
    thread.registers.set(trial.registers);
    thread.touchRegisters();
    thread.restoreExtended(trial.xsave);
    thread.engineState = undefined;
  }

  private serve(trial: Placed): Outcome {
    const { machine } = this.opened;
    const deadline = performance.now() + STOP_TIMEOUT_MS;
    for (let stops = 0; stops < STOPS_MAX; ) {
      const stop = machine.wait(STOP_TIMEOUT_MS);
      if (stop === undefined) {
        // The time of a wait is that of a clock which ticks on: the first may be short.
        if (performance.now() > deadline) break;
        continue;
      }
      stops++;
      if (stop.kind === "process-exited") return this.over("died");
      if (stop.kind === "trap" && this.isEnd(trial)) return this.finish();
      this.engine.dispatch(stop);
    }
    return this.over("hung");
  }

  /** A trap of the int3 that landings are full of, and not one of the form's own. */
  private isEnd(trial: Placed): boolean {
    const { thread } = this;
    const at = thread.pc - 1n;
    if (!isLanding(at)) return false;
    if (at >= trial.address && at < trial.address + BigInt(trial.bytes.length)) return false;
    return thread.trapCause() === "breakpoint";
  }

  private finish(): Outcome {
    const { thread } = this;
    const at = thread.pc - 1n;
    const registers = thread.registers.slice();
    registers[x86_64.registers.pc] = at;
    let frame: Frame | undefined;
    let xsave: Uint8Array;
    if (at === HANDLER) {
      this.isSignalStackDirty = true;
      frame = this.readFrame(registers);
      xsave = frame.xsave;
    } else {
      xsave = thread.saveExtended();
    }
    const written = this.readWritten();
    return {
      end: frame === undefined ? "landing" : "signal",
      registers: frame?.registers ?? registers,
      xsave,
      frame,
      written,
    };
  }

  private readFrame(registers: BigUint64Array): Frame {
    const sp = registers[x86_64.registers.sp] as bigint;
    const end = SIGNAL_STACK.start + BigInt(SIGNAL_STACK.sizeBytes);
    const bytes = new Uint8Array(Number(end - sp));
    this.read(sp, bytes);
    return readFrame(bytes, sp, registers);
  }

  private readWritten(): Outcome["written"] {
    const written: { window: Window; bytes: Uint8Array }[] = [];
    for (const [index, image] of this.images.entries()) {
      const now = this.buffers[index] as Uint8Array;
      this.read(image.window.start, now);
      if (Buffer.compare(now, image.bytes) === 0) continue;
      image.isDirty = true;
      written.push({ window: image.window, bytes: now.slice() });
    }
    return written;
  }

  private over(end: "hung" | "died"): Outcome {
    const registers = new BigUint64Array(x86_64.registers.count);
    if (end === "hung" && this.thread.stopped) registers.set(this.thread.registers);
    this.isOver = true;
    return { end, registers, xsave: new Uint8Array(0), frame: undefined, written: [] };
  }

  /** End the process, by its own id. */
  [Symbol.dispose](): void {
    const { machine } = this.opened;
    if (this.thread.live) {
      process.kill(this.pid, "SIGKILL");
      while (machine.live) {
        const stop = machine.wait(STOP_TIMEOUT_MS);
        if (stop === undefined || stop.kind === "process-exited") break;
      }
    }
    machine[Symbol.dispose]();
    schedSetaffinity(gettid(), MASK_BYTES, this.ownMask);
  }
}

/** The processors that this process may run on. */
export function allowedCpus(): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return (list ?? "0").split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
