/**
 * Connections over a line of the test's own, with a clock of its own: when requests are sent again,
 * and what becomes of the answers that come for that too often.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ToolError } from "../../base/errors.ts";
import { Connection } from "./connection.ts";
import type { Transport } from "./transport.ts";

const REPLY_MS = 1000;

/** What a stub sends for the n-th packet that it is sent: bytes, each with a delay. */
type Script = (packet: string, index: number) => readonly { afterMs: number; text: string }[];

/** A line to a stub that answers one packet after the other. */
class Line implements Transport {
  nowMs = 0;
  readonly sent: string[] = [];
  private readonly script: Script;
  private readonly coming: { readonly atMs: number; readonly text: string }[] = [];

  constructor(script: Script) {
    this.script = script;
  }

  send(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString("latin1");
    for (const [, packet] of text.matchAll(/\$([^#]*)#../g)) {
      const from = this.nowMs;
      for (const { afterMs, text: answer } of this.script(packet as string, this.sent.length)) {
        this.coming.push({ atMs: from + afterMs, text: answer });
      }
      this.sent.push(packet as string);
    }
    this.coming.sort((a, b) => a.atMs - b.atMs);
  }

  receive(timeoutMs: number): Uint8Array | undefined {
    const untilMs = this.nowMs + timeoutMs;
    const next = this.coming[0];
    if (next === undefined || next.atMs > untilMs) {
      this.nowMs = untilMs;
      return undefined;
    }
    this.coming.shift();
    this.nowMs = Math.max(this.nowMs, next.atMs);
    return Buffer.from(next.text, "latin1");
  }

  close(): void {}
}

function open(losesBytes: boolean, script: Script): { line: Line; connection: Connection } {
  const line = new Line(script);
  const options = { nowMs: () => line.nowMs, replyTimeMsMax: REPLY_MS, losesBytes };
  return { line, connection: new Connection(line, options) };
}

function frame(data: string): string {
  const sum = [...data].reduce((all, one) => all + one.charCodeAt(0), 0);
  return `$${data}#${(sum & 0xff).toString(16).padStart(2, "0")}`;
}

/** Answers the packet `x` by `X` after a time, its acknowledgement with it. */
function late(afterMs: number): Script {
  return (packet) => [{ afterMs, text: `+${frame(packet.toUpperCase())}` }];
}

describe("a connection to a stub", () => {
  it("where nothing is lost a request is sent once, however late its answer is", () => {
    const { line, connection } = open(false, late(0.9 * REPLY_MS));
    assert.deepEqual([connection.ask("a"), connection.ask("b")], ["A", "B"]);
    assert.deepEqual(line.sent, ["a", "b"]);
  });

  it("where nothing is lost a request that is not understood is sent again", () => {
    const { line, connection } = open(false, (packet, index) => [
      { afterMs: 1, text: index === 0 ? "-" : `+${frame(packet.toUpperCase())}` },
    ]);
    assert.deepEqual([connection.ask("a"), connection.ask("b")], ["A", "B"]);
    assert.deepEqual(line.sent, ["a", "a", "b"]);
  });

  it("where bytes are lost a request that is not acknowledged is sent again", () => {
    const { line, connection } = open(true, (packet, index) =>
      index < 2 ? [] : [{ afterMs: 1, text: `+${frame(packet.toUpperCase())}` }],
    );
    assert.deepEqual([connection.ask("a"), connection.ask("b")], ["A", "B"]);
    assert.deepEqual(line.sent, ["a", "a", "a", "b"]);
  });

  for (const share of [0.3, 0.6, 0.9]) {
    it(`where bytes are lost all answers but one are passed over, each ${share} of the time late`, () => {
      const { connection } = open(true, late(share * REPLY_MS));
      assert.deepEqual(
        ["a", "b", "c"].map((one) => connection.ask(one)),
        ["A", "B", "C"],
      );
    });
  }

  it("answers that queue up behind a slow one are passed over", () => {
    // It begins with the next when it has done the one before.
    let freeMs = 0;
    const opened = open(true, (packet) => {
      const startMs = Math.max(freeMs, opened.line.nowMs);
      freeMs = startMs + 0.4 * REPLY_MS;
      return [{ afterMs: freeMs - opened.line.nowMs, text: `+${frame(packet.toUpperCase())}` }];
    });
    assert.deepEqual(
      ["a", "b", "c"].map((one) => opened.connection.ask(one)),
      ["A", "B", "C"],
    );
  });

  for (const losesBytes of [false, true]) {
    it(`silence ends in time, losing bytes: ${losesBytes}`, () => {
      const { line, connection } = open(losesBytes, () => []);
      assert.throws(
        () => connection.ask("a"),
        (error) => error instanceof ToolError && error.code === "gdb.timeout",
      );
      assert.equal(line.nowMs, REPLY_MS);
    });
  }
});
