/**
 * Requests and answers over a transport: acknowledgements, packets sent again, time-outs, and many
 * requests in one write where the stub bears it. When packets are lost for good the connection is
 * done with: every use after that fails at once, with the first failure.
 *
 * Acknowledgements go out in front of the next packet and never alone: a stub that reads a byte
 * while its target runs takes it for a wish to stop (QEMU), and one that waits for an answer waits
 * just as well for the packet (QEMU's user mode, KGDB).
 */

import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { encodePacket, PacketDecoder, type WireItem } from "./packets.ts";
import type { Transport } from "./transport.ts";

/** `none`: agreed on, or known not to be needed; only then several requests go out at once. */
export type AckMode = "glued" | "none";

export interface ConnectionOptions {
  readonly nowMs: () => number;
  readonly replyTimeMsMax: number;
  /**
   * Whether the line may lose bytes, as a serial one may: only there silence can mean that a
   * request is to be sent again. Elsewhere a stub that is silent is slow, and would answer twice.
   */
  readonly losesBytes: boolean;
}

/** A packet of one byte a character, framed or still to be framed. */
export type Request = string | { readonly text: string; readonly framed: Uint8Array };

const ACK = "+".charCodeAt(0);
const NACK = Uint8Array.of("-".charCodeAt(0));
const INTERRUPT = Uint8Array.of(0x03);
const REQUEST_CHARS_SHOWN = 40;

/** The start of a packet that tells of a stop or an end; no answer to a query looks like it. */
const STOP = /^(?:[TS][0-9a-f]{2}|[WX][0-9a-f]{1,2}(?:;|$)|N$)/i;
const END = /^[WX]/;

export class Connection {
  ackMode: AckMode = "glued";
  /** The packet that told of the target's end, if it came while something else was asked. */
  endPacket: string | undefined;
  private readonly transport: Transport;
  private readonly options: ConnectionOptions;
  private readonly decoder = new PacketDecoder();
  private owesAck = false;
  /** Requests that are answered before the target goes on, and whose answers nobody has read. */
  private unread: Request[] = [];
  /** Not 0: answers to what was sent again may still come, each within that time. */
  private surplusTimeMs = 0;
  private failure: ToolError | undefined;

  constructor(transport: Transport, options: ConnectionOptions) {
    this.transport = transport;
    this.options = options;
  }

  /** Whether several requests may go out before the first is answered. */
  get canPipeline(): boolean {
    return this.ackMode === "none";
  }

  get isLost(): boolean {
    return this.failure !== undefined;
  }

  /** Send a request and give the answer. The target is stopped. */
  ask(request: Request): string {
    this.send([request]);
    return this.answerTo(request);
  }

  /** A further answer to the same request. */
  askMore(request: Request): string {
    return this.answerTo(request);
  }

  /** As ask(), for many at once; answers in order. */
  askAll(requests: readonly Request[]): readonly string[] {
    if (!this.canPipeline) return requests.map((request) => this.ask(request));
    const answers: string[] = [];
    for (let from = 0; from < requests.length; from += limits.stubPipelineDepthMax) {
      const some = requests.slice(from, from + limits.stubPipelineDepthMax);
      this.send(some);
      for (const [index, request] of some.entries()) {
        answers.push(this.answerTo(request, some.length - index));
      }
    }
    return answers;
  }

  /**
   * Requests that are answered by OK, and behind them one that lets the target run: in one write,
   * where that can be. What is no OK is found when the stop is awaited.
   */
  setAndGo(requests: readonly Request[], go: Request): void {
    if (this.canPipeline && requests.length < limits.stubPipelineDepthMax) {
      this.unread = [...requests];
      return this.send([...requests, go]);
    }
    for (const [index, answer] of this.askAll(requests).entries()) {
      if (answer !== "OK") throw badReply(textOf(requests[index] as Request), answer);
    }
    this.send([go]);
  }

  /** The packet that tells of a stop; undefined when none came in time. The target runs. */
  awaitStop(timeoutMs: number): string | undefined {
    const deadlineMs = this.options.nowMs() + timeoutMs;
    for (let unasked = 0; ; unasked++) {
      const item = this.receive(deadlineMs, this.unread.length + 1);
      if (item === undefined) return undefined;
      if (item.kind === "nack") this.fail("gdb.garbled", "the stub did not understand us");
      if (item.kind === "broken") this.askAgain(item.why, unasked);
      if (item.kind !== "packet") continue;
      const { data } = item;
      const request = this.unread.shift();
      if (request !== undefined) {
        if (data === "OK") continue;
        this.unread = [];
        throw badReply(textOf(request), data);
      }
      if (STOP.test(data)) return data;
      // Text of the target's console is not for us; a file of ours is not to be had.
      if (data.startsWith("F")) this.send(["F-1,270f"]);
      else if (!data.startsWith("O") || data === "OK") {
        throw badReply("a request to go on", data);
      }
      if (unasked >= limits.stubUnaskedPacketCountMax) this.failUnasked();
    }
  }

  /** Ask the running target to stop. */
  interrupt(): void {
    this.sendBytes(INTERRUPT);
  }

  /** The last answer is acknowledged now: nothing follows it, or acknowledgements end with it. */
  settleAck(): void {
    if (!this.owesAck || this.ackMode === "none") return;
    this.owesAck = false;
    try {
      this.sendBytes(Uint8Array.of(ACK));
    } catch (error) {
      // A stub that was left may be gone by now.
      if (!(error instanceof ToolError)) throw error;
    }
  }

  close(): void {
    this.failure ??= new ToolError("gdb.closed", "the connection to the stub is closed");
    this.transport.close();
  }

  private send(requests: readonly Request[]): void {
    if (this.surplusTimeMs > 0) this.passOverSurplus();
    this.transmit(requests);
  }

