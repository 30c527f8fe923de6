/**
 * What the plans of all architectures share: of the strategies that are exact, which one it is, and
 * why no faster one. Which are exact is each architecture's own.
 */

import { assertNever } from "../base/errors.ts";
import type { Plan, PlanContext, RefusalReason, Strategy } from "./arch.ts";

/** For each strategy why it is not exact here, or undefined where it is. */
export interface Objections {
  readonly boost: string | undefined;
  readonly emulate: string | undefined;
  readonly step: string | undefined;
}

/** A plan, but for what only the architecture knows of the strategy. */
export interface Choice {
  readonly kind: "choice";
  readonly strategy: Strategy;
  readonly allowed: readonly Strategy[];
  readonly why: string | undefined;
}

/**
 * Choose among what is exact, or refuse.
 * @param context what is asked for: a strategy, a post handler.
 */
export function choose(
  objections: Objections,
  isNop: boolean,
  context: Pick<PlanContext, "force" | "wantsPost">,
): Choice | Extract<Plan, { readonly kind: "refuse" }> {
  const { force, wantsPost } = context;
  const allowed = orderOfPreference(isNop, wantsPost).filter(
    (strategy) => objections[strategy] === undefined,
  );
  const preferred = allowed[0];
  if (preferred === undefined) {
    return refuse("unsupported", objections.boost ?? "no strategy is exact");
  }
  const strategy = force ?? preferred;
  if (!allowed.includes(strategy)) {
    return refuse("unsupported", `cannot ${strategy}: ${objections[strategy]}`);
  }
  const why =
    strategy === preferred
      ? whyNotFaster(strategy, objections, isNop, wantsPost)
      : `${strategy} was asked for`;
  return { kind: "choice", strategy, allowed, why };
}

/** No strategy will do. */
export function refuse(
  reason: RefusalReason,
  detail: string,
): Extract<Plan, { readonly kind: "refuse" }> {
  return { kind: "refuse", reason, detail };
}

/** One stop a hit before two; of equals the processor's own work before ours. */
function orderOfPreference(isNop: boolean, wantsPost: boolean): readonly Strategy[] {
  // A nop needs no slot. With a post handler a boost traps twice, an emulation once.
  if (isNop || wantsPost) return ["emulate", "boost", "step"];
  return ["boost", "emulate", "step"];
}

/** L-05: why the preferred strategy is not a faster one; undefined where there is none. */
function whyNotFaster(
  strategy: Strategy,
  objections: Objections,
  isNop: boolean,
  wantsPost: boolean,
): string | undefined {
  switch (strategy) {
    case "boost":
      return wantsPost ? `a post handler needs a second stop: ${objections.emulate}` : undefined;
    case "emulate":
      return isNop ? undefined : objections.boost;
    case "step":
      return `${objections.boost}; ${objections.emulate}`;
    default:
      return assertNever(strategy);
  }
}
