/**
 * One thread of a stub's target: a thread of a process, or a processor of a whole machine. Its
 * registers are fetched once a stop; what was changed is written in front of the packet that lets
 * it go on.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, toAddress } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { HeldSignal, SignalInfo, Thread, TrapCause } from "../machine.ts";
import { badReply, type Request } from "./connection.ts";
import type { RegisterMap } from "./register-map.ts";
import type { GdbSpace } from "./space.ts";
import type { WireThreadId } from "./stop-reply.ts";
import type { StubControl } from "./stub-control.ts";

/** What is to be done with it when the target goes on. */
export type Wish = "run" | "step";

/** What a thread asks of its machine. */
export interface ThreadHost {
  readonly arch: Arch;
  readonly map: RegisterMap;
  readonly control: StubControl;
  /** It was resumed. */
  resumed(thread: GdbThread): void;
}

/** SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV and SIGSYS of Linux. */
const FAULT_SIGNALS: ReadonlySet<number> = new Set([4, 5, 7, 8, 11, 31]);
/**
 * siginfo_t of Linux on 64-bit machines: int signo, errno, code; then, behind a gap, the address.
 */
const SIGINFO_CODE_OFFSET = 8;
const SIGINFO_ADDRESS_OFFSET = 16;
const SIGINFO_BYTES_MIN = 24;

export class GdbThread implements Thread {
  readonly isAtCallEntry = false;
  readonly isAhead = false;
  readonly isWaiting = false;
  readonly id: number;
  readonly processId: number;
  readonly space: GdbSpace;
  /** Undefined where the stub has no names for threads. */
  readonly wireId: WireThreadId | undefined;
  stopped = false;
  live = true;
  engineState: unknown = undefined;
  wish: Wish = "run";
  /** Linux number of the signal to go on with; 0 for none. */
  signal = 0;
  /** Linux number of the signal that it stopped for; 0 for none. */
  stopSignal = 0;
  cause: TrapCause = "other";
  private readonly host: ThreadHost;
  private readonly file: BigUint64Array;
  /** What the stub has, as far as it was fetched. */
  private readonly known: BigUint64Array;
  private answer = "";
  private isFetched = false;
  private info: SignalInfo | undefined;

  constructor(
    wireId: WireThreadId | undefined,
    processId: number,
    space: GdbSpace,
    host: ThreadHost,
  ) {
    this.id = wireId?.threadId ?? 1;
    this.wireId = wireId;
    this.processId = processId;
    this.space = space;
    this.host = host;
    this.file = new BigUint64Array(host.arch.registers.count);
    this.known = new BigUint64Array(host.arch.registers.count);
  }

  /** The target has stopped, and this thread's stop is to be told. */
  stop(cause: TrapCause, signal: number): void {
    this.stopped = true;
    this.cause = cause;
    this.stopSignal = signal;
    this.signal = 0;
  }

  /** The target goes on: what was fetched holds no more. */
  forget(): void {
    this.isFetched = false;
    this.info = undefined;
  }

  get registers(): BigUint64Array {
    // Of a thread that is gone, those of its last stop.
    if (!this.isFetched && this.live) {
      assert(!this.host.control.isRunning, `registers of running thread ${this.id}`);
      this.fetch();
    }
    return this.file;
  }

  private fetch(): void {
    const answer = this.host.control.whileStopped((client) => client.readRegisters(this.wireId));
    if (answer === undefined) return;
    if (!this.host.map.read(answer, this.file)) throw badReply("g", answer);
    this.answer = answer;
    this.known.set(this.file);
    this.isFetched = true;
  }

  /** Changes are found by comparing: nothing has to be noted. */
  touchRegisters(): void {
    assert(this.stopped, `registers of running thread ${this.id}`);
  }

  get pc(): Address {
    return toAddress(this.registers[this.host.arch.registers.pc] as bigint);
  }

  setPc(address: Address): void {
    this.registers[this.host.arch.registers.pc] = address;
  }

  /** A copy of the registers as the stub has them. */
  snapshot(): BigUint64Array {
    return this.registers.slice();
  }

  isUnchangedSince(snapshot: BigUint64Array): boolean {
    return this.registers.every((word, index) => word === snapshot[index]);
  }

  /** Requests that write what was changed. */
  changes(): readonly Request[] {
    if (!this.isFetched || !this.live) return [];
    const { map } = this.host;
    const requests: Request[] = [];
    for (const [word, value] of this.file.entries()) {
      if (value === this.known[word]) continue;
      this.known[word] = value;
      const register = map.find(word);
      // One that the stub does not have, such as orig_rax of a processor, means nothing to it.
      if (register === undefined) continue;
      requests.push(`P${register.number.toString(16)}=${map.encode(register, value)}`);
    }
    if (requests.length === 0 || this.host.control.writesSingleRegisters) {
      return requests;
    }
    this.answer = map.write(this.answer, this.file);
    return [`G${this.answer}`];
  }

  commit(): void {
    if (!this.stopped) return;
    const requests = this.changes();
    if (requests.length === 0) return;
    this.host.control.whileStopped((client) => {
      for (const [index, answer] of client.askAllOf(this.wireId, requests).entries()) {
        if (answer !== "OK") throw badReply(String(requests[index]), answer);
      }
    });
  }

  resume(signal: number): void {
    this.go("run", signal);
  }

  step(signal: number): void {
    this.go("step", signal);
  }

  resumeAsBefore(signal: number): void {
    this.go(this.wish, signal);
  }

  private go(wish: Wish, signal: number): void {
    if (!this.live) return;
    assert(this.stopped, `resume of running thread ${this.id}`);
    this.wish = wish;
    this.signal = signal;
    this.stopped = false;
    this.host.resumed(this);
  }

  trapCause(): TrapCause {
    return this.cause;
  }

  /** What is known: where the stub does not tell more, a fault is told by its signal. */
  signalInfo(): SignalInfo {
    this.info ??= this.readSignalInfo();
    return this.info;
  }

  private readSignalInfo(): SignalInfo {
    const signal = this.stopSignal;
    const isFault = FAULT_SIGNALS.has(signal);
    const { control } = this.host;
    const bytes = control.whileStopped((client) => {
      if (!client.abilities.hasSignalInfo) return undefined;
      client.askAllOf(this.wireId, []);
      return Buffer.from(client.readDocument("siginfo", ""), "latin1");
    });
    if (bytes === undefined || bytes.length < SIGINFO_BYTES_MIN) {
      return { signal, code: 0, address: this.pc, isFault };
    }
    const code = bytes.readInt32LE(SIGINFO_CODE_OFFSET);
    return {
      signal,
      code,
      address: toAddress(bytes.readBigUInt64LE(SIGINFO_ADDRESS_OFFSET)),
      // Those that the kernel makes have a code above 0.
      isFault: isFault && code > 0,
    };
  }

  /** LIMIT: what a signal carries is the stub's; the address in it stays as it is. */
  setSignalAddress(address: Address): void {
    this.info = { ...this.signalInfo(), address };
  }

  holdSignal(): HeldSignal {
    return { signal: this.stopSignal, info: new Uint8Array(0) };
  }

  redeliver(held: HeldSignal): void {
    this.resume(held.signal);
  }

  /** LIMIT: stubs cannot hold signals off. */
  blockSignals(): void {}

  /** LIMIT: vector registers are not fetched. */
  saveExtended(): Uint8Array {
    return new Uint8Array(0);
  }

  restoreExtended(_state: Uint8Array): void {}
}
