/**
 * Sixteen threads on one probed function, while other probes come and go: no hit of the counted
 * probes is lost, and none is seen twice (K-08, K-10, K-11).
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LaunchOptions, Probe, Session } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const CALLS_PER_THREAD = 150;

/** A seed from the environment is taken instead, to see a failure again. */
const SEED = Number(process.env["TRAPLINE_TEST_SEED"] ?? 20_240_607);

/** Numbers from 0 to 1 (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Adds, disables, enables and removes probes of its own at random. */
class Churn {
  changes = 0;
  private readonly session: Session;
  private readonly random: () => number;
  private readonly places: readonly string[];
  private probes: Probe[] = [];

  constructor(session: Session, seed: number, places: readonly string[]) {
    this.session = session;
    this.random = seeded(seed);
    this.places = places;
  }

  change(): void {
    this.changes++;
    const what = this.random();
    const probe = this.pick(this.probes);
    if (what < 0.4 || probe === undefined) {
      if (this.probes.length < 12) this.probes.push(this.add());
    } else if (what < 0.6) {
      probe.disable();
    } else if (what < 0.7) {
      probe.enable();
    } else {
      probe.unregister();
      this.probes = this.probes.filter((other) => other !== probe);
    }
  }

  /** As change(), but only now and then. */
  maybeChange(): void {
    if (this.random() < 0.05) this.change();
  }

  private add(): Probe {
    const place = this.pick(this.places) as string;
    const kind = this.random();
    const maybeChange = (): void => this.maybeChange();
    if (kind < 0.3 && !place.includes("+")) {
      return this.session.kretprobe(place, { entry: maybeChange, handler: maybeChange });
    }
    if (kind < 0.6) return this.session.kprobe(place, { pre: maybeChange, post: maybeChange });
    return this.session.kprobe(place, { pre: maybeChange });
  }

  private pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }
}

const MODES: readonly (readonly [string, LaunchOptions])[] = [
  ["default", {}],
  ["forced step", { strategy: "step" }],
  ["trampoline", { returnMechanism: "trampoline" }],
];

describe("sixteen threads", { skip: needsGcc }, () => {
  MODES.forEach(([name, options], index) => {
    test(`K-10 every call of a hammered function is a hit while other probes come and go, ${name}`, async () => {
      const seed = SEED + index;
      const warnings: string[] = [];
      using program = launchProgram([build("threads16.c"), String(CALLS_PER_THREAD)], {
        ...options,
        onEvent: (event) => {
          if (event.kind === "warning") warnings.push(event.message);
        },
      });
      const { session } = program;
      const first = session.check("hammered")[0]?.bytes.length ?? 0;
      const second = first + (session.check(`hammered+${first}`)[0]?.bytes.length ?? 0);
      const churn = new Churn(session, seed, [
        "hammered",
        `hammered+${first}`,
        `hammered+${second}`,
        "other",
        "libc:nanosleep",
        "libc:clock_nanosleep",
      ]);
      const returned = { hammered: 0, other: 0 };
      const entry = session.kprobe("hammered", { pre: () => churn.maybeChange() });
      const inside = session.kprobe(`hammered+${first}`, { post: () => churn.maybeChange() });
      const call = session.kretprobe("hammered", { handler: () => void returned.hammered++ });
      const other = session.kprobe("other", { pre: () => churn.change() });
      const otherCall = session.kretprobe("other", { handler: () => void returned.other++ });
      const { status, text, counts } = await program.finish();

      const told = `with seed ${seed}, after ${churn.changes} changes`;
      assert.deepEqual(
        { status, warnings },
        { status: { kind: "exited", code: 0 }, warnings: [] },
        told,
      );
      const seen = {
        ok: text.endsWith("\nok\n"),
        hammered: [entry.hits, inside.hits, call.hits, returned.hammered],
        other: [other.hits, otherCall.hits, returned.other],
        missed: [entry, inside, call, other, otherCall].map((probe) => probe.missed),
        errors: session.probes.map((probe) => probe.errors).filter((count) => count > 0),
      };
      const calls = counts.get("hammered");
      assert.equal(calls, 16 * CALLS_PER_THREAD);
      assert.deepEqual(
        seen,
        {
          ok: true,
          hammered: [calls, calls, calls, calls],
          other: [50, 50, 50],
          missed: [0, 0, 0, 0, 0],
          errors: [],
        },
        `${told}, got ${JSON.stringify(seen)}`,
      );
      assert.ok(churn.changes > 100);
    });
  });

  test("a probe that is put on another function in the middle sees all calls from then on", async () => {
    using program = launchProgram([build("threads16.c"), String(CALLS_PER_THREAD)]);
    const { session } = program;
    let other: Probe | undefined;
    let first = -1;
    const hammered = session.kprobe("hammered", {
      pre: () => {
        if (hammered.hits !== 700) return;
        other = session.kprobe("other", {
          pre: (hit) => {
            if (first < 0) first = Number(hit.arg(0));
          },
        });
      },
    });
    const { status, counts } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.equal(hammered.hits, counts.get("hammered"));
    assert.ok(other);
    // other(n) is called with n from 0 to 49; where the first hit was, all later ones were too.
    assert.equal(other.hits, first < 0 ? 0 : 50 - first);
    assert.equal(other.missed, 0);
  });

  test("many threads end while their calls are open", async () => {
    using program = launchProgram([build("threads16.c"), "400"]);
    const { session } = program;
    const hammered = session.kprobe("hammered", {
      pre: (hit) => {
        // Sixteen threads and the main one: the whole program goes down with stops on the way.
        if (hammered.hits === 500) process.kill(hit.thread.processId, "SIGKILL");
      },
      post: () => {},
    });
    session.kretprobe("hammered", { handler: () => {} });
    const { status } = await program.finish();
    assert.deepEqual(status, { kind: "killed", signal: 9, signalName: "SIGKILL" });
    assert.ok(hammered.hits >= 500);
  });
});
