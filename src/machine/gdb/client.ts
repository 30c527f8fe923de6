/**
 * The requests of the protocol that a machine needs, and what the stub at hand can do: found out at
 * the start, by asking. Requests that a stub does not know are answered by an empty packet, and
 * something else is done in their place where there is something else.
 */

import type { Address } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { badReply, type Connection, type Request } from "./connection.ts";
import { type Description, readDescription } from "./description.ts";
import { fromHex, hexAddress, hexNumber, readHex, toHex } from "./hex.ts";
import { encodeBinaryPacket } from "./packets.ts";
import {
  formatThreadId,
  parseStopReply,
  parseThreadId,
  type StopReply,
  type WireThreadId,
} from "./stop-reply.ts";

/** What a stub can do. */
export interface Abilities {
  /** Bytes of a request, framing included. */
  readonly packetSizeBytes: number;
  readonly hasProcesses: boolean;
  /** Actions of vCont; empty where it is not known. */
  readonly actions: ReadonlySet<string>;
  /** QEMU's own stub, which steps over its breakpoints by itself. */
  readonly isQemu: boolean;
  /** QEMU with a whole machine, whose threads are processors. */
  readonly isQemuSystem: boolean;
  /** Memory can be read by physical addresses. */
  readonly hasPhysicalMemory: boolean;
  /** It tells what only processes have: an auxiliary vector, an executable's path, siginfo. */
  readonly servesProcess: boolean;
  /** The auxiliary vector that its process was started with can be read. */
  readonly hasAuxiliaryVector: boolean;
  /** Signals can be asked about. */
  readonly hasSignalInfo: boolean;
}

/** The kinds of Z packets: software and hardware breakpoint, and watchpoints. */
export type BreakpointKind = 0 | 1 | 2 | 3 | 4;

const FEATURES = "multiprocess+;swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386";
const PACKET_BYTES_DEFAULT = 400;
const PACKET_BYTES_MIN = 128;
/** The longest instruction that there is. */
const PREFETCH_BYTES = 15;
/** `$`, `#` and the checksum. */
const FRAME_BYTES = 4;
/** QEMU answers no request for more memory, whatever the size of its packets. */
const READ_BYTES_MAX = 0x800;

export class Client {
  readonly connection: Connection;
  readonly abilities: Abilities;
  readonly description: Description | undefined;
  /** Memory is read and written as this thread sees it: the one whose stop is being handled. */
  focus: WireThreadId | undefined;
  /** The thread that requests about registers and memory mean; undefined: not known. */
  private selected: string | undefined;
  /**
   * Where the next stop is likely to be, and so the next memory to be looked at: it is read
   * together with the registers. What was read holds until the target goes on, or is written to.
   */
  expectedAt: Address | undefined;
  prefetched: { readonly address: Address; readonly bytes: Uint8Array } | undefined;
  /** Whether data can be written as it is; undefined until it was tried. */
  private writesBinary: boolean | undefined;

  /** Negotiate. Throws ToolError gdb.*. */
  constructor(connection: Connection) {
    this.connection = connection;
    const features = this.negotiate();
    const isQemu = connection.ask("qqemu.sstepbits").startsWith("ENABLE=");
    const hasPhysicalMemory = isQemu && /^[01]$/.test(connection.ask("qqemu.PhyMemMode"));
    const hasAuxiliaryVector = features.has("qXfer:auxv:read");
    const servesProcess =
      hasAuxiliaryVector ||
      features.has("qXfer:siginfo:read") ||
      features.has("qXfer:exec-file:read") ||
      // QEMU's user mode has answered this before it had any of the others.
      (isQemu && !hasPhysicalMemory && connection.ask("qOffsets").startsWith("Text="));
    const isQemuSystem = isQemu && !servesProcess;
    // Its stub looks at no acknowledgement, so that several requests may go out in one write.
    if (isQemuSystem) connection.ackMode = "none";
    this.abilities = {
      packetSizeBytes: readPacketSize(features.get("PacketSize")),
      hasProcesses: features.has("multiprocess"),
      actions: new Set(connection.ask("vCont?").split(";").slice(1)),
      isQemu,
      isQemuSystem,
      hasPhysicalMemory,
      servesProcess,
      hasAuxiliaryVector,
      hasSignalInfo: features.has("qXfer:siginfo:read"),
    };
    // Until some thread is meant there is nothing to describe (gdbserver ends at the question).
    connection.ask(this.abilities.hasProcesses ? "Hgp0.0" : "Hg0");
    // QEMU gives single registers only to those who have read this.
    this.description = features.has("qXfer:features:read")
      ? readDescription((name) => this.readDocument("features", name))
      : undefined;
  }

