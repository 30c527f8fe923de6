/**
 * One form through all its runs: unprobed, then with a probe on it in every way that the plan
 * allows, with and without a post handler. A way differs from another by what forces its strategy,
 * which is a property of the engine's target: so there is one target for each.
 */

import type { Strategy } from "../../src/arch/arch.ts";
import { FLAG_RF, RFLAGS } from "../../src/arch/x86_64/registers.ts";
import { x86_64 } from "../../src/arch/x86_64/x86_64.ts";
import { toAddress } from "../../src/base/address.ts";
import { ToolError } from "../../src/base/errors.ts";
import type { Hooks, Site } from "../../src/engine/site.ts";
import { Target } from "../../src/engine/target.ts";
import { stateOf } from "../../src/engine/thread-state.ts";
import { compare, compareRegisters } from "./compare.ts";
import type { Form } from "./forms.ts";
import type { Random } from "./random.ts";
import type { Outcome, Scratch } from "./scratch.ts";
import { makeTrial, type Trial } from "./states.ts";

const FLAG_ID = 0x20_0000n;
const FLAG_RF_BITS = BigInt(FLAG_RF);

/** A way to execute a probed instruction. */
export interface Way {
  readonly strategy: Strategy;
  readonly hasPost: boolean;
}

/** What one way showed. */
export interface WayResult {
  readonly way: Way;
  readonly differences: readonly string[];
}

export interface FormResult {
  readonly form: Form;
  readonly text: string;
  /** The bytes that were run. */
  readonly bytes: Uint8Array;
  readonly unprobed: Outcome;
  readonly ways: readonly WayResult[];
  readonly refusal: { readonly reason: string; readonly detail: string } | undefined;
}

export function wayName(way: Way): string {
  return way.hasPost ? `${way.strategy} + post` : way.strategy;
}

/** Targets of one process, by the strategy that they force. */
export class Runner {
  private readonly scratch: Scratch;
  private readonly targets: Map<Strategy | undefined, Target> = new Map();

  constructor(scratch: Scratch) {
    this.scratch = scratch;
  }

  /** Run a form in every way. A process that is no longer usable afterwards says so itself. */
  run(form: Form, random: Random): FormResult {
    const { scratch } = this;
    const trial = makeTrial(form, scratch.ground, random);
    scratch.place(trial);
    this.use(undefined);
    const unprobed = scratch.run(trial);
    const found = scratch.isUsable ? this.inspect(trial) : undefined;
    const ways: WayResult[] = [];
    if (found?.kind === "site") {
      for (const way of findWays(found.site, random)) {
        if (!scratch.isUsable) break;
        ways.push({ way, differences: this.runProbed(trial, way, unprobed) });
      }
    }
    scratch.clear(trial);
    return {
      form,
      text: x86_64.decode(trial.bytes, toAddress(trial.address))?.text ?? "no instruction",
      bytes: trial.bytes,
      unprobed,
      ways,
      refusal: found?.kind === "refused" ? found : undefined,
    };
  }

  private inspect(
    trial: Trial,
  ):
    | { readonly kind: "site"; readonly site: Site }
    | { readonly kind: "refused"; readonly reason: string; readonly detail: string } {
    const target = this.use(undefined);
    const address = toAddress(trial.address);
    try {
      const site = target.site(address, undefined);
      target.sites.delete(address);
      return { kind: "site", site };
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      const detail = error.message.replace(/^.*\): |^[^:]*: /, "").replace(/ \[.*/, "");
      return { kind: "refused", reason: String(error.details["reason"]), detail };
    }
  }

  private runProbed(trial: Trial, way: Way, unprobed: Outcome): string[] {
    const { scratch } = this;
    const target = this.use(way.strategy);
    const address = toAddress(trial.address);
    const seen = new Seen(way.hasPost);
    let site: Site;
    try {
      site = target.site(address, undefined);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      return [`refused though it is allowed: ${error.message}`];
    }
    target.addHooks(site, seen);
    const actual = scratch.run(trial);
    if (scratch.isUsable) target.removeHooks(site, seen);
    target.sites.delete(address);
    const { layout } = scratch.ground;
    return [
      ...compare(trial, layout, unprobed, actual),
      ...this.judge(trial, seen, unprobed),
      ...scratch.warnings.splice(0),
    ];
  }

