/**
 * A hit's registers by name, over the stopped thread's register file. Writes reach the thread when
 * it is resumed.
 */

import type { RegisterLayout } from "../arch/arch.ts";
import { ToolError } from "../base/errors.ts";
import type { Thread } from "../machine/machine.ts";
import type { Registers } from "./api.ts";

class RegistersView {
  readonly layout: RegisterLayout;
  thread: Thread | undefined = undefined;

  constructor(layout: RegisterLayout) {
    this.layout = layout;
  }

  get(name: string): bigint {
    const part = this.part(name);
    const value = (this.stopped().registers[part.index] as bigint) >> BigInt(part.shiftBits);
    return BigInt.asUintN(part.widthBits, value);
  }

  set(name: string, value: bigint | number): void {
    const part = this.part(name);
    const thread = this.stopped();
    const shift = BigInt(part.shiftBits);
    const mask = ((1n << BigInt(part.widthBits)) - 1n) << shift;
    const old = part.zeroExtends ? 0n : (thread.registers[part.index] as bigint) & ~mask;
    thread.registers[part.index] = old | ((BigInt.asUintN(64, BigInt(value)) << shift) & mask);
    thread.touchRegisters();
  }

  toObject(): Record<string, bigint> {
    const file = this.stopped().registers;
    return Object.fromEntries(
      this.layout.names.map((name, index) => [name, file[index] as bigint]),
    );
  }

  private part(name: string): NonNullable<ReturnType<RegisterLayout["find"]>> {
    const part = this.layout.find(name.toLowerCase());
    if (part === undefined) {
      throw new ToolError("usage", `no register ${name}`, {
        hint: `there are ${this.layout.names.join(" ")}`,
      });
    }
    return part;
  }

  private stopped(): Thread {
    if (this.thread === undefined) {
      throw new ToolError("usage", "a hit was used after its handler returned", {
        hint: "read what you need while the handler runs",
      });
    }
    return this.thread;
  }
}

/** A view that serves one thread at a time: set `thread` before it is handed out. */
export type RebindableRegisters = Registers & { thread: Thread | undefined };

/** Make a view with one property per register of the layout. */
export function createRegistersView(layout: RegisterLayout): RebindableRegisters {
  const view = new RegistersView(layout);
  const define = (name: string, index: number): void => {
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () =>
        view.thread === undefined ? view.get(name) : (view.thread.registers[index] as bigint),
      set: (value: bigint | number) => view.set(name, value),
    });
  };
  layout.names.forEach(define);
  define("pc", layout.pc);
  define("sp", layout.sp);
  return view as unknown as RebindableRegisters;
}