  /** What the stub says it can do: names with `+`, or `=` and a value. */
  private negotiate(): ReadonlyMap<string, string> {
    const { connection } = this;
    const features = new Map<string, string>();
    for (const item of connection.ask(`qSupported:${FEATURES}`).split(";")) {
      const [, name, mark, value] = /^([^=+?-]+)([=+?-])(.*)$/.exec(item) ?? [];
      if (name !== undefined && (mark === "+" || mark === "=")) features.set(name, value ?? "");
    }
    if (features.has("QStartNoAckMode") && connection.ask("QStartNoAckMode") === "OK") {
      connection.settleAck();
      connection.ackMode = "none";
    }
    return features;
  }

  /** Why it is stopped. */
  askStop(): StopReply {
    return parseStopReply(this.connection.ask("?"));
  }

  /**
   * Take out breakpoints that a client has left who ended without a word. QEMU does so when it is
   * asked why it stopped, but only on the processor that would be resumed.
   */
  clearForgotten(threads: readonly WireThreadId[]): void {
    if (!this.abilities.isQemu) return;
    for (const id of threads) {
      if (this.connection.ask(`Hc${formatThreadId(id)}`) === "OK") this.askStop();
    }
  }

  listThreads(): readonly WireThreadId[] {
    const found: WireThreadId[] = [];
    for (let request = "qfThreadInfo"; ; request = "qsThreadInfo") {
      const answer = this.connection.ask(request);
      if (answer === "l") return found;
      if (answer === "" && found.length === 0) return this.listCurrentThread();
      if (!answer.startsWith("m")) throw badReply(request, answer);
      for (const text of answer.slice(1).split(",")) {
        const id = parseThreadId(text);
        if (id === undefined) throw badReply(request, answer);
        found.push(id);
      }
      if (found.length > limits.stubThreadCountMax) {
        const max = limits.stubThreadCountMax;
        throw new ToolError(
          "gdb.garbled",
          `the stub lists more than ${max} threads (stubThreadCountMax)`,
        );
      }
    }
  }

  private listCurrentThread(): readonly WireThreadId[] {
    const answer = this.connection.ask("qC");
    const id = answer.startsWith("QC") ? parseThreadId(answer.slice(2)) : undefined;
    return id === undefined ? [] : [id];
  }

  /** What a stub says of a thread: QEMU, whether its processor is halted. */
  threadText(id: WireThreadId): string {
    const bytes = fromHex(this.connection.ask(`qThreadExtraInfo,${formatThreadId(id)}`));
    return bytes === undefined ? "" : Buffer.from(bytes).toString("latin1");
  }

  private selectFocus(): void {
    const selection = this.select(this.focus);
    // A stub with one thread may know of none, and one that is gone has no memory of its own.
    for (const request of selection) this.connection.ask(request);
  }

  /** The request that makes a thread the one that is meant, unless it is already. */
  select(id: WireThreadId | undefined): readonly Request[] {
    const text = id === undefined ? undefined : formatThreadId(id);
    if (text === undefined || text === this.selected) return [];
    this.selected = text;
    return [`Hg${text}`];
  }

  /** The target ran: which thread is meant now is known to QEMU's stub alone. */
  ran(stopped: WireThreadId | undefined): void {
    this.focus = stopped;
    const isKnown = this.abilities.isQemu && stopped !== undefined;
    this.selected = isKnown ? formatThreadId(stopped) : undefined;
  }

  /** Ask for something of a thread. */
  askOf(id: WireThreadId | undefined, request: Request): string {
    return this.askAllOf(id, [request])[0] as string;
  }

  askAllOf(id: WireThreadId | undefined, requests: readonly Request[]): readonly string[] {
    const selection = this.select(id);
    const answers = this.connection.askAll([...selection, ...requests]);
    const selected = answers[0];
    if (selection.length > 0 && selected !== "OK") {
      this.selected = undefined;
      // A stub with one thread may know of none.
      if (selected !== "") throw badReply(String(selection[0]), selected ?? "");
    }
    return answers.slice(selection.length);
  }

