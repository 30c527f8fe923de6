/**
 * The machine behind a GDB stub. All of its threads stop together, and run together when the engine
 * waits: what a thread is told, in the meantime, is a wish. A step is made by one thread with all
 * others held.
 *
 * A stub that fails us fails once: the first use that meets it throws, what can still be done for
 * the target is done, and from then on there is nothing there.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, addOffset } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { type HeldSignal, type Machine, SIGTRAP, type Stop, type Thread } from "../machine.ts";
import type { Client } from "./client.ts";
import { badReply, type Request } from "./connection.ts";
import { toGdbSignal, toLinuxSignal } from "./gdb-signals.ts";
import { hexAddress, hexNumber } from "./hex.ts";
import type { RegisterMap } from "./register-map.ts";
import { GdbSpace, type SpaceOptions } from "./space.ts";
import { formatThreadId, parseStopReply, type StopReply, type WireThreadId } from "./stop-reply.ts";
import type { StubControl } from "./stub-control.ts";
import { GdbThread } from "./thread.ts";

/** What a machine is made of. */
export interface MachineParts {
  readonly client: Client;
  readonly arch: Arch;
  readonly map: RegisterMap;
  readonly writesSingleRegisters: boolean;
  readonly threads: readonly WireThreadId[];
  readonly space: SpaceOptions;
  /** Threads are processors. */
  readonly runsTasks: boolean;
  readonly nowMs: () => number;
  /** How long the target may take to stop when it is asked to. */
  readonly stopTimeMsMax: number;
  /** The stub has failed: let its target go all the same; true when that was done. */
  readonly rescue: (machine: GdbMachine) => boolean;
}

/** GDB's SIGINT: the answer to our wish to stop, where a stub does not say 0. */
const GDB_SIGINT = 2;
const GDB_SIGTRAP = 5;
/** Times that a step which did not move is made again. */
const STEP_AGAIN_MAX = 8;

export class GdbMachine implements Machine, StubControl {
  readonly arch: Arch;
  readonly systemCalls: undefined = undefined;
  readonly watchpoints: undefined = undefined;
  readonly othersRunOn = false;
  readonly client: Client;
  readonly map: RegisterMap;
  readonly writesSingleRegisters: boolean;
  readonly space: GdbSpace;
  isRunning = false;
  /** How often it has stopped: what was read of it before is old. */
  stopCount = 0;
  /** The thread that stopped last. */
  current: GdbThread | undefined;
  /** Why the stub is of no use any more. */
  lost: ToolError | undefined;
  private readonly parts: MachineParts;
  private readonly byId: Map<number, GdbThread> = new Map();
  private readonly queue: Stop[] = [];
  /** Threads whose stop was asked for. */
  private readonly asked: Set<GdbThread> = new Set();
  /** We have asked the running target to stop, and it has not said so. */
  private hasInterrupted = false;
  /** It stopped for another reason meanwhile, so the answer may still come, at the next run. */
  private owesInterrupt = false;
  private stepping: GdbThread | undefined;
  /** Its registers before the step, and how often it was tried. */
  private beforeStep: BigUint64Array | undefined;
  private stepTries = 0;
  /** Stops since the last that was at a breakpoint of ours, or the end of a step. */
  private idleStops = 0;
  /** A breakpoint that is out for the time of a step. */
  private lifted: Address | undefined;

  constructor(parts: MachineParts) {
    this.parts = parts;
    this.client = parts.client;
    this.arch = parts.arch;
    this.map = parts.map;
    this.writesSingleRegisters = parts.writesSingleRegisters;
    const processId = parts.threads[0]?.processId ?? 1;
    this.space = new GdbSpace(processId, parts, this);
    for (const id of parts.threads) this.addThread(id);
    if (parts.threads.length === 0) this.addThread(undefined);
  }

  private addThread(id: WireThreadId | undefined): GdbThread {
    const thread = new GdbThread(id, id?.processId ?? this.space.id, this.space, {
      arch: this.arch,
      map: this.map,
      control: this,
      resumed: (resumed) => this.resumed(resumed),
    });
    this.byId.set(thread.id, thread);
    return thread;
  }

  get threads(): Iterable<Thread> {
    return this.byId.values();
  }

  get live(): boolean {
    return this.byId.size > 0 || this.queue.length > 0;
  }

  wait(timeoutMs: number): Stop | undefined {
    const deadlineMs = this.parts.nowMs() + timeoutMs;
    for (;;) {
      const stop = this.queue.shift();
      if (stop !== undefined) return this.focusOn(stop);
      if (this.lost !== undefined) throw this.lost;
      if (this.byId.size === 0) {
        throw new ToolError("machine.gone", "the target is gone: nothing left to wait for");
      }
      const isOver = this.guard(() => {
        // A look alone sets nothing going.
        if (!this.isRunning && (timeoutMs === 0 || !this.go())) return true;
        const leftMs = Math.max(0, deadlineMs - this.parts.nowMs());
        const text = this.client.connection.awaitStop(leftMs);
        if (text === undefined) return true;
        this.stopped(parseStopReply(text));
        return false;
      });
      if (isOver) return undefined;
    }
  }

