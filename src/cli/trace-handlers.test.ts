import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { toAddress } from "../base/address.ts";
import type {
  CallInstance,
  Hit,
  KprobeHandlers,
  KretprobeHandlers,
  ProbeRequest,
  Session,
} from "../session/api.ts";
import setup, { type TraceSettings, type TraceSummary } from "./trace-handlers.ts";

const SETTINGS: TraceSettings = {
  patterns: ["f*"],
  isLaunched: true,
  counts: false,
  isJson: false,
  fd: 1,
  isColoured: false,
  callsMax: undefined,
  durationMaxMs: undefined,
  depthMax: undefined,
  hasReturns: true,
  declarations: [],
  guessesText: false,
  textLengthMax: 48,
  isPending: false,
  hasStats: false,
  isQuiet: true,
};

/** A session without a target: the test makes the hits. */
class FakeSession {
  requests: readonly ProbeRequest[] = [];
  unregistered = 0;
  detached = 0;
  #timeNs = 1_000_000n;

  register(requests: readonly ProbeRequest[]): unknown[] {
    this.requests = requests;
    const counters = { hits: 0, missed: 0, errors: 0, abandoned: 0, sites: [] };
    return requests.map(() => ({
      ...counters,
      where: "f*",
      unregister: () => this.unregistered++,
    }));
  }

  detach(): void {
    this.detached++;
  }

  describe(address: bigint): string {
    return `0x${address.toString(16)}`;
  }

  check(): unknown[] {
    return [{ symbolOffset: 4 }];
  }

  /** One call of a function, seen by every probe on it; `inside` happens before it returns. */
  call(
    symbol: string,
    options: { sp?: number; symbolOffset?: number } = {},
    inside = (): void => {},
  ): void {
    const hit = this.#createHit(symbol, options.sp ?? 0x900, options.symbolOffset ?? 0);
    const returns: (() => void)[] = [];
    for (const request of this.requests) {
      if ("kprobe" in request) {
        (request.handlers as KprobeHandlers).pre?.(hit);
        continue;
      }
      const handlers = request.handlers as KretprobeHandlers;
      const instance = { entryTimestampNs: hit.timestampNs, data: undefined } as CallInstance;
      if (handlers.entry?.(hit, instance) === true) continue;
      returns.push(() => handlers.handler?.(this.#createHit(symbol, 0x908, 0), instance));
    }
    inside();
    for (const onReturn of returns) onReturn();
  }

  #createHit(symbol: string, sp: number, symbolOffset: number): Hit {
    this.#timeNs += 1000n;
    return {
      address: toAddress(0x1000 + symbol.charCodeAt(1) * 16 + symbolOffset),
      symbol,
      symbolOffset,
      module: "libf.so",
      thread: { id: 5, processId: 5, name: "x" },
      timestampNs: this.#timeNs,
      registers: { sp: BigInt(sp) },
      arg: (index: number) => BigInt(index),
      readCString: () => undefined,
      returnValue: 9n,
    } as unknown as Hit;
  }
}

/** Trace what `play` does, and give the text and the summary. */
async function trace(
  change: Partial<TraceSettings>,
  play: (session: FakeSession) => void | Promise<void>,
): Promise<{ text: string; summary: TraceSummary; session: FakeSession }> {
  const folder = mkdtempSync(join(tmpdir(), "trapline-test-"));
  const path = join(folder, "out");
  const fd = openSync(path, "w");
  try {
    const session = new FakeSession();
    const context = { onEvent: (): void => {} };
    const end = setup(session as unknown as Session, { ...SETTINGS, ...change, fd }, context);
    await play(session);
    const summary = (await end({ kind: "exited", code: 0 })) as TraceSummary;
    return { text: readFileSync(path, "utf8"), summary, session };
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
}

test("calls become lines and a summary", async () => {
  const { text, summary } = await trace({}, (session) => {
    session.call("fa", {}, () => session.call("fb", { sp: 0x800 }));
  });
  assert.equal(
    text,
    `    0.000000 fa(0, 0x1, 0x2, 0x3) {
    0.000001   fb(0, 0x1, 0x2, 0x3) = 0x9 <1.00us>
    0.000003 } fa = 0x9 <3.00us>
`,
  );
  assert.equal(summary.calls, 2);
  assert.equal(summary.functions, 2);
});

test("a function that two patterns match is traced once", async () => {
  const { text, summary } = await trace({ patterns: ["f*", "fa"] }, (session) =>
    session.call("fa"),
  );
  assert.equal(text.split("\n").length, 2);
  assert.equal(summary.calls, 1);
});

test("tracing stops after the limit, and a command of ours goes on being waited for", async () => {
  const play = async (session: FakeSession): Promise<void> => {
    for (let round = 0; round < 5; round++) session.call("fa");
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const launched = await trace({ callsMax: 2 }, play);
  assert.equal(launched.summary.calls, 2);
  assert.equal(launched.text.split("\n").length, 3);
  assert.deepEqual([launched.session.unregistered, launched.session.detached], [1, 0]);
  const attached = await trace({ callsMax: 2, isLaunched: false }, play);
  assert.deepEqual([attached.session.unregistered, attached.session.detached], [0, 1]);
});

test("an instruction inside a function is a point without arguments", async () => {
  const { text } = await trace({ patterns: ["fa+4"] }, (session) =>
    session.call("fa", { symbolOffset: 4 }),
  );
  assert.equal(text, "    0.000000 fa+0x4\n");
});

test("counting prints a table and no lines", async () => {
  const { text } = await trace({ counts: true }, (session) => {
    session.call("fa");
    session.call("fa");
  });
  assert.equal(
    text,
    `calls   total    mean     min     max  function
    2  2.00us  1.00us  1.00us  1.00us  libf.so:fa
    2  2.00us                          total
`,
  );
});
