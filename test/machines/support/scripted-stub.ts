/**
 * A GDB stub of a test's own: a small program on a processor that exists only here, behind a unix
 * socket, which behaves as the protocol has it but for what a test makes it do otherwise. It runs
 * in a worker, as the machine under test blocks its thread.
 *
 * The program is a loop of three instructions; each turn takes no time, and every run ends at a
 * breakpoint in it, or when it is interrupted.
 */

import { createServer, type Server, type Socket } from "node:net";

export const CODE = 0x1000;
/** push rbp; mov rbp,rsp; pop rbp; nopl; jmp CODE */
const CODE_BYTES = [0x55, 0x48, 0x89, 0xe5, 0x5d, 0x0f, 0x1f, 0x00, 0xeb, 0xf6];
/** Where its instructions begin; the last jumps to the first. */
const STARTS = [0, 1, 4, 5, 8].map((offset) => CODE + offset);
export const DATA = 0x2000;
const MEMORY_BYTES = 0x8000;
const RIP = 16;
const RSP = 7;
const RUN_MS = 2;

const CORE = [
  ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12"],
  ...["r13", "r14", "r15", "rip"],
];
export const CORE_XML: string = `<?xml version="1.0"?><!DOCTYPE feature SYSTEM "gdb-target.dtd">
<feature name="org.gnu.gdb.i386.core">${CORE.map((name) => `<reg name="${name}" bitsize="64"/>`).join("")}
<reg name="eflags" bitsize="32" type="i386_eflags"/><!-- <reg name="ss_base" bitsize="64"/> --></feature>`;
export const TARGET_XML: string = `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">
<target><architecture>i386:x86-64</architecture><xi:include href="core.xml"/></target>`;

/** What a test may change. */
export interface Misbehaviour {
  /** A request has come, and nothing is said of it yet. */
  received?(stub: ScriptedStub, request: string): void;
  /** Instead of the answer to a request; undefined: as it should be. */
  answer?(stub: ScriptedStub, request: string): string | undefined;
  /** Instead of sending an answer as it should be sent. True: it was dealt with. */
  send?(stub: ScriptedStub, answer: string, request: string): boolean;
  /** A client has connected. */
  connected?(stub: ScriptedStub): void;
  /** Also towards those who connect again. */
  isLasting?: boolean;
  /** Do not offer to do without acknowledgements. */
  needsAcks?: boolean;
  documents?: Readonly<Record<string, string>>;
}

/** What became of it. */
export interface StubState {
  breakpoints: number;
  isRunning: boolean;
  isDetached: boolean;
  connections: number;
  requests: string[];
}

export class ScriptedStub {
  readonly state: StubState;
  /** Registers, eflags last; for all threads the same. */
  readonly registers: bigint[] = CORE.map(() => 0n);
  readonly breakpoints: Set<number> = new Set();
  readonly memory: Uint8Array = new Uint8Array(MEMORY_BYTES);
  /** What a test may count in. */
  count = 0;
  socket: Socket | undefined;
  private readonly script: Misbehaviour;
  private readonly server: Server;
  private received = "";
  private hasAcks = true;
  private isFirst = true;

  constructor(path: string, script: Misbehaviour, onReady: () => void) {
    this.script = script;
    this.state = {
      ...{ breakpoints: 0, isRunning: true, isDetached: false, connections: 0 },
      requests: [],
    };
    this.memory.set(CODE_BYTES, CODE);
    this.memory.set(Buffer.from("some text\0"), DATA);
    this.registers[RIP] = BigInt(CODE);
    this.registers[RSP] = 0x7000n;
    this.server = createServer((socket) => this.connect(socket)).listen(path, onReady);
  }

  close(): void {
    this.socket?.destroy();
    this.server.close();
  }

  private get isScripted(): boolean {
    return this.isFirst || this.script.isLasting === true;
  }

