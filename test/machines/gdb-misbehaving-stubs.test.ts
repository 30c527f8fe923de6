/**
 * Stubs that misbehave, in ways that have names and at random: no hang, no crash, one clear line;
 * and wherever it can still be reached the target runs on without breakpoints of ours.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { toAddress } from "../../src/base/address.ts";
import { ToolError } from "../../src/base/errors.ts";
import { MISBEHAVIOURS } from "./support/misbehaviours.ts";
import { CODE, DATA, type StubState } from "./support/scripted-stub.ts";
import { CountingHooks, StubBench } from "./support/stub-bench.ts";
import type { StubRequest } from "./support/stub-worker.ts";

/** Any answer is late after this; what is done for the target afterwards has its own limit. */
const REPLY_TIME_MS = 400;
const TIME_MS_MAX = 12_000;
const HITS = 6;
const FUZZ_SEEDS = 16;

let host: StubHost;

describe("a stub that misbehaves", () => {
  before(() => {
    host = new StubHost();
  });
  after(() => host.end());

  it("one that does not is served", async () => {
    await using stub = await Stub.start(undefined, undefined);
    use(stub.address);
    const state = await stub.state();
    assert.deepEqual([state.breakpoints, state.isDetached, state.connections], [0, true, 1]);
  });

  for (const [name, { expect, isLetGo }] of Object.entries(MISBEHAVIOURS)) {
    it(name, async () => {
      await using stub = await Stub.start(name, undefined);
      const startMs = performance.now();
      if (expect === undefined) {
        use(stub.address);
      } else {
        const error = catchToolError(() => use(stub.address));
        assert.ok(
          [expect.code, expect.orCode].includes(error.code),
          `${error.code}: ${error.message}`,
        );
        assert.match(error.message, expect.text);
        assertOneLine(error);
      }
      assert.ok(performance.now() - startMs < TIME_MS_MAX);
      const state = await stub.state();
      if (expect !== undefined && isLetGo !== true) return;
      assert.deepEqual(
        { breakpoints: state.breakpoints, isRunning: state.isRunning },
        { breakpoints: 0, isRunning: true },
        state.requests.slice(-8).join(" "),
      );
    });
  }

  it("answers spoiled at random end in an error of the tool, or in nothing worse", async () => {
    for (let seed = 1; seed <= FUZZ_SEEDS; seed++) {
      await using stub = await Stub.start(undefined, seed);
      const startMs = performance.now();
      try {
        use(stub.address);
      } catch (error) {
        assert.ok(error instanceof ToolError, `seed ${seed}: ${(error as Error).stack}`);
        assertOneLine(error);
      }
      assert.ok(performance.now() - startMs < TIME_MS_MAX, `seed ${seed} took too long`);
    }
  });
});

/**
 * What a session does: connect, probe, be hit with and without a second stop, read, and leave.
 * Throws the first error, having left all the same.
 */
function use(address: string): void {
  const room = [{ start: toAddress(0x4000), sizeBytes: 4096 }];
  const bench = new StubBench({ address, room, replyTimeMsMax: REPLY_TIME_MS });
  let failure: unknown;
  try {
    const boosted = bench.probe(toAddress(CODE));
    const stepped = new CountingHooks();
    stepped.wantsPost = true;
    bench.probe(toAddress(CODE + 1), stepped);
    const text = new Uint8Array(64);
    boosted.onPre = () => {
      assert.ok(bench.machine.space.read(toAddress(DATA), text));
      assert.equal(Buffer.from(text.subarray(0, 9)).toString(), "some text");
    };
    const isDone = (): boolean => boosted.pres >= HITS && stepped.posts >= HITS;
    bench.serveUntil("hits", () => isDone() || !bench.machine.live, TIME_MS_MAX);
    // Nobody hits anything now, and the target has to be stopped to be read.
    boosted.enabled = false;
    stepped.enabled = false;
    for (const site of bench.target.sites.values()) bench.target.refresh(site);
    bench.engine.turn(10);
    bench.machine.space.read(toAddress(DATA), text);
  } catch (error) {
    failure = error;
  }
  try {
    bench.detach();
  } catch (error) {
    failure ??= error;
  }
  if (failure !== undefined) throw failure;
}

function catchToolError(run: () => void): ToolError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ToolError, (error as Error).stack);
    return error;
  }
  throw new Error("nothing was thrown");
}

function assertOneLine(error: ToolError): void {
  assert.ok(!error.message.includes("\n") && error.message.length < 250, error.message);
}

/** The worker that all stubs of this file run in. */
class StubHost {
  private readonly worker: Worker;

  constructor() {
    const source = `import { register } from ${JSON.stringify(import.meta.resolve("tsx/esm/api"))};
register();
await import(${JSON.stringify(new URL("./support/stub-worker.ts", import.meta.url).href)});`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    this.worker = new Worker(url, { execArgv: [] });
  }

  ask(request: StubRequest): Promise<unknown> {
    const answer = new Promise((resolve) => this.worker.once("message", resolve));
    this.worker.postMessage(request);
    return answer;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }
}

/** A scripted stub. */
class Stub {
  readonly address: string;
  private readonly path: string;
  private readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, "stub");
    this.address = `unix:${this.path}`;
  }

  static async start(misbehaviour: string | undefined, seed: number | undefined): Promise<Stub> {
    const stub = new Stub(mkdtempSync(join(tmpdir(), "trapline-stub-")));
    await host.ask({ kind: "start", path: stub.path, misbehaviour, seed });
    return stub;
  }

  async state(): Promise<StubState> {
    return (await host.ask({ kind: "state", path: this.path })) as StubState;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await host.ask({ kind: "stop", path: this.path });
    rmSync(this.folder, { recursive: true, force: true });
  }
}