  /** What handlers saw, and how the engine stands afterwards. */
  private judge(trial: Trial, seen: Seen, unprobed: Outcome): string[] {
    const found: string[] = [];
    if (seen.preCount !== 1) found.push(`pre ran ${seen.preCount} times`);
    if (seen.missCount !== 0) found.push(`${seen.missCount} missed`);
    const before = trial.registers.slice();
    // What no tracer can set stays as an earlier trial left it.
    before[RFLAGS] = (before[RFLAGS] as bigint) | ((seen.before[RFLAGS] as bigint) & FLAG_ID);
    for (const one of compareRegisters(trial, before, seen.before)) {
      found.push(`shown before: ${one}`);
    }
    if (seen.wantsPost) {
      const expectedCount = unprobed.end === "landing" ? 1 : 0;
      // A branch to where nothing is has been done when the fault comes.
      const isFaultElsewhere = unprobed.end === "signal" && seen.postCount === 1;
      if (seen.postCount !== expectedCount && !isFaultElsewhere) {
        found.push(`post ran ${seen.postCount} times`);
      } else if (seen.postCount === 1) {
        const after = unprobed.registers.slice();
        // A fault sets the resume flag in what its handler is shown.
        if (unprobed.end === "signal") after[RFLAGS] = (after[RFLAGS] as bigint) & ~FLAG_RF_BITS;
        for (const one of compareRegisters(trial, after, seen.after)) {
          found.push(`shown after: ${one}`);
        }
      }
    }
    const { thread } = this.scratch;
    if (thread.live) {
      const { phase, mode } = stateOf(thread);
      if (phase !== "idle" || mode !== "free") found.push(`the engine is ${phase}, ${mode}`);
    }
    return found;
  }

  /** Make the engine use the target that forces a strategy. */
  private use(force: Strategy | undefined): Target {
    const { engine, thread } = this.scratch;
    let target = this.targets.get(force);
    if (target === undefined) {
      target = new Target(thread.space, x86_64, force, () => {});
      this.targets.set(force, target);
    }
    engine.targets.set(thread.space, target);
    return target;
  }
}

/** A probe that looks. */
class Seen implements Hooks {
  readonly enabled = true;
  readonly wantsFault = false;
  readonly wantsPost: boolean;
  preCount = 0;
  postCount = 0;
  missCount = 0;
  before: BigUint64Array = new BigUint64Array(x86_64.registers.count);
  after: BigUint64Array = new BigUint64Array(x86_64.registers.count);

  constructor(wantsPost: boolean) {
    this.wantsPost = wantsPost;
  }

  pre(thread: { readonly registers: BigUint64Array }): boolean {
    this.preCount++;
    this.before = thread.registers.slice();
    return false;
  }

  post(thread: { readonly registers: BigUint64Array }): void {
    this.postCount++;
    this.after = thread.registers.slice();
  }

  fault(): boolean {
    return false;
  }

  miss(): void {
    this.missCount++;
  }
}

/** How often a post handler is tried where it changes nothing of the path. */
const POST_SAMPLE = 4;

/** Every strategy that the plan allows, and with a post handler each that then is. */
function findWays(site: Site, random: Random): readonly Way[] {
  const ways: Way[] = site.plan.allowed.map((strategy) => ({ strategy, hasPost: false }));
  for (const strategy of site.postPlan?.allowed ?? []) {
    // Only a boost has another tail; the others run the handler and nothing else changes.
    if (strategy === "boost" || random.oneIn(POST_SAMPLE)) ways.push({ strategy, hasPost: true });
  }
  return ways;
}