  private transmit(requests: readonly Request[]): void {
    const framed = requests.map((one) =>
      typeof one === "string" ? encodePacket(one) : one.framed,
    );
    const head = this.owesAck && this.ackMode === "glued" ? 1 : 0;
    const bytes = new Uint8Array(framed.reduce((sum, one) => sum + one.length, head));
    if (head === 1) bytes[0] = ACK;
    let at = head;
    for (const one of framed) {
      bytes.set(one, at);
      at += one.length;
    }
    this.owesAck = false;
    this.sendBytes(bytes);
  }

  private sendBytes(bytes: Uint8Array): void {
    if (this.failure !== undefined) throw this.failure;
    this.guard(() => this.transport.send(bytes));
  }

  /** @param packetsWanted how many answers are still to come, this one among them. */
  private answerTo(request: Request, packetsWanted = 1): string {
    const { nowMs, replyTimeMsMax } = this.options;
    const startMs = nowMs();
    // A packet that was never acknowledged may be lost: it is sent again before we give up.
    let mayBeLost = this.options.losesBytes && this.ackMode === "glued";
    let resends = 0;
    let unasked = 0;
    let isDoubled = false;
    let broken: string | undefined;
    for (;;) {
      const share = mayBeLost ? (resends + 1) / (limits.stubResendCountMax + 1) : 1;
      const item = this.receive(startMs + replyTimeMsMax * share, packetsWanted);
      if (item === undefined) {
        if (broken !== undefined) this.fail("gdb.garbled", `the stub sent ${broken}`);
        if (!mayBeLost || resends >= limits.stubResendCountMax) this.failTimeout(request);
        resends++;
        isDoubled = true;
        this.transmit([request]);
      } else if (item.kind === "ack") {
        mayBeLost = false;
      } else if (item.kind === "nack") {
        if (this.ackMode === "none" || ++resends > limits.stubResendCountMax) {
          this.fail("gdb.garbled", `the stub says that our request ${shown(request)} came broken`);
        }
        this.transmit([request]);
      } else if (item.kind === "broken") {
        broken = item.why;
        this.askAgain(item.why, resends++);
      } else {
        if (!STOP.test(item.data) || textOf(request) === "?") {
          if (isDoubled) this.surplusTimeMs = nowMs() - startMs;
          return item.data;
        }
        // It is stopped and we know why: an echo, or the stub's word that it has stopped for us.
        if (END.test(item.data)) this.endPacket ??= item.data;
        if (++unasked > limits.stubUnaskedPacketCountMax) this.failUnasked();
      }
    }
  }

  /**
   * A request that was sent again may have come every time, and is answered as often: whatever
   * comes until the stub has been silent for as long as it took to answer is no answer to the next
   * one.
   */
  private passOverSurplus(): void {
    const timeMs = this.surplusTimeMs;
    this.surplusTimeMs = 0;
    for (let items = 0; items <= limits.stubUnaskedPacketCountMax; items++) {
      const item = this.receive(this.options.nowMs() + timeMs, 1);
      if (item === undefined) return;
      if (item.kind === "packet" && END.test(item.data)) this.endPacket ??= item.data;
    }
    this.failUnasked();
  }

  /** What came is broken: have it sent again, or give up. */
  private askAgain(why: string, times: number): void {
    if (this.ackMode === "none" || times >= limits.stubResendCountMax) {
      this.fail("gdb.garbled", `the stub sent ${why}`);
    }
    this.owesAck = false;
    this.sendBytes(NACK);
  }

  private receive(deadlineMs: number, packetsWanted: number): WireItem | undefined {
    if (this.failure !== undefined) throw this.failure;
    for (;;) {
      const item = this.decoder.next();
      if (item !== undefined) {
        if (item.kind === "packet") this.owesAck = true;
        return item;
      }
      const leftMs = deadlineMs - this.options.nowMs();
      const bytes = this.guard(() => this.transport.receive(Math.max(0, leftMs), packetsWanted));
      if (bytes === undefined) return undefined;
      this.decoder.push(bytes);
      // One that sends for ever without saying anything is silent, too.
      if (leftMs < 0) return this.decoder.next();
    }
  }

  private failTimeout(request: Request): never {
    const what = this.decoder.hasPart ? "sent half an answer to" : "did not answer";
    this.fail("gdb.timeout", `the stub ${what} ${shown(request)} within ${this.replySeconds} s`);
  }

  private failUnasked(): never {
    const max = limits.stubUnaskedPacketCountMax;
    this.fail(
      "gdb.garbled",
      `the stub sends stops that nobody asked for: more than ${max} (stubUnaskedPacketCountMax)`,
    );
  }

  private get replySeconds(): number {
    return this.options.replyTimeMsMax / 1000;
  }

  private fail(code: "gdb.garbled" | "gdb.timeout", message: string): never {
    this.failure = new ToolError(code, message);
    throw this.failure;
  }

  private guard<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      if (error instanceof ToolError) this.failure ??= error;
      throw error;
    }
  }
}

/** An answer that is none. */
export function badReply(request: string, reply: string): ToolError {
  const said = reply === "" ? "does not know it" : `says ${JSON.stringify(cut(reply))}`;
  return new ToolError("gdb.reply", `the stub gave no right answer to ${request}: it ${said}`, {
    details: { request, reply: cut(reply) },
  });
}

function textOf(request: Request): string {
  return typeof request === "string" ? request : request.text;
}

function shown(request: Request): string {
  return JSON.stringify(cut(textOf(request)));
}

function cut(text: string): string {
  return text.length <= REQUEST_CHARS_SHOWN ? text : `${text.slice(0, REQUEST_CHARS_SHOWN)}...`;
}