  /** Memory is that of the task whose stop is handled now. */
  private focusOn(stop: Stop): Stop {
    if ("thread" in stop) {
      const { wireId } = stop.thread as GdbThread;
      if (wireId?.threadId !== this.client.focus?.threadId) this.client.prefetched = undefined;
      this.client.focus = wireId;
    }
    return stop;
  }

  /** Let the target run as its threads wish. False when none may. */
  private go(): boolean {
    const willing = [...this.byId.values()].filter((thread) => !thread.stopped);
    if (willing.length === 0) return false;
    const stepping = willing.find((thread) => thread.wish === "step");
    if (stepping !== undefined && stepping !== this.stepping) {
      this.stepping = stepping;
      this.stepTries = 0;
    }
    this.beforeStep = stepping?.snapshot();
    const requests: Request[] = [];
    for (const thread of this.byId.values()) {
      const changes = thread.changes();
      if (changes.length > 0) requests.push(...this.client.select(thread.wireId), ...changes);
    }
    this.lifted = stepping === undefined ? undefined : this.findInTheWay(stepping);
    if (this.lifted !== undefined) requests.push(this.breakpointRequest("z", this.lifted));
    const packet =
      stepping === undefined ? this.packetToRun(willing) : this.packetToStep(stepping, requests);
    this.client.prefetched = undefined;
    this.client.connection.setAndGo(requests, packet);
    this.isRunning = true;
    for (const thread of willing) thread.signal = 0;
    return true;
  }

  /**
   * A breakpoint that has to be out while this thread steps from it, as the stub does not step over
   * it by itself. All others are held, so none can miss it.
   */
  private findInTheWay(thread: GdbThread): Address | undefined {
    const { pc } = thread;
    return !this.client.abilities.isQemu && this.space.breakpoints.has(pc) ? pc : undefined;
  }

  private breakpointRequest(letter: "z" | "Z", address: Address): string {
    return `${letter}0,${hexAddress(address)},${hexNumber(this.arch.breakpoint.length)}`;
  }

  private packetToRun(willing: readonly GdbThread[]): string {
    const { actions } = this.client.abilities;
    const isAll = willing.length === this.byId.size;
    const signalled = willing.filter((thread) => thread.signal !== 0);
    if (isAll && signalled.length === 0) return actions.has("c") ? "vCont;c" : "c";
    if (!actions.has("c")) {
      const [first] = signalled;
      return first === undefined ? "c" : `C${signalDigits(first.signal)}`;
    }
    const some = isAll ? signalled : willing;
    const each = some.map((thread) => {
      const action = thread.signal === 0 ? "c" : `C${signalDigits(thread.signal)}`;
      return thread.wireId === undefined ? action : `${action}:${formatThreadId(thread.wireId)}`;
    });
    return ["vCont", ...each, ...(isAll ? ["c"] : [])].join(";");
  }

  private packetToStep(thread: GdbThread, requests: Request[]): string {
    const isSignalled = thread.signal !== 0;
    const action = isSignalled ? `S${signalDigits(thread.signal)}` : "s";
    const id = thread.wireId === undefined ? undefined : formatThreadId(thread.wireId);
    // A bare step lets the others run.
    if (this.client.abilities.actions.has("s") && id !== undefined) return `vCont;${action}:${id}`;
    if (id !== undefined && this.byId.size > 1) requests.push(`Hc${id}`);
    return action;
  }

  /** The target has stopped, or ended. */
  private stopped(reply: StopReply): void {
    this.isRunning = false;
    this.stopCount++;
    if (reply.kind !== "signal") return this.ended(reply);
    this.client.ran(reply.thread);
    for (const thread of this.byId.values()) thread.forget();
    this.putBreakpointBack();
    const thread = this.findStopped(reply);
    this.current = thread;
    const wasAsked = this.hasInterrupted;
    this.hasInterrupted = false;
    const isInterrupt = reply.signal === GDB_SIGINT || reply.signal === 0;
    if (isInterrupt && (wasAsked || this.owesInterrupt)) {
      this.owesInterrupt = false;
    } else {
      this.countStop();
      this.owesInterrupt = wasAsked && !this.client.abilities.isQemu;
      // News that nobody waits for (of a fork, a library) is none to us.
      if (reply.event !== undefined) this.owesInterrupt ||= wasAsked;
      else if (reply.signal === GDB_SIGTRAP) this.trapped(thread, reply.isBreakpoint);
      else this.signalled(thread, reply.signal);
    }
    for (const one of this.asked) if (!one.stopped) this.queueInterrupted(one);
  }

