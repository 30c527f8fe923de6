/**
 * Functions under a kprobe and a return probe each, counted, and held against what the program
 * itself counted: `NAME entries` and `NAME returned returns` in its output.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { CallInstance, LaunchOptions, Probe, Session } from "../../../src/index.ts";
import { type Finish, launchProgram } from "../../support/programs.ts";

export type Mechanism = "site" | "trampoline";

export const MECHANISMS: readonly Mechanism[] = ["site", "trampoline"];

/** What came of one function. */
export interface Tally {
  readonly hits: number;
  readonly returned: number;
  readonly abandoned: number;
  readonly missed: number;
}

export class WatchedFunction {
  readonly name: string;
  readonly kprobe: Probe;
  readonly kretprobe: Probe;
  returned = 0;
  /** Most calls that were open, or not known to be over, at once. */
  openMax = 0;
  /** Values, as far as they were asked for. */
  readonly values: bigint[] = [];
  private readonly ended: Set<CallInstance> = new Set();

  constructor(session: Session, name: string, options: { readonly maxactive?: number } = {}) {
    this.name = name.replace(/^.*:/, "");
    this.kprobe = session.kprobe(name, { pre: () => {} });
    const end = (call: CallInstance): void => {
      assert.ok(!this.ended.has(call), "a call ends once");
      this.ended.add(call);
    };
    this.kretprobe = session.kretprobe(name, {
      ...options,
      entry: (hit, call) => {
        call.data = { name, sp: hit.registers.sp, argument: hit.arg(0) };
        const { hits, abandoned } = this.kretprobe;
        this.openMax = Math.max(this.openMax, hits - this.returned - abandoned);
      },
      handler: (hit, call) => {
        // A vfork child returns through its parent's call, too.
        if (hit.thread.id === call.thread.id) end(call);
        const { name: entered, sp } = call.data as { name: string; sp: bigint };
        assert.equal(entered, name);
        assert.equal(hit.registers.pc, call.returnAddress);
        assert.ok(hit.registers.sp > sp, "the stack pointer is above the return address");
        this.returned++;
        this.values.push(hit.returnValue);
      },
      abandoned: end,
    });
  }

  get tally(): Tally {
    const { hits, abandoned, missed } = this.kretprobe;
    return { hits, returned: this.returned, abandoned, missed };
  }

  get errors(): number {
    return this.kprobe.errors + this.kretprobe.errors;
  }
}

export interface Run extends Finish {
  readonly watched: readonly WatchedFunction[];
  tally(name: string): Tally;
}

/** Run a program with its functions watched; it has to print what it prints without probes. */
export async function runWatched(
  argv: readonly string[],
  names: readonly string[],
  options: LaunchOptions = {},
  probeOptions: { readonly maxactive?: number } = {},
): Promise<Run> {
  const errors: unknown[] = [];
  using program = launchProgram(argv, {
    onHandlerError: ({ error }) => void errors.push(error),
    ...options,
  });
  const watched = names.map((name) => new WatchedFunction(program.session, name, probeOptions));
  const finish = await program.finish();
  assert.deepEqual(errors, []);
  const plain = spawnSync(argv[0] as string, argv.slice(1), { encoding: "utf8" });
  assert.equal(finish.text, plain.stdout + plain.stderr, "the output is that without probes");
  return {
    ...finish,
    watched,
    tally: (name) => {
      const found = watched.find((one) => one.name === name);
      assert.ok(found !== undefined, name);
      return found.tally;
    },
  };
}

/**
 * Entries and returns are those that the program printed; what did not return is abandoned, and
 * nothing was missed.
 */
export function checkAsPrinted({ watched, counts, text }: Run): void {
  assert.match(text, /\nok\n$/);
  for (const one of watched) {
    const hits = counts.get(one.name);
    const returned = counts.get(`${one.name} returned`);
    assert.deepEqual(
      { name: one.name, ...one.tally, kprobe: one.kprobe.hits, errors: one.errors },
      {
        name: one.name,
        hits,
        returned,
        abandoned: hits - returned,
        missed: 0,
        kprobe: hits,
        errors: 0,
      },
    );
  }
}
