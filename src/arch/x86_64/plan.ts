/**
 * Decide how a displaced instruction is executed. A strategy is allowed when it is exact:
 * registers, flags, memory, faults and pc are what the program would have had. The facts are
 * clauses of the specification and the Intel and AMD manuals; the differential tests
 * beside this file hold them against the processor.
 *
 * With a user shadow stack (CET) a call is refused: its return address is pushed there, too, and
 * nobody but the processor may write it, so that of a call anywhere else would not match. A return
 * is executed, never emulated.
 * LIMIT: in a kernel, `sti` holds interrupts off for one more instruction, which is then the jump
 * back.
 */

import { assertNever } from "../../base/errors.ts";
import type { Instruction, Plan, PlanContext } from "../arch.ts";
import { choose, type Objections, refuse } from "../plan-choice.ts";
import { formOf } from "./decode.ts";
import type { Form } from "./form.ts";

/** Decide how the instruction will be executed. */
export function plan(instruction: Instruction, context: PlanContext): Plan {
  const form = formOf(instruction);
  const refusal = findRefusal(form, context);
  if (refusal !== undefined) return refusal;

  const choice = choose(findObjections(form, context), form.kind === "nop", context);
  if (choice.kind === "refuse") return choice;
  return {
    ...choice,
    kind: "execute",
    interruptible: form.isInterruptible,
    needsNearSlot: form.reference !== undefined && !form.reference.wraps,
  };
}

/** What no strategy executes exactly. */
function findRefusal(form: Form, context: PlanContext): Plan | undefined {
  if (context.shadowStack && isCall(form)) {
    return refuse(
      "shadow-stack",
      "the program has a shadow stack, which gets the right return address from the call in its place only",
    );
  }
  if (form.kind === "shadow") {
    // A trap, and an interrupt, would come one instruction later than the displaced copy or too
    // early for the program's next one, which usually loads the stack pointer.
    return refuse("shadows-next", "mov ss holds traps off until after the next instruction");
  }
  if (form.kind === "enclave") {
    return refuse("unsupported", "enclu gives the enclave the address after it");
  }
  if (form.isVendorSpecific && form.kind !== "jump-indirect" && form.kind !== "return") {
    // Even the size differs: AMD reads rel16 where Intel reads rel32.
    return refuse(
      "unsupported",
      "Intel ignores prefix 66 on a near branch, AMD cuts its target to 16 bits",
    );
  }
  return undefined;
}

function isCall({ kind }: Form): boolean {
  return kind === "call" || kind === "call-indirect" || kind === "call-far";
}

const notEmulated = "only branches, calls, returns, pushes, pops and nops are emulated";
const keepsShadow = "the return address on the shadow stack would stay there";
const leavesSlot = "it leaves the slot by itself, so a trap after it is not reached";

function findObjections(form: Form, context: PlanContext): Objections {
  const ifPost = (objection: string): string | undefined =>
    context.wantsPost ? objection : undefined;
  switch (form.kind) {
    case "plain":
      return { boost: undefined, emulate: notEmulated, step: undefined };
    case "popf":
      return {
        boost: "a trap flag that it loads would trap at the jump back",
        emulate: notEmulated,
        step: undefined,
      };
    case "nop":
    case "lea-pc":
    case "push":
    case "pop":
    case "leave":
    case "pushf":
      return { boost: undefined, emulate: undefined, step: undefined };
    case "call":
    case "call-indirect":
      return { boost: "a call pushes its own return address", emulate: undefined, step: undefined };
    case "call-far":
      return {
        boost: "a call pushes its own return address",
        emulate: "a far call loads a segment",
        step: undefined,
      };
    case "jump":
    case "jcc":
    case "loop":
    case "jrcxz":
      return {
        boost: "its target is relative to its own address",
        emulate: form.isRepeatedLoop ? "Intel and AMD differ on a repeat prefix here" : undefined,
        step: undefined,
      };
    case "jump-indirect":
    case "return":
      return {
        boost: ifPost(leavesSlot),
        emulate: whyNotEmulated(form, context),
        step: undefined,
      };
    case "transfer":
      return { boost: ifPost(leavesSlot), emulate: notEmulated, step: undefined };
    case "system-call":
      return {
        boost: "a system call shows its return address, to the program or to a child",
        emulate: "only the target can make its system calls",
        step: undefined,
      };
    case "trap":
      // One trap could not be told from the other.
      return { boost: undefined, emulate: notEmulated, step: "it traps by itself" };
    case "transaction":
      return {
        boost: ifPost("a trap inside a transaction aborts it"),
        emulate: notEmulated,
        step: "a trap inside a transaction aborts it",
      };
    case "x87":
      return {
        boost: "the x87 unit records its address",
        emulate: notEmulated,
        step: undefined,
      };
    case "shadow":
    case "enclave":
      return { boost: "refused", emulate: "refused", step: "refused" };
    default:
      return assertNever(form.kind);
  }
}

function whyNotEmulated(form: Form, context: PlanContext): string | undefined {
  if (form.isVendorSpecific) return "Intel and AMD differ on prefix 66 here";
  return context.shadowStack && form.kind === "return" ? keepsShadow : undefined;
}
