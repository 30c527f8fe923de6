/**
 * Plans where the machine keeps the breakpoints by itself (KeptBreakpoints). A step is then made in
 * place, which is exact for every instruction; a copy still saves the second stop, but where faults
 * are the target's own business it must be one that cannot fault.
 */

import type { Arch, Instruction, Plan, PlanContext, Strategy } from "../arch/arch.ts";
import type { KeptBreakpoints } from "../machine/machine.ts";

/** Decide how the instruction will be executed. */
export function planKept(
  arch: Arch,
  instruction: Instruction,
  context: PlanContext,
  breakpoints: KeptBreakpoints,
): Plan {
  const plan = arch.plan(instruction, { ...context, force: undefined });
  if (plan.kind === "refuse") return plan;
  const objection = findObjection(arch, instruction, context, breakpoints);
  const others = plan.allowed.filter((one) => one !== "step");
  const allowed: readonly Strategy[] = [
    ...others.filter((one) => one !== "boost" || objection === undefined),
    "step",
  ];
  const strategy = context.force ?? (allowed[0] as Strategy);
  if (!allowed.includes(strategy)) {
    const detail = strategy === "boost" && objection !== undefined ? objection : plan.why;
    return { kind: "refuse", reason: "unsupported", detail: `cannot ${strategy}: ${detail}` };
  }
  const isFastest = strategy === "boost" || plan.strategy === strategy;
  const why = plan.why ?? objection;
  const asked = context.force === undefined ? why : `${strategy} was asked for`;
  return { ...plan, strategy, allowed, why: isFastest ? plan.why : asked };
}

/** Why a copy would not do, besides what the arch says of it; undefined where it would. */
function findObjection(
  arch: Arch,
  instruction: Instruction,
  context: PlanContext,
  breakpoints: KeptBreakpoints,
): string | undefined {
  if (context.wantsPost) return "a post handler needs a second stop, which a step in place has";
  return breakpoints.hidesFaults && arch.mayFault(instruction)
    ? "it may fault, which would show the address of the copy"
    : undefined;
}
