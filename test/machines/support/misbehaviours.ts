/**
 * Ways in which a stub can misbehave, by name, with what has to come of each: an error with its
 * code and a part of its text, or nothing, as it does no harm.
 */

import type { ErrorCode } from "../../../src/base/errors.ts";
import { CODE, CORE_XML, frame, type Misbehaviour, type ScriptedStub } from "./scripted-stub.ts";

export interface NamedMisbehaviour extends Misbehaviour {
  /** Undefined: everything works all the same. */
  readonly expect:
    | { readonly code: ErrorCode; readonly text: RegExp; readonly orCode?: ErrorCode }
    | undefined;
  /** The target is to end as one that runs without our breakpoints. */
  readonly isLetGo?: boolean;
}

/** More than a quarter of the time that the test gives a stub for one answer. */
const SLOW_MS = 150;
const SLOW_REQUEST = /^(?:vCont\?|qXfer|Z0)/;

/** For answers that are sent otherwise: nothing is sent as it should be. */
const NOTHING = "";

export const MISBEHAVIOURS: Readonly<Record<string, NamedMisbehaviour>> = {
  // The connection.
  "says nothing at all": {
    send: () => true,
    needsAcks: true,
    isLasting: true,
    expect: { code: "gdb.timeout", text: /did not answer "qSupported/ },
  },
  "closes as soon as somebody connects": {
    connected: (stub) => stub.socket?.destroy(),
    // Before or after we know that we are connected.
    expect: {
      code: "gdb.closed",
      orCode: "gdb.unreachable",
      text: /connection .* is gone|cannot connect|closed the connection/,
    },
  },
  "closes instead of its first answer": {
    send: (stub) => hangUp(stub),
    expect: { code: "gdb.closed", text: /closed the connection/ },
  },
  "closes in the middle of a packet": {
    send: (stub, answer) => {
      stub.socket?.end(frame(answer).slice(0, 10));
      return true;
    },
    expect: { code: "gdb.closed", text: /closed the connection/ },
  },
  "stops sending in the middle of a packet": {
    send: (stub, answer) => {
      stub.write(frame(answer).slice(0, 10));
      return true;
    },
    expect: { code: "gdb.timeout", text: /sent half an answer to "qSupported/ },
  },
  "sends each byte for itself": {
    send: (stub, answer) => {
      for (const byte of frame(answer)) stub.write(byte);
      return true;
    },
    expect: undefined,
  },
  "answers too late": {
    send: (stub, answer) => {
      setTimeout(() => stub.write(frame(answer)), 5000).unref();
      return true;
    },
    expect: { code: "gdb.timeout", text: /did not answer/ },
  },
  "takes its time over a request, and says nothing meanwhile": {
    needsAcks: true,
    received: (stub, request) => {
      // Whatever is sent meanwhile waits, and is answered too.
      if (SLOW_REQUEST.test(request) && stub.count++ < 4) sleep(SLOW_MS);
    },
    expect: undefined,
  },
  "sends for ever without a packet": {
    connected: (stub) => {
      setInterval(() => stub.write("x".repeat(4096)), 1).unref();
    },
    send: () => true,
    expect: { code: "gdb.garbled", text: /bytes that are in no packet/ },
  },

  // Packets.
  "sends NUL bytes between packets": {
    send: (stub, answer) => {
      stub.write(`\0\0\0${frame(answer)}\0\0`);
      return true;
    },
    expect: undefined,
  },
  "sends NUL bytes in its answers": {
    answer: (_stub, request) => (request === "g" ? "\0".repeat(1200) : undefined),
    expect: { code: "gdb.reply", text: /registers are not those that it describes/ },
    isLetGo: true,
  },
  "computes every checksum wrong": {
    needsAcks: true,
    send: (stub, answer) => {
      stub.write(`${frame(answer).slice(0, -2)}zz`);
      return true;
    },
    expect: { code: "gdb.garbled", text: /checksum "zz"/ },
  },
  "computes one checksum wrong, and sends again when asked": {
    needsAcks: true,
    connected: (stub) => {
      stub.socket?.on("data", (chunk: Buffer) => {
        if (chunk.toString("latin1").startsWith("-")) stub.write(frame("vCont;c;C;s;S"));
      });
    },
    send: (stub, _answer, request) => {
      if (request !== "vCont?") return false;
      stub.write("$vCont;c;C;s;S#00");
      return true;
    },
    expect: undefined,
  },
  "computes a checksum wrong where nothing is sent again": {
    send: (stub, answer, request) => {
      if (request !== "?") return false;
      stub.write(`${frame(answer).slice(0, -2)}00`);
      return true;
    },
    expect: { code: "gdb.garbled", text: /checksum "00"/ },
    isLetGo: true,
  },
  "refuses every request as broken": {
    needsAcks: true,
    send: (stub) => {
      stub.write("-");
      return true;
    },
    expect: { code: "gdb.garbled", text: /our request "qSupported.* came broken/ },
  },
  "acknowledges without end": {
    send: (stub, answer) => {
      stub.write("+".repeat(20) + frame(answer));
      return true;
    },
    expect: undefined,
  },
  "never ends a packet": {
    send: (stub) => {
      stub.write(`$${"0".repeat(0x11_0000)}`);
      return true;
    },
    expect: { code: "gdb.garbled", text: /stubPacketSizeBytesMax/ },
  },
  "sends a giant packet": {
    send: (stub) => {
      stub.write(frame("0".repeat(0x10_0001)));
      return true;
    },
    expect: { code: "gdb.garbled", text: /stubPacketSizeBytesMax/ },
  },
  "sends runs that unfold without end": {
    send: (stub) => {
      stub.write(frame("0*~".repeat(12_000)));
      return true;
    },
    expect: { code: "gdb.garbled", text: /stubPacketSizeBytesMax/ },
  },
  "repeats what is not there": {
    send: (stub) => {
      stub.write(frame("*~"));
      return true;
    },
    expect: { code: "gdb.garbled", text: /a run of nothing/ },
  },
  "repeats a negative number of times": {
    send: (stub) => {
      stub.write(frame("0*\x01"));
      return true;
    },
    expect: { code: "gdb.garbled", text: /a run of nothing, or of no length/ },
  },
  "ends a packet with an escape": {
    send: (stub) => {
      stub.write(frame("abc}"));
      return true;
    },
    expect: { code: "gdb.garbled", text: /ends in an escape/ },
  },
  "starts a packet in a packet": {
    send: (stub, answer, request) => {
      if (request !== "?") return false;
      stub.write(`$T05th${frame(answer)}`);
      return true;
    },
    expect: { code: "gdb.garbled", text: /ends in the middle/ },
    isLetGo: true,
  },
  "sends notifications that nobody asked for": {
    send: (stub, answer) => {
      stub.write(`%Stop:T05thread:p1.1;#00${frame(answer)}`);
      return true;
    },
    expect: undefined,
  },
  "answers twice": {
    send: (stub, answer, request) => {
      if (!request.startsWith("Z0")) return false;
      stub.write(frame(answer) + frame(answer));
      return true;
    },
    expect: { code: "gdb.reply", text: /no right answer to/ },
    isLetGo: true,
  },

  // Negotiation.
  "answers E01 to everything": {
    answer: (_stub, request) => (request === "\x03" ? undefined : "E01"),
    expect: { code: "gdb.reply", text: /no right answer to what stopped: it says "E01"/ },
  },
  "knows no request at all": {
    answer: (_stub, request) => (request === "\x03" ? undefined : ""),
    expect: { code: "gdb.reply", text: /what stopped: it does not know it/ },
  },
  "takes packets of no size": {
    answer: (_stub, request) => (isQuery(request, "qSupported") ? "PacketSize=0" : undefined),
    expect: { code: "gdb.unsupported", text: /packets of "0" bytes only/ },
  },
  "takes packets of a size that is no number": {
    answer: (_stub, request) => (isQuery(request, "qSupported") ? "PacketSize=lots" : undefined),
    expect: { code: "gdb.unsupported", text: /packets of "lots" bytes only/ },
  },
  "claims to take packets of 4 GiB": {
    answer: (_stub, request) =>
      isQuery(request, "qSupported")
        ? "PacketSize=ffffffff;qXfer:features:read+;multiprocess+;QStartNoAckMode+"
        : undefined,
    expect: undefined,
  },
  "claims what it cannot do": {
    answer: (_stub, request) => (request === "QStartNoAckMode" ? NOTHING : undefined),
    expect: undefined,
  },

  // The description.
  "describes its target in rubbish": {
    documents: { "target.xml": "\x01\x02 <<<>>> reg reg reg" },
    expect: { code: "gdb.reply", text: /a document without a target/ },
    isLetGo: true,
  },
  "includes its description in itself": {
    documents: { "core.xml": '<feature><xi:include href="core.xml"/></feature>' },
    expect: { code: "gdb.reply", text: /include one another/ },
    isLetGo: true,
  },
  "includes more and more": {
    documents: {
      "target.xml": `<target>${'<xi:include href="core.xml"/>'.repeat(100)}</target>`,
      "core.xml": "<feature/>",
    },
    expect: { code: "gdb.reply", text: /stubIncludeCountMax/ },
    isLetGo: true,
  },
  "includes a file of ours": {
    documents: { "target.xml": '<target><xi:include href="../../etc/passwd"/></target>' },
    expect: { code: "gdb.reply", text: /an include of "..\/..\/etc\/passwd"/ },
    isLetGo: true,
  },
  "includes what it does not have": {
    documents: { "target.xml": '<target><xi:include href="none.xml"/></target>' },
    expect: { code: "gdb.reply", text: /qXfer:features:read:none.xml.* says "E00"/ },
    isLetGo: true,
  },
  "describes without end": {
    answer: (_stub, request) =>
      isQuery(request, "qXfer:features") ? `m${"<!-- -->".repeat(500)}` : undefined,
    expect: { code: "gdb.garbled", text: /stubDocumentSizeBytesMax/ },
    isLetGo: true,
  },
  "describes in pieces of nothing": {
    answer: (_stub, request) => (isQuery(request, "qXfer:features") ? "m" : undefined),
    expect: { code: "gdb.reply", text: /qXfer:features:read/ },
    isLetGo: true,
  },
  "gives two registers one number": {
    documents: {
      "core.xml": CORE_XML.replace('name="rbx"', 'name="rbx" regnum="0"'),
    },
    expect: { code: "gdb.reply", text: /two registers with one number/ },
    isLetGo: true,
  },
  "has a register of no size": {
    documents: { "core.xml": CORE_XML.replace('bitsize="64"', 'bitsize="big"') },
    expect: { code: "gdb.reply", text: /a register without a name or a size/ },
    isLetGo: true,
  },
  "has a register without end": {
    documents: { "core.xml": CORE_XML.replace('bitsize="64"', 'bitsize="999999999"') },
    expect: { code: "gdb.reply", text: /a register without a name or a size/ },
    isLetGo: true,
  },
  "has no program counter": {
    documents: { "core.xml": CORE_XML.replace('name="rip"', 'name="rap"') },
    expect: { code: "gdb.unsupported", text: /does not give the registers rip/ },
    isLetGo: true,
  },
  "is of another architecture": {
    documents: { "target.xml": "<target><architecture>mips</architecture></target>" },
    expect: { code: "gdb.unsupported", text: /architecture that cannot be probed: mips/ },
    isLetGo: true,
  },

  // Threads and the target.
  "lists threads without end": {
    answer: (_stub, request) =>
      /^q[fs]ThreadInfo$/.test(request) ? `m${"p1.1,".repeat(500)}p1.1` : undefined,
    expect: { code: "gdb.garbled", text: /stubThreadCountMax/ },
    isLetGo: true,
  },
  "lists threads with no right names": {
    answer: (_stub, request) => (request === "qfThreadInfo" ? "mp1.1,zz" : undefined),
    expect: { code: "gdb.reply", text: /"?qfThreadInfo"?: it says "mp1.1,zz"/ },
    isLetGo: true,
  },
  "lists all threads as one": {
    answer: (_stub, request) => (request === "qfThreadInfo" ? "mp1.-1" : undefined),
    expect: { code: "gdb.reply", text: /qfThreadInfo/ },
    isLetGo: true,
  },
  "lists one thread twice": {
    answer: (_stub, request) => (request === "qfThreadInfo" ? "mp1.1,p1.1" : undefined),
    expect: { code: "gdb.reply", text: /one thread twice/ },
    isLetGo: true,
  },
  "has a target that has ended": {
    answer: (_stub, request) => (request === "?" ? "W00" : undefined),
    expect: { code: "gdb.unsupported", text: /has no target/ },
  },
  "does not know why its target stopped": {
    answer: (_stub, request) => (request === "?" ? "because" : undefined),
    expect: { code: "gdb.reply", text: /what stopped: it says "because"/ },
    isLetGo: true,
  },
  "gives half of the registers": {
    answer: (_stub, request) => (request === "g" ? "00".repeat(40) : undefined),
    expect: { code: "gdb.reply", text: /registers are not those that it describes/ },
    isLetGo: true,
  },
  "gives registers that are no numbers": {
    answer: (_stub, request) => (request === "g" ? "hello".repeat(100) : undefined),
    expect: { code: "gdb.reply", text: /registers are not those that it describes/ },
    isLetGo: true,
  },

  // Breakpoints and memory.
  "cannot set breakpoints": {
    answer: (_stub, request) => (request.startsWith("Z0") ? NOTHING : undefined),
    expect: { code: "gdb.unsupported", text: /cannot set breakpoints/ },
    isLetGo: true,
  },
  "refuses a breakpoint": {
    answer: (_stub, request) => (request.startsWith("Z0") ? "E22" : undefined),
    expect: { code: "memory.fault", text: /cannot write a breakpoint at 0x1000/ },
    isLetGo: true,
  },
  "gives more memory than was asked for": {
    answer: (_stub, request) => (request.startsWith("m2000") ? "00".repeat(300) : undefined),
    expect: { code: "gdb.reply", text: /"?m2000,40"?/ },
    isLetGo: true,
  },
  "gives half a byte of memory": {
    answer: (_stub, request) => (request.startsWith("m2000") ? "0".repeat(7) : undefined),
    expect: { code: "gdb.reply", text: /m2000,40/ },
    isLetGo: true,
  },
  "gives memory that is no number": {
    answer: (_stub, request) => (request.startsWith("m2000") ? "some text!" : undefined),
    expect: { code: "gdb.reply", text: /m2000,40.*some text!/ },
    isLetGo: true,
  },
  "does not take a register": {
    answer: (stub, request) =>
      request.startsWith("P10=") && stub.breakpoints.size > 0 ? "E01" : undefined,
    expect: { code: "gdb.reply", text: /P10=.*: it says "E01"/ },
    isLetGo: true,
  },

  // Running and stopping.
  "answers OK when its target is to go on": {
    answer: (_stub, request) => (request.startsWith("vCont;c") ? "OK" : undefined),
    expect: { code: "gdb.reply", text: /a request to go on: it says "OK"/ },
    isLetGo: true,
  },
  "does not let its target go on": {
    answer: (_stub, request) => (request.startsWith("vCont;c") ? "E01" : undefined),
    expect: { code: "gdb.reply", text: /a request to go on: it says "E01"/ },
    isLetGo: true,
  },
  "stops a thread that there is not": {
    answer: (_stub, request) => (request.startsWith("vCont;c") ? "T05thread:p1.77;" : undefined),
    expect: { code: "gdb.reply", text: /thread p1.77 stopped, which it does not list/ },
    isLetGo: true,
  },
  "stops a thread without a right name": {
    answer: (_stub, request) => (request.startsWith("vCont;c") ? "T05thread:nobody;" : undefined),
    expect: { code: "gdb.reply", text: /what stopped: it says "T05thread:nobody;"/ },
    isLetGo: true,
  },
  "does not say which thread stopped": {
    answer: (_stub, request) => (request.startsWith("vCont;c") ? "S05" : undefined),
    expect: { code: "gdb.reply", text: /does not say which of its threads stopped/ },
    isLetGo: true,
  },
  "loses a thread's registers at its stop": {
    answer: (stub, request) => (request === "g" && stub.count++ > 0 ? "E01" : undefined),
    expect: { code: "gdb.reply", text: /"?g"?: it says "E01"/ },
    isLetGo: true,
  },
  "reports breakpoints where there are none": {
    answer: (stub, request) => {
      if (!request.startsWith("vCont;c")) return undefined;
      stub.registers[16] = 0x2345n;
      return "T05thread:p1.1;swbreak:;";
    },
    expect: { code: "gdb.reply", text: /times in a row for nothing that was asked/ },
    isLetGo: true,
  },
  "reports steps that were not made": {
    answer: (_stub, request) => (request.startsWith("vCont;s") ? "T05thread:p1.1;" : undefined),
    expect: { code: "gdb.reply", text: /says that it has stepped, and nothing has moved/ },
    isLetGo: true,
  },
  "says twice that it has stopped": {
    send: (stub, answer, request) => {
      if (request !== "stop") return false;
      stub.write(frame(answer) + frame(answer));
      return true;
    },
    expect: undefined,
  },
  "says without end that it has stopped": {
    send: (stub, answer, request) => {
      if (request !== "stop") return false;
      stub.write(frame(answer).repeat(3000));
      return true;
    },
    expect: { code: "gdb.garbled", text: /stops that nobody asked for/ },
    isLetGo: true,
  },
  "closes while its target runs": {
    answer: (stub, request) => {
      if (!request.startsWith("vCont;c")) return undefined;
      setTimeout(() => stub.socket?.end(), 20);
      return undefined;
    },
    expect: { code: "gdb.closed", text: /closed the connection/ },
    isLetGo: true,
  },
  "closes in the middle of the news of a stop": {
    answer: (stub, request) => {
      if (request.startsWith("vCont;c")) stub.socket?.end("$T05thr");
      return undefined;
    },
    expect: { code: "gdb.closed", text: /closed the connection/ },
    isLetGo: true,
  },
  "does not stop when it is asked to": {
    answer: (_stub, request) => (request === "\x03" ? NOTHING : undefined),
    expect: { code: "gdb.timeout", text: /did not stop its target within/ },
    isLetGo: true,
  },
  "tells what its target prints": {
    send: (stub, answer, request) => {
      if (request !== "stop") return false;
      stub.write(frame("O68656c6c6f") + frame(answer));
      return true;
    },
    expect: undefined,
  },
  "wants a file of ours for its target": {
    send: (stub, answer, request) => {
      if (request !== "stop") return false;
      stub.write(frame("Fopen,2000/9,0,0"));
      setTimeout(() => stub.write(frame(answer)), 5);
      return true;
    },
    expect: undefined,
  },
  "does not let its target go at the end": {
    answer: (_stub, request) => (request.startsWith("D") ? "E22" : undefined),
    expect: { code: "gdb.reply", text: /D: it says/ },
    isLetGo: true,
  },
};

/** The code that all of them are probed at. */
export const PROBED: number = CODE;

function isQuery(request: string, name: string): boolean {
  return request.startsWith(name);
}

function sleep(timeMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeMs);
}

function hangUp(stub: ScriptedStub): boolean {
  stub.socket?.end();
  return true;
}