  /** A target that stops for nothing of ours, again and again, would never get on. */
  private countStop(): void {
    if (++this.idleStops <= limits.stubUnaskedPacketCountMax) return;
    const max = limits.stubUnaskedPacketCountMax;
    throw new ToolError(
      "gdb.reply",
      `the stub has stopped its target ${max} times in a row for nothing that was asked (stubUnaskedPacketCountMax)`,
    );
  }

  private putBreakpointBack(): void {
    if (this.lifted === undefined) return;
    const request = this.breakpointRequest("Z", this.lifted);
    this.lifted = undefined;
    const answer = this.client.connection.ask(request);
    if (answer !== "OK") throw badReply(request, answer);
  }

  private findStopped(reply: Extract<StopReply, { kind: "signal" }>): GdbThread {
    const id = reply.thread;
    if (id === undefined) {
      const [first] = this.byId.values();
      if (first !== undefined && this.byId.size === 1) return first;
      throw new ToolError("gdb.reply", "the stub does not say which of its threads stopped");
    }
    const known = this.byId.get(id.threadId);
    if (known !== undefined) return known;
    // Born since it was last asked.
    this.refreshThreads();
    const born = this.byId.get(id.threadId);
    if (born !== undefined) return born;
    throw new ToolError(
      "gdb.reply",
      `the stub says that thread ${formatThreadId(id)} stopped, which it does not list`,
    );
  }

  /** Take in threads that were born, and let go of those that are not listed any more. */
  private refreshThreads(): void {
    const listed = this.client.listThreads();
    const ids = new Set(listed.map(({ threadId }) => threadId));
    for (const id of listed) if (!this.byId.has(id.threadId)) this.addThread(id);
    for (const thread of this.byId.values()) {
      if (ids.has(thread.id) || thread.wireId === undefined) continue;
      thread.live = false;
      this.byId.delete(thread.id);
      this.queue.push({ kind: "thread-exited", thread });
    }
  }

  private trapped(thread: GdbThread, isSaidBreakpoint: boolean): void {
    if (thread.stopped) return; // It was held: nothing of its can have happened.
    if (thread === this.stepping) return this.stepped(thread);
    const isOurs = this.space.breakpoints.has(thread.pc);
    if (isOurs || !isSaidBreakpoint || this.holdsBreakpoint(thread.pc)) this.idleStops = 0;
    if (isOurs || isSaidBreakpoint) {
      this.client.expectedAt = thread.pc;
      // As the processor has it: behind the breakpoint.
      thread.setPc(addOffset(thread.pc, this.arch.breakpointPcBias));
      return this.queueTrap(thread, "breakpoint");
    }
    // Of a whole machine only breakpoints of ours come to us; this one was taken out just now.
    if (!this.space.runsTasks) this.queueTrap(thread, "other");
  }

  /** Whether a breakpoint of the program's own is there. */
  private holdsBreakpoint(at: Address): boolean {
    const bytes = new Uint8Array(this.arch.breakpoint.length);
    const isRead = this.space.read(at, bytes);
    return isRead && bytes.every((byte, index) => byte === this.arch.breakpoint[index]);
  }

  private stepped(thread: GdbThread): void {
    // What another processor waited to report may end a step before it has begun.
    const hasMoved = this.beforeStep === undefined || !thread.isUnchangedSince(this.beforeStep);
    if (!hasMoved && ++this.stepTries <= STEP_AGAIN_MAX) return;
    if (!hasMoved) {
      throw new ToolError("gdb.reply", "the stub says that it has stepped, and nothing has moved");
    }
    this.idleStops = 0;
    this.queueTrap(thread, "step");
  }

  private queueTrap(thread: GdbThread, cause: "breakpoint" | "step" | "other"): void {
    if (this.stepping === thread) this.stepping = undefined;
    thread.stop(cause, SIGTRAP);
    this.queue.push({ kind: "trap", thread });
  }

  private signalled(thread: GdbThread, gdbSignal: number): void {
    const signal = toLinuxSignal(gdbSignal);
    if (this.space.runsTasks) {
      // Somebody stopped it by the emulator's monitor; it goes on for us.
      if (gdbSignal === GDB_SIGINT || gdbSignal === 0) return;
      throw new ToolError(
        "machine.gone",
        `the stub has stopped its target for good (signal ${gdbSignal}: it was shut down, or has crashed)`,
      );
    }
    this.idleStops = 0;
    if (this.stepping === thread) this.stepping = undefined;
    thread.stop("other", signal);
    this.queue.push({ kind: "signal", thread, signal });
  }

