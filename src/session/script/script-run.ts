/** One run of a script, as its program sees it: output, clocks, the end, and the host's files. */

import { closeSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { readSystemCalls, type SystemCalls } from "../../base/system-calls.ts";
import { formatTime } from "../../report/strftime.ts";
import type { Run } from "../../script/interpret/host.ts";
import type { OutputEvent } from "../../script/interpret/output-event.ts";
import { fromByteText } from "./byte-text.ts";
import { findCgroupPath } from "./cgroup-path.ts";
import { type ClockName, Clocks } from "./clocks.ts";
import { findCgroupId, UserNames } from "./proc-facts.ts";
import { zoneAt } from "./time-zone.ts";

/** For what few scripts need of Node: each part takes milliseconds to load. */
const require = createRequire(import.meta.url);

const RANDOM_WORDS = 1024;
/** What a command of system() may print. */
const SYSTEM_OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

export class ScriptRun implements Run {
  readonly users: UserNames = new UserNames();
  /** Set when the run is to end. */
  exitCode: number | undefined = undefined;
  /** Of the CPU whose system calls are numbered. */
  archName = "x86_64";
  onUnwatch: ((address: bigint) => void) | undefined = undefined;
  readonly #emit: (event: OutputEvent) => void;
  readonly #flush: () => void;
  readonly #clocks = new Clocks();
  readonly #randomWords = new Uint32Array(RANDOM_WORDS);
  #randomUsed = RANDOM_WORDS;
  #systemCalls: SystemCalls | undefined;

  /** @param flush what was emitted is to be written before somebody else writes there */
  constructor(emit: (event: OutputEvent) => void, flush: () => void) {
    this.#emit = emit;
    this.#flush = flush;
  }

  get isOver(): boolean {
    return this.exitCode !== undefined;
  }

  emit(event: OutputEvent): void {
    this.#emit(event);
  }

  nowNs(clock: ClockName): bigint {
    return this.#clocks.nowNs(clock);
  }

  random(): number {
    if (this.#randomUsed === RANDOM_WORDS) {
      const { getRandomValues } = require("node:crypto") as typeof import("node:crypto");
      getRandomValues(this.#randomWords);
      this.#randomUsed = 0;
    }
    return this.#randomWords[this.#randomUsed++] as number;
  }

  exit(code: number): void {
    this.exitCode ??= code;
  }

  unwatch(address: bigint): void {
    this.onUnwatch?.(address);
  }

  /**
   * Its output is read to its end before the script goes on. LIMIT: a command that waits for the
   * probed process waits for ever, as that stands still meanwhile.
   */
  system(command: string): void {
    this.#flush();
    const { spawnSync } = require("node:child_process") as typeof import("node:child_process");
    const end = spawnSync("/bin/sh", ["-c", fromByteText(command)], {
      stdio: ["inherit", "pipe", "inherit"],
      maxBuffer: SYSTEM_OUTPUT_BYTES_MAX,
    });
    const text = end.stdout?.toString("latin1") ?? "";
    if (text !== "") this.#emit({ kind: "system", text });
  }

  readFile(
    path: string,
    sizeBytesMax: number,
  ): { readonly text: string } | { readonly why: string } {
    try {
      return { text: readStart(fromByteText(path), sizeBytesMax) };
    } catch (error) {
      return { why: (error as NodeJS.ErrnoException).code ?? String(error) };
    }
  }

  userName(id: number): string {
    return this.users.get(id);
  }

  cgroupPath(id: bigint, filter: string): string {
    return findCgroupPath(id, filter);
  }

  cgroupId(path: string): bigint {
    return findCgroupId(fromByteText(path));
  }

  syscallName(number: bigint): string | undefined {
    this.#systemCalls ??= readSystemCalls(this.archName === "arm64" ? "arm64" : "x86_64");
    return this.#systemCalls.findByNumber(Number(number))?.name;
  }

  formatTime(format: string, wallNs: bigint): string {
    return formatTime(format, wallNs, zoneAt);
  }
}

/** Files of proc have no size: read until there is no more. */
function readStart(path: string, sizeBytesMax: number): string {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(sizeBytesMax);
    let count = 0;
    while (count < sizeBytesMax) {
      const got = readSync(fd, buffer, count, sizeBytesMax - count, null);
      if (got === 0) break;
      count += got;
    }
    return buffer.toString("latin1", 0, count);
  } finally {
    closeSync(fd);
  }
}
