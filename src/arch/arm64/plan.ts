/**
 * Decide how a displaced instruction is executed. A strategy is allowed when it is exact:
 * registers, flags, memory, faults and pc are what the program would have had. The facts are
 * clauses of the specification and the Arm Architecture Reference Manual; the
 * differential suite holds them against QEMU.
 *
 * With a guarded control stack (GCS) a call is refused: its return address is pushed there, too,
 * and nobody but the processor may write it. A return is executed, never emulated.
 */

import type { Address } from "../../base/address.ts";
import { assertNever } from "../../base/errors.ts";
import type { CodeWindow, Instruction, Plan, PlanContext } from "../arch.ts";
import { choose, type Objections, refuse } from "../plan-choice.ts";
import { formOf } from "./decode.ts";
import { isInExclusiveSequence } from "./exclusives.ts";
import type { Form } from "./form.ts";
import type { FormKind } from "./form-kind.ts";

/** Decide how the instruction will be executed. */
export function plan(instruction: Instruction, context: PlanContext): Plan {
  const form = formOf(instruction);
  const refusal = findRefusal(instruction, form, context);
  if (refusal !== undefined) return refusal;

  const choice = choose(findObjections(form, context), form.kind === "nop", context);
  if (choice.kind === "refuse") return choice;
  return {
    ...choice,
    kind: "execute",
    // A multiple, gathering or repeated access that faults is begun anew.
    interruptible: false,
    // The way back from a copy is one branch, which changes no register.
    needsNearSlot: choice.strategy !== "emulate",
  };
}

/** What no strategy executes exactly. */
function findRefusal(instruction: Instruction, form: Form, context: PlanContext): Plan | undefined {
  if (context.shadowStack && isCall(form.kind)) {
    return refuse(
      "shadow-stack",
      "the program has a guarded control stack, which gets the right return address from the call in its place only",
    );
  }
  const detail = whyNever(form.kind, instruction.address);
  if (detail !== undefined) return refuse("unsupported", detail);
  if (form.kind === "exclusive-load" || form.kind === "exclusive-store") {
    return refuse("exclusive", "a trap at it makes the store fail, and its sequence try for ever");
  }
  const { surroundings } = context;
  if (surroundings === undefined) return undefined;
  if (isInExclusiveSequence(surroundings, instruction.address)) {
    return refuse(
      "exclusive",
      "it lies between a load-exclusive and its store, which a trap there makes fail",
    );
  }
  if (followsModifier(surroundings, instruction.address)) {
    return refuse("unsupported", "the pacm before it makes it sign with its own address");
  }
  return undefined;
}

/** what is refused wherever it stands. */
function whyNever(kind: FormKind, address: Address): string | undefined {
  switch (kind) {
    case "exception":
      return "it calls a higher exception level or a debugger";
    case "exception-return":
      return "it returns from an exception, with state of which a trap has left nothing";
    case "undefined":
      return "it is undefined on purpose, and whoever handles that looks at where it is";
    case "system-call":
      return isKernelAddress(address) ? "a kernel's own system call is an exception" : undefined;
    case "interrupt-mask":
      return "it reads or writes a mask that is held while the copy runs";
    case "copy-sequence":
      return "a processor may take it up again at the instruction before it";
    case "transaction":
      return "a trap in a transaction ends it";
    case "pc-modifier":
      return "it changes what the next instruction does";
    case "signs-pc":
      return "it signs or authenticates with its own address";
    case "unlisted-hint":
      return "a hint without a meaning yet may have one on this processor";
    default:
      return undefined;
  }
}

const KERNEL_START = 1n << 63n;

function isKernelAddress(address: Address): boolean {
  return address >= KERNEL_START;
}

const PACM = 0xd503_24ff;

function followsModifier({ start, bytes }: CodeWindow, address: Address): boolean {
  const before = Number(address - start) - 4;
  if (before < 0 || before + 4 > bytes.length) return false;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(before, true) === PACM;
}

function isCall(kind: FormKind): boolean {
  return kind === "call" || kind === "call-indirect" || kind === "call-signed";
}

const notEmulated = "only what is relative to pc, branches and nops are emulated";
const isRelative = "it is relative to its own address";
const leavesSlot = "it leaves the slot by itself, so a trap after it is not reached";

function findObjections(form: Form, context: PlanContext): Objections {
  const ifPost = (objection: string): string | undefined =>
    context.wantsPost ? objection : undefined;
  switch (form.kind) {
    case "plain":
    case "clear-exclusive":
      return { boost: undefined, emulate: notEmulated, step: undefined };
    case "nop":
      return { boost: undefined, emulate: undefined, step: undefined };
    case "address":
    case "page-address":
    case "load-literal":
    case "load-literal-signed":
    case "load-literal-vector":
    case "prefetch-literal":
    case "jump":
    case "jump-if":
    case "jump-zero":
    case "jump-bit":
    case "jump-compare":
      return { boost: isRelative, emulate: undefined, step: isRelative };
    case "call":
      return {
        boost: "a call shows its own return address",
        emulate: undefined,
        step: isRelative,
      };
    case "call-indirect":
      return {
        boost: "a call shows its own return address",
        emulate: undefined,
        step: undefined,
      };
    case "call-signed":
      return {
        boost: "a call shows its own return address",
        emulate: "only the processor has the keys to authenticate with",
        step: undefined,
      };
    case "jump-indirect":
      return { boost: ifPost(leavesSlot), emulate: undefined, step: undefined };
    case "return":
      return {
        boost: ifPost(leavesSlot),
        emulate: context.shadowStack
          ? "the return address on the guarded control stack would stay there"
          : undefined,
        step: undefined,
      };
    case "jump-signed":
    case "return-signed":
      return {
        boost: ifPost(leavesSlot),
        emulate: "only the processor has the keys to authenticate with",
        step: undefined,
      };
    case "system-call":
      return {
        boost: "a system call shows its address, to filters and to a child",
        emulate: "only the target can make its system calls",
        step: undefined,
      };
    case "trap":
      // One trap could not be told from the other.
      return { boost: undefined, emulate: notEmulated, step: "it traps by itself" };
    case "debug-register":
      return {
        boost: undefined,
        emulate: notEmulated,
        step: "it may change the registers that stepping uses",
      };
    case "prefix":
      // A breakpoint may follow it, a branch may not (DDI 0487, C2.5.1).
      return {
        boost: context.wantsPost ? undefined : "the branch back must not follow it",
        emulate: notEmulated,
        step: undefined,
      };
    case "exception":
    case "exception-return":
    case "undefined":
    case "interrupt-mask":
    case "exclusive-load":
    case "exclusive-store":
    case "copy-sequence":
    case "transaction":
    case "pc-modifier":
    case "signs-pc":
    case "unlisted-hint":
      return { boost: "refused", emulate: "refused", step: "refused" };
    default:
      return assertNever(form.kind);
  }
}