  /** All registers of a thread, as the stub has them. */
  readRegisters(id: WireThreadId | undefined): string {
    const address = this.expectedAt;
    if (address === undefined || !this.connection.canPipeline) return this.askOf(id, "g");
    const memory = `m${hexAddress(address)},${hexNumber(PREFETCH_BYTES)}`;
    const [registers, text] = this.askAllOf(id, ["g", memory]);
    const bytes = fromHex(text ?? "");
    const isOfFocus = id?.threadId === this.focus?.threadId;
    if (isOfFocus && bytes?.length === PREFETCH_BYTES) this.prefetched = { address, bytes };
    return registers as string;
  }

  private readPrefetched(address: Address, target: Uint8Array): boolean {
    const { prefetched } = this;
    if (prefetched === undefined || address < prefetched.address) return false;
    const from = Number(address - prefetched.address);
    if (from + target.length > prefetched.bytes.length) return false;
    target.set(prefetched.bytes.subarray(from, from + target.length));
    return true;
  }

  /** Bytes read from the start. Requests go out together where the stub bears it. */
  readMemory(address: Address, target: Uint8Array): number {
    if (this.readPrefetched(address, target)) return target.length;
    this.selectFocus();
    // A power of two, so that pages are whole numbers of chunks.
    const room = Math.min(READ_BYTES_MAX, (this.abilities.packetSizeBytes - FRAME_BYTES) >> 1);
    const sizeMax = 2 ** Math.floor(Math.log2(room));
    const chunks: { readonly from: number; readonly sizeBytes: number }[] = [];
    for (let from = 0; from < target.length; ) {
      // Chunks end where pages do, so that one that fails has failed at its first byte.
      const toEnd = sizeMax - Number((address + BigInt(from)) % BigInt(sizeMax));
      const sizeBytes = Math.min(target.length - from, toEnd);
      chunks.push({ from, sizeBytes });
      from += sizeBytes;
    }
    for (let first = 0; first < chunks.length; first += limits.stubPipelineDepthMax) {
      const some = chunks.slice(first, first + limits.stubPipelineDepthMax);
      const requests = some.map(
        ({ from, sizeBytes }) =>
          `m${hexNumber(BigInt.asUintN(64, address + BigInt(from)))},${hexNumber(sizeBytes)}`,
      );
      // One at a time, none is asked for behind the first that cannot be read.
      const answers = this.connection.canPipeline ? this.connection.askAll(requests) : undefined;
      for (const [index, { from, sizeBytes }] of some.entries()) {
        const request = requests[index] as string;
        const answer = answers?.[index] ?? this.connection.ask(request);
        const count = readAnswer(request, answer, target.subarray(from, from + sizeBytes));
        if (count < sizeBytes) return from + count;
      }
    }
    return target.length;
  }

  /** Write all bytes or give false. */
  writeMemory(address: Address, bytes: Uint8Array): boolean {
    this.prefetched = undefined;
    this.selectFocus();
    // A byte may take two, as digits or with an escape.
    const sizeMax = (this.abilities.packetSizeBytes - FRAME_BYTES - 40) >> 1;
    for (let from = 0; from < bytes.length; from += sizeMax) {
      const some = bytes.subarray(from, from + sizeMax);
      const answer = this.writeChunk((address + BigInt(from)) as Address, some);
      if (answer !== "OK") return false;
    }
    return true;
  }

  private writeChunk(address: Address, bytes: Uint8Array): string {
    const head = `${hexAddress(address)},${hexNumber(bytes.length)}:`;
    if (bytes.length > READ_BYTES_MAX / 16 && !this.abilities.isQemu) {
      // An empty write tells whether the stub knows the request.
      this.writesBinary ??= this.connection.ask(`X${hexAddress(address)},0:`) === "OK";
      if (this.writesBinary) {
        const text = `X${head}`;
        return this.connection.ask({ text, framed: encodeBinaryPacket(text, bytes) });
      }
    }
    return this.connection.ask(`M${head}${toHex(bytes)}`);
  }

