/**
 * How the returns of one function are caught in one process, and why: chosen for each target,
 * unless the session's options force one.
 */

import type { ReturnMechanism } from "../engine/open-call.ts";

/** What is asked for. */
export type WantedMechanism = "auto" | ReturnMechanism;

/** What the choice depends on. */
export interface ReturnContext {
  /** Name of the function, where it is known. */
  readonly symbol: string | undefined;
  readonly hasShadowStack: boolean;
}

export interface MechanismChoice {
  /** Undefined: the one that was asked for cannot be had. */
  readonly mechanism: ReturnMechanism | undefined;
  readonly why: string;
}

/**
 * Functions that keep their own return address and go there again, or let somebody else: those that
 * compilers know to return twice, and swapcontext.
 */
const RETURNS_TWICE = /^_*(libc_)?(setjmp|sigsetjmp|getcontext|swapcontext|savectx|vfork)$/;

const SITE =
  "it leaves the stack alone, so exceptions and backtraces work; calls from JIT code count as missed";
const SHADOW =
  "the program has a shadow stack, which ends it when a call returns to anywhere but where it came from";

/** Decide it. */
export function chooseReturnMechanism(
  wanted: WantedMechanism,
  context: ReturnContext,
): MechanismChoice {
  switch (wanted) {
    case "auto":
      return { mechanism: "site", why: context.hasShadowStack ? `${SITE}; ${SHADOW}` : SITE };
    case "site":
      return { mechanism: "site", why: "site was asked for" };
    case "trampoline":
      if (context.hasShadowStack) return { mechanism: undefined, why: SHADOW };
      if (context.symbol !== undefined && RETURNS_TWICE.test(context.symbol)) {
        const why = `${context.symbol} keeps its own return address, and a return there may come again`;
        return { mechanism: "site", why };
      }
      return { mechanism: "trampoline", why: "trampoline was asked for" };
  }
}
