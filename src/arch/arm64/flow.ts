/** Where an instruction may go on: what calls, jumps and returns look like from outside. */

import type { Flow, Instruction } from "../arch.ts";
import { formOf } from "./decode.ts";

const NEXT: Flow = { kind: "next" };

/** See Arch.flow. */
export function flow(instruction: Instruction): Flow {
  const { kind, target } = formOf(instruction);
  switch (kind) {
    case "call":
      return { kind: "call", target };
    case "call-indirect":
    case "call-signed":
      return { kind: "call", target: undefined };
    case "jump":
    case "jump-if":
    case "jump-zero":
    case "jump-bit":
    case "jump-compare":
      return { kind: "jump", target };
    case "jump-indirect":
    case "jump-signed":
    case "exception-return":
      return { kind: "jump", target: undefined };
    case "return":
    case "return-signed":
      return { kind: "return", popBytes: 0 };
    case "signs-pc":
      // Of these, retaasppc and retabsppc.
      return formOf(instruction).name.startsWith("ret") ? { kind: "return", popBytes: 0 } : NEXT;
    default:
      return NEXT;
  }
}
