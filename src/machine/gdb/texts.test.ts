/** Texts that are read: endpoints, stops, thread names, descriptions, signals, registers. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { x86_64 } from "../../arch/x86_64/x86_64.ts";
import { toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { readDescription } from "./description.ts";
import { formatEndpoint, parseEndpoint } from "./endpoint.ts";
import { toGdbSignal, toLinuxSignal } from "./gdb-signals.ts";
import { fromHex, readHex, toHex } from "./hex.ts";
import { chooseArch, RegisterMap } from "./register-map.ts";
import { Room } from "./room.ts";
import { formatThreadId, parseStopReply, parseThreadId } from "./stop-reply.ts";

describe("endpoints", () => {
  it("are paths, hosts with ports, and devices", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["unix:/run/gdb.sock", "unix:/run/gdb.sock"],
      ["unix:gdb.sock", "unix:gdb.sock"],
      ["tcp:localhost:1234", "tcp:localhost:1234"],
      ["192.0.2.1:1", "tcp:192.0.2.1:1"],
      [":1234", "tcp:localhost:1234"],
      ["[::1]:65535", "tcp:[::1]:65535"],
      ["/dev/ttyUSB0", "/dev/ttyUSB0"],
      ["/dev/ttyS1,9600", "/dev/ttyS1"],
    ];
    for (const [given, shown] of cases) assert.equal(formatEndpoint(parseEndpoint(given)), shown);
    assert.deepEqual(parseEndpoint("/dev/ttyS1,9600"), {
      ...{ kind: "serial", path: "/dev/ttyS1", baud: 9600 },
    });
  });

  it("that cannot be one are refused", () => {
    for (const text of ["", "unix:", "host", "host:", "host:0", "host:65536", "a b:1", "::1:5"]) {
      assert.throws(() => parseEndpoint(text), isToolError("usage"), text);
    }
  });
});

describe("news of a stop", () => {
  it("tells the signal, the thread and what it was", () => {
    assert.deepEqual(parseStopReply("T05thread:p01.02;swbreak:;06:0011;"), {
      kind: "signal",
      signal: 5,
      thread: { processId: 1, threadId: 2 },
      isBreakpoint: true,
      event: undefined,
    });
    assert.deepEqual(parseStopReply("T05create:;thread:2a;"), {
      kind: "signal",
      signal: 5,
      thread: { processId: undefined, threadId: 42 },
      isBreakpoint: false,
      event: "create",
    });
    assert.deepEqual(parseStopReply("W2a;process:1"), { kind: "exited", code: 42 });
    assert.deepEqual(parseStopReply("W7;process:e04"), { kind: "exited", code: 7 });
    assert.deepEqual(parseStopReply("X0b"), { kind: "killed", signal: 11 });
  });

  it("that is none is refused", () => {
    for (const text of ["", "OK", "T", "T5", "Tzz", "T05thread:;", "T05thread:p0.1;", "E01"]) {
      assert.throws(() => parseStopReply(text), isToolError("gdb.reply"), text);
    }
  });

  it("names of threads are what they were", () => {
    for (const text of ["1", "p1.2", "pff.7fffffff"]) {
      assert.equal(formatThreadId(parseThreadId(text) ?? { processId: 0, threadId: 0 }), text);
    }
    for (const text of ["0", "-1", "p1.-1", "p.1", "p1.", "123456789", "ffffffff"]) {
      assert.equal(parseThreadId(text), undefined, text);
    }
  });
});

describe("signals", () => {
  it("have one number here for one number there", () => {
    for (let linux = 1; linux <= 64; linux++) {
      // SIGSTKFLT, which GDB does not know.
      if (linux === 16) continue;
      assert.equal(toLinuxSignal(toGdbSignal(linux)), linux);
    }
    assert.deepEqual([toGdbSignal(10), toGdbSignal(7), toGdbSignal(17)], [30, 10, 20]);
  });
});

describe("hexadecimal digits", () => {
  it("are read exactly", () => {
    for (const size of [0, 1, 63, 64, 300]) {
      const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 37) & 0xff);
      assert.deepEqual(fromHex(toHex(bytes)), bytes);
      assert.deepEqual(fromHex(toHex(bytes).toUpperCase()), bytes);
      const bad = `${toHex(bytes).slice(0, -1)}g`;
      assert.equal(fromHex(size === 0 ? "g" : bad), undefined);
      assert.equal(readHex(toHex(bytes), 1, new Uint8Array(Math.max(size, 1))), false);
    }
  });
});

const CORE = `<feature name="f"><!-- <reg name="no" bitsize="8"/> -->
${x86_64.registers.names.map((name) => `<reg name='${name}' bitsize="64"/>`).join("")}</feature>`;

describe("descriptions", () => {
  it("number their registers on, and place them in order of their numbers", () => {
    const documents: Record<string, string> = {
      "target.xml": `<target><architecture>i386:x86-64</architecture>
        <xi:include href="b.xml"></xi:include><xi:include href="a.xml"/></target>`,
      "a.xml": `<feature><reg name="one" bitsize="32" regnum="1"/><reg name="two" bitsize="80"/></feature>`,
      "b.xml": `<feature><reg name="nine" bitsize="8" regnum="9"/><!-- <reg name="no" bitsize="8" --></feature>`,
    };
    const { architecture, registers } = readDescription((name) => documents[name] ?? "");
    assert.equal(architecture, "i386:x86-64");
    assert.deepEqual(registers, [
      { name: "one", number: 1, sizeBytes: 4, offsetBytes: 0 },
      { name: "two", number: 2, sizeBytes: 10, offsetBytes: 4 },
      { name: "nine", number: 9, sizeBytes: 1, offsetBytes: 14 },
    ]);
  });

  it("any text at all gives registers or an error", () => {
    for (let seed = 1; seed < 300; seed++) {
      const at = (seed * 7919) % CORE.length;
      const spoiled = `<target>${CORE.slice(0, at)}${"<>\"'&/x"[seed % 7]}${CORE.slice(at + (seed % 5))}</target>`;
      try {
        readDescription(() => spoiled);
      } catch (error) {
        assert.ok(error instanceof ToolError, (error as Error).stack);
      }
    }
  });

  it("give a register file by name, and write one back", () => {
    const description = readDescription(() => `<target>${CORE}</target>`);
    assert.equal(chooseArch(description, [x86_64]), x86_64);
    const map = new RegisterMap(x86_64, description);
    const file = new BigUint64Array(x86_64.registers.count).map((_, word) => BigInt(word) << 40n);
    const answer = map.write("00".repeat(8 * file.length), file);
    const again = new BigUint64Array(file.length);
    assert.ok(map.read(answer, again));
    assert.deepEqual(again, file);
    assert.equal(map.read(answer.slice(0, -2), again), false);
    // What the stub does not know now is no number, and is taken as 0.
    assert.ok(map.read(`${"x".repeat(16)}${answer.slice(16)}`, again));
    assert.equal(again[0], 0n);
  });
});

describe("room", () => {
  it("is given once, in reach, aligned, and less than asked for where there is no more", () => {
    const room = new Room([
      { start: toAddress(0x1001), sizeBytes: 0x200 },
      { start: toAddress(0x9000_0000), sizeBytes: 0x1000 },
    ]);
    const near = toAddress(0x2000);
    assert.deepEqual(room.take(near, 0x10_0000, 0x100), { start: 0x1040n, sizeBytes: 0x100 });
    assert.deepEqual(room.take(near, 0x10_0000, 0x1000), { start: 0x1140n, sizeBytes: 0xc0 });
    assert.equal(room.take(near, 0x10_0000, 64), undefined);
    assert.deepEqual(room.take(near, 0x1_0000_0000, 64), { start: 0x9000_0000n, sizeBytes: 64 });
  });
});

function isToolError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof ToolError && error.code === code;
}
