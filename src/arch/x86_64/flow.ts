/** Where an instruction may go on: what calls, jumps and returns look like from outside. */

import { type Address, toAddress } from "../../base/address.ts";
import type { Flow, Instruction } from "../arch.ts";
import { formOf } from "./decode.ts";

const NEXT: Flow = { kind: "next" };
const AWAY: Flow = { kind: "away" };

/** See Arch.flow. */
export function flow(instruction: Instruction): Flow {
  const form = formOf(instruction);
  const target = (): Address => toAddress(form.value);
  switch (form.kind) {
    case "call":
      return { kind: "call", target: target() };
    case "call-indirect":
    case "call-far":
      return { kind: "call", target: undefined };
    case "jump":
    case "jcc":
    case "loop":
    case "jrcxz":
      return { kind: "jump", target: target() };
    case "jump-indirect":
      return { kind: "jump", target: undefined };
    case "return":
      return { kind: "return", popBytes: Number(form.value) };
    case "transfer":
    case "system-call":
    case "trap":
    case "transaction":
    case "enclave":
      return AWAY;
    default:
      return NEXT;
  }
}
