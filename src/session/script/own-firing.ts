/**
 * A firing without a hit: the begin, the end, a tick of a timer. What it tells of threads is told
 * of ourselves, and there is no memory behind it but our own, which scripts have no business in.
 */

import type { Firing, StackFrame, SymbolPlace } from "../../script/interpret/host.ts";
import type { ProcessTargetFacts } from "./process-target-facts.ts";

const NOWHERE: SymbolPlace = { name: undefined, offset: 0, module: undefined };
const COMM = "trapline";

export class OwnFiring implements Firing {
  readonly #facts: ProcessTargetFacts;
  readonly #probe: string;
  readonly #memory: OwnMemory;

  constructor(facts: ProcessTargetFacts, probe: string, memory: OwnMemory) {
    this.#facts = facts;
    this.#probe = probe;
    this.#memory = memory;
  }

  arg(): bigint {
    return 0n;
  }

  returnValue(): bigint {
    return 0n;
  }

  register(): undefined {
    return undefined;
  }

  argumentField(): bigint {
    return 0n;
  }

  processId(): number {
    return process.pid;
  }

  threadId(): number {
    return process.pid;
  }

  comm(): string {
    return COMM;
  }

  cpu(): number {
    return this.#memory.cpu();
  }

  number(name: string): bigint {
    return this.#facts.numberOf(name, process.pid, process.pid);
  }

  text(name: string): string {
    if (name === "leader_comm") return COMM;
    return this.#facts.textOf(name, process.pid, process.pid);
  }

  functionName(): string {
    return "";
  }

  probeName(): string {
    return this.#probe;
  }

  readUnsigned(address: bigint, sizeBytes: number): bigint | undefined {
    const bytes = this.#memory.read(address, sizeBytes);
    if (bytes === undefined) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  readBytes(address: bigint, sizeBytes: number): Uint8Array | undefined {
    return this.#memory.read(address, sizeBytes);
  }

  readString(address: bigint, sizeBytesMax: number): string | undefined {
    return this.#memory.readText(address, sizeBytesMax);
  }

  stack(): readonly StackFrame[] {
    return [];
  }

  symbol(address: bigint): SymbolPlace {
    return this.#memory.place(address) ?? NOWHERE;
  }

  path(): undefined {
    return undefined;
  }

  write(): boolean {
    return false;
  }

  signal(): boolean {
    return false;
  }

  overrideReturn(): boolean {
    return false;
  }
}

/** Memory that a timer may read: that of a guest's kernel, of the one process probed, or none. */
export interface OwnMemory {
  read(address: bigint, sizeBytes: number): Uint8Array | undefined;
  readText(address: bigint, sizeBytesMax: number): string | undefined;
  place(address: bigint): SymbolPlace | undefined;
  cpu(): number;
}