  /** @param sizeBytes what the kind asks for: a breakpoint's own size, or the watched bytes. */
  setBreakpoint(kind: BreakpointKind, address: Address, sizeBytes: number): boolean {
    const request = `Z${kind},${hexAddress(address)},${hexNumber(sizeBytes)}`;
    const answer = this.connection.ask(request);
    if (answer === "OK") return true;
    if (answer === "") {
      throw new ToolError("gdb.unsupported", "the stub cannot set breakpoints (packet Z0)");
    }
    return false;
  }

  clearBreakpoint(kind: BreakpointKind, address: Address, sizeBytes: number): boolean {
    const request = `z${kind},${hexAddress(address)},${hexNumber(sizeBytes)}`;
    return this.connection.ask(request) === "OK";
  }

  /** One of the documents that stubs give in pieces. Throws ToolError gdb.*. */
  readDocument(object: string, annex: string): string {
    const pieceBytes = Math.min(this.abilities.packetSizeBytes - FRAME_BYTES - 1, 0xffb);
    let text = "";
    for (;;) {
      const at = text.length;
      const request = `qXfer:${object}:read:${annex}:${hexNumber(at)},${hexNumber(pieceBytes)}`;
      const answer = this.connection.ask(request);
      const isLast = answer.startsWith("l");
      if (!isLast && !answer.startsWith("m")) throw badReply(request, answer);
      text += answer.slice(1);
      if (isLast) return text;
      if (answer.length === 1) throw badReply(request, answer);
      if (text.length > limits.stubDocumentSizeBytesMax) {
        const max = limits.stubDocumentSizeBytesMax;
        throw new ToolError(
          "gdb.garbled",
          `${annex || object} of the stub has more than ${max} bytes (stubDocumentSizeBytesMax)`,
        );
      }
    }
  }

  /** A command for the stub's monitor; what it prints. Throws ToolError gdb.*. */
  monitor(command: string): string {
    const request = `qRcmd,${toHex(new TextEncoder().encode(command))}`;
    let text = "";
    for (let answer = this.connection.ask(request); ; answer = this.connection.askMore(request)) {
      if (answer === "OK") return text;
      const isText = answer.startsWith("O");
      const bytes = fromHex(isText ? answer.slice(1) : answer);
      if (bytes === undefined || answer === "" || /^E[0-9a-f]{2}$/i.test(answer)) {
        throw badReply(`the monitor command ${JSON.stringify(command)}`, answer);
      }
      text += Buffer.from(bytes).toString("utf8");
      if (!isText) return text;
      if (text.length > limits.stubMonitorTextCharsMax) {
        const max = limits.stubMonitorTextCharsMax;
        throw new ToolError(
          "gdb.garbled",
          `the stub's monitor prints more than ${max} characters (stubMonitorTextCharsMax)`,
        );
      }
    }
  }

  /** Let the target go on without us; the connection is good for nothing then. */
  detach(processIds: readonly number[]): boolean {
    const isEach = this.abilities.hasProcesses && processIds.length > 0;
    const requests = isEach ? processIds.map((id) => `D;${hexNumber(id)}`) : ["D"];
    const answers = requests.map((request) => this.connection.ask(request));
    this.connection.settleAck();
    return answers.every((answer) => answer === "OK");
  }
}

function readPacketSize(text: string | undefined): number {
  if (text === undefined) return PACKET_BYTES_DEFAULT;
  const sizeBytes = /^[0-9a-f]{1,12}$/i.test(text) ? Number.parseInt(text, 16) : 0;
  if (sizeBytes >= PACKET_BYTES_MIN) return Math.min(sizeBytes, limits.stubRequestSizeBytesMax);
  throw new ToolError(
    "gdb.unsupported",
    `the stub takes packets of ${JSON.stringify(text)} bytes only: too small to work with`,
  );
}

/** Bytes that an answer to `m` gave. Throws ToolError gdb.reply. */
function readAnswer(request: string, answer: string, target: Uint8Array): number {
  // Three characters, where data has an even number.
  if (/^E[0-9a-f]{2}$/i.test(answer) || answer.startsWith("E.")) return 0;
  const count = Math.min(answer.length >> 1, target.length);
  const isWhole =
    answer.length > 0 && answer.length % 2 === 0 && answer.length <= 2 * target.length;
  if (!isWhole || !readHex(answer, 0, target.subarray(0, count))) throw badReply(request, answer);
  return count;
}