  private connect(socket: Socket): void {
    this.isFirst = this.state.connections++ === 0;
    this.socket = socket;
    this.received = "";
    this.hasAcks = true;
    this.state.isRunning = false;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.take(chunk.toString("latin1")));
    if (this.isScripted) this.script.connected?.(this);
  }

  private take(text: string): void {
    this.received += text;
    for (;;) {
      const from = [...this.received].findIndex((one) => one === "$" || one === "\x03");
      if (from < 0) return;
      if (this.received[from] !== "$") {
        this.received = this.received.slice(from + 1);
        this.interrupted();
        continue;
      }
      const hash = this.received.indexOf("#", from);
      if (hash < 0 || hash + 2 >= this.received.length) return;
      const data = this.received.slice(from + 1, hash);
      this.received = this.received.slice(hash + 3);
      this.serve(data);
    }
  }

  private interrupted(): void {
    if (!this.state.isRunning) return;
    if (this.isScripted && this.script.answer?.(this, "\x03") !== undefined) return;
    this.stop("T02thread:p1.1;");
  }

  private serve(request: string): void {
    this.state.requests.push(request);
    if (this.isScripted) this.script.received?.(this, request);
    if (this.hasAcks) this.write("+");
    const scripted = this.isScripted ? this.script.answer?.(this, request) : undefined;
    const answer = scripted ?? this.answerTo(request);
    if (answer !== undefined) this.reply(answer, request);
    if (request === "QStartNoAckMode" && answer === "OK") this.hasAcks = false;
    if (request.startsWith("D") && answer === "OK") {
      this.state.isDetached = true;
      this.state.isRunning = true;
    }
    this.state.breakpoints = this.breakpoints.size;
  }

  /** Send an answer, as it should be or as the test has it. */
  reply(answer: string, request = ""): void {
    if (this.isScripted && this.script.send?.(this, answer, request) === true) return;
    this.write(frame(answer));
  }

  /** The target has stopped. */
  stop(text: string): void {
    this.state.isRunning = false;
    this.reply(text, "stop");
  }

  write(text: string): void {
    this.socket?.write(Buffer.from(text, "latin1"));
  }

  private answerTo(request: string): string | undefined {
    const [head] = /^(?:vCont\?|vCont|[a-zA-Z]+)/.exec(request) ?? ["?"];
    switch (head) {
      case "qSupported":
        return `PacketSize=1000;qXfer:features:read+;multiprocess+${this.script.needsAcks === true ? "" : ";QStartNoAckMode+"}`;
      case "QStartNoAckMode":
        return "OK";
      case "?":
        return "T05thread:p1.1;";
      case "vCont?":
        return "vCont;c;C;s;S";
      case "qfThreadInfo":
        return "mp1.1,p1.2";
      case "qsThreadInfo":
        return "l";
      case "qXfer":
        return this.document(request);
      case "Hg":
      case "Hgp":
        return "OK";
      case "g":
        return this.registers.map((word) => littleEndian(word)).join("") + "46020000";
      case "P":
        return this.setRegister(request);
      case "m":
        return this.read(request);
      case "M":
        return this.writeMemory(request);
      case "Z":
      case "z":
        return this.setBreakpoint(request);
      case "vCont":
        return this.go(request);
      case "D":
        return "OK";
      case "F":
        return undefined;
      default:
        return "";
    }
  }

  private document(request: string): string {
    const [, name, from, size] =
      /^qXfer:features:read:([^:]+):([0-9a-f]+),([0-9a-f]+)$/.exec(request) ?? [];
    const known: Readonly<Record<string, string>> = {
      "target.xml": TARGET_XML,
      "core.xml": CORE_XML,
      ...(this.isScripted ? this.script.documents : {}),
    };
    const text = known[name ?? ""];
    if (text === undefined) return "E00";
    const at = Number.parseInt(from ?? "0", 16);
    const piece = text.slice(at, at + Number.parseInt(size ?? "0", 16));
    return (at + piece.length < text.length ? "m" : "l") + piece;
  }

  private setRegister(request: string): string {
    const [, number, digits] = /^P([0-9a-f]+)=([0-9a-f]+)$/.exec(request) ?? [];
    const bytes = Buffer.from(digits ?? "", "hex");
    if (bytes.length === 8)
      this.registers[Number.parseInt(number ?? "", 16)] = bytes.readBigUInt64LE();
    return "OK";
  }

  private read(request: string): string {
    const [, from, size] = /^m([0-9a-f]+),([0-9a-f]+)$/.exec(request) ?? [];
    const at = Number.parseInt(from ?? "", 16);
    if (at >= MEMORY_BYTES) return "E14";
    return Buffer.from(this.memory.subarray(at, at + Number.parseInt(size ?? "", 16))).toString(
      "hex",
    );
  }

  private writeMemory(request: string): string {
    const [, from, digits] = /^M([0-9a-f]+),[0-9a-f]+:([0-9a-f]*)$/.exec(request) ?? [];
    this.memory.set(Buffer.from(digits ?? "", "hex"), Number.parseInt(from ?? "", 16));
    return "OK";
  }

  private setBreakpoint(request: string): string {
    const [, letter, address] = /^([Zz])0,([0-9a-f]+),/.exec(request) ?? [];
    const at = Number.parseInt(address ?? "", 16);
    if (letter === "Z") this.breakpoints.add(at);
    else this.breakpoints.delete(at);
    return "OK";
  }

  /** A step is one instruction; a run goes to the next breakpoint, if there is one. */
  private go(request: string): undefined {
    this.state.isRunning = true;
    if (request.includes(";s")) {
      this.advance();
      this.stop("T05thread:p1.1;");
      return;
    }
    // Out of a copy it jumps back.
    if (!STARTS.includes(Number(this.registers[RIP])))
      this.registers[RIP] = BigInt(STARTS[1] as number);
    setTimeout(() => {
      if (!this.state.isRunning) return;
      for (const _one of STARTS) {
        if (this.breakpoints.has(Number(this.registers[RIP]))) {
          return this.stop("T05thread:p1.1;swbreak:;");
        }
        this.advance();
      }
    }, RUN_MS);
  }

  private advance(): void {
    const index = STARTS.indexOf(Number(this.registers[RIP]));
    this.registers[RIP] = BigInt(STARTS[(index + 1) % STARTS.length] as number);
  }
}

/** A packet as it should be. */
export function frame(data: string): string {
  let sum = 0;
  for (let at = 0; at < data.length; at++) sum += data.charCodeAt(at);
  return `$${data}#${(sum & 0xff).toString(16).padStart(2, "0")}`;
}

function littleEndian(word: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(word);
  return bytes.toString("hex");
}