  private queueInterrupted(thread: GdbThread): void {
    this.asked.delete(thread);
    if (this.stepping === thread) this.stepping = undefined;
    thread.stop("other", 0);
    this.queue.push({ kind: "interrupted", thread });
  }

  private ended(reply: Exclude<StopReply, { kind: "signal" }>): void {
    const { id, space } = { id: this.space.id, space: this.space };
    this.clear();
    const status =
      reply.kind === "killed"
        ? { kind: "killed" as const, signal: toLinuxSignal(reply.signal) }
        : { kind: "exited" as const, code: reply.kind === "exited" ? reply.code : 0 };
    this.queue.push({ kind: "process-exited", processId: id, space, status });
    this.client.connection.close();
  }

  /** Nothing is left. */
  private clear(): void {
    for (const thread of this.byId.values()) thread.live = false;
    this.byId.clear();
    this.asked.clear();
    this.queue.length = 0;
    this.space.live = false;
    this.isRunning = false;
  }

  private resumed(thread: GdbThread): void {
    if (this.asked.has(thread)) this.queueInterrupted(thread);
  }

  interrupt(thread: Thread): void {
    const one = thread as GdbThread;
    if (!one.live || this.lost !== undefined) return;
    if (!one.stopped && !this.isRunning) return this.queueInterrupted(one);
    this.asked.add(one);
    if (this.isRunning && !one.stopped) this.sendInterrupt();
  }

  private sendInterrupt(): void {
    if (this.hasInterrupted) return;
    this.hasInterrupted = true;
    this.guard(() => this.client.connection.interrupt());
  }

  whileStopped<T>(use: (client: Client) => T): T | undefined {
    if (this.lost !== undefined || this.byId.size === 0) return undefined;
    return this.guard(() => {
      if (this.isRunning) this.halt();
      return this.byId.size === 0 ? undefined : use(this.client);
    });
  }

  /** Stop a target that runs; what it stopped for, if not for this, waits in the queue. */
  private halt(): void {
    this.sendInterrupt();
    const { stopTimeMsMax } = this.parts;
    const text = this.client.connection.awaitStop(stopTimeMsMax);
    if (text !== undefined) return this.stopped(parseStopReply(text));
    throw new ToolError(
      "gdb.timeout",
      `the stub did not stop its target within ${stopTimeMsMax / 1000} s`,
      { details: { request: "interrupt" } },
    );
  }

  canStop(thread: Thread): boolean {
    return thread.live && this.lost === undefined;
  }

  /** LIMIT: stubs give a signal to a thread that goes on, so one that runs already gets none. */
  sendAgain(thread: Thread, held: HeldSignal): void {
    const one = thread as GdbThread;
    if (one.live && one.signal === 0) one.signal = held.signal;
  }

  /** LIMIT: a stub that lets its target go gives it no signal. */
  release(thread: Thread, _signal: number): void {
    const one = thread as GdbThread;
    if (!one.live) return;
    one.commit();
    one.live = false;
    one.stopped = false;
    this.byId.delete(one.id);
    if (this.byId.size === 0) this.letGo();
  }

  releaseStrays(): void {
    if (this.space.live && this.byId.size === 0) this.letGo();
  }

  /** Let the target go on as it is, if that was not done yet. */
  close(): void {
    if (this.space.live) this.letGo();
  }

  /** Let the target go on for good, and close. */
  private letGo(): void {
    const { connection } = this.client;
    if (this.lost === undefined && !connection.isLost) {
      this.guard(() => {
        for (const address of this.space.breakpoints.addresses) {
          this.client.clearBreakpoint(0, address, this.arch.breakpoint.length);
        }
        if (!this.client.detach(this.processIds)) throw badReply("D", "an error");
      });
    }
    this.clear();
    connection.close();
  }

  /** Of all threads that there were at the start. */
  get processIds(): readonly number[] {
    const ids = this.parts.threads.flatMap(({ processId }) => processId ?? []);
    return [...new Set(ids)];
  }

  /** The first failure of the stub ends everything. */
  private guard<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof ToolError) || error.code === "gdb.unsupported") throw error;
      if (this.lost !== undefined) throw this.lost;
      this.lost = error;
      const isLetGo = error.code !== "machine.gone" && this.parts.rescue(this);
      this.lost = new ToolError(error.code, error.message, {
        details: { ...error.details, isLetGo },
        hint: isLetGo
          ? undefined
          : "its target may be stopped, or have breakpoints of ours; attaching again takes them out",
        cause: error,
      });
      this.clear();
      throw this.lost;
    }
  }
}

function signalDigits(signal: number): string {
  return toGdbSignal(signal).toString(16).padStart(2, "0");
}
