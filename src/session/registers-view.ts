/**
 * A hit's registers by name, over the stopped thread's register file. Writes reach the thread when
 * it is resumed.
 */

import type { Arch, RegisterLayout } from "../arch/arch.ts";
import { ToolError } from "../base/errors.ts";
import { encodeFloat, type FloatType, readFloat } from "../base/floats.ts";
import type { Thread } from "../machine/machine.ts";
import type { Registers } from "./api.ts";

class RegistersView {
  readonly layout: RegisterLayout;
  thread: Thread | undefined = undefined;
  private readonly arch: Arch;

  constructor(arch: Arch) {
    this.arch = arch;
    this.layout = arch.registers;
  }

  get(name: string): bigint {
    const part = this.layout.find(name.toLowerCase());
    if (part === undefined) return toWord(this.readExtended(name));
    const value = (this.stopped().registers[part.index] as bigint) >> BigInt(part.shiftBits);
    return BigInt.asUintN(part.widthBits, value);
  }

  set(name: string, value: bigint | number): void {
    const part = this.layout.find(name.toLowerCase());
    if (part === undefined) return this.writeWord(name, BigInt(value));
    const thread = this.stopped();
    const shift = BigInt(part.shiftBits);
    const mask = ((1n << BigInt(part.widthBits)) - 1n) << shift;
    const old = part.zeroExtends ? 0n : (thread.registers[part.index] as bigint) & ~mask;
    thread.registers[part.index] = old | ((BigInt.asUintN(64, BigInt(value)) << shift) & mask);
    thread.touchRegisters();
  }

  getFloat(name: string, type?: FloatType): number {
    const bytes = this.readExtended(name);
    const wanted = type ?? (bytes.length < 16 ? "long double" : "double");
    if ((wanted === "long double") !== bytes.length < 16) {
      throw new ToolError("usage", `${name} holds no ${wanted}`, {
        hint: "xmm registers hold a float or a double, st registers a long double",
      });
    }
    return readFloat(new DataView(bytes.buffer), 0, wanted);
  }

  setFloat(name: string, value: number, type: "float" | "double" = "double"): void {
    this.writeExtended(name, encodeFloat(value, type));
  }

  toObject(): Record<string, bigint> {
    const file = this.stopped().registers;
    return Object.fromEntries(
      this.layout.names.map((name, index) => [name, file[index] as bigint]),
    );
  }

  private readExtended(name: string): Uint8Array {
    const thread = this.stopped();
    this.sizeOf(name);
    const bytes = this.arch.extended.read(thread.saveExtended(), name.toLowerCase());
    if (bytes === undefined) throw new ToolError("usage", `${name} cannot be read here`);
    return bytes;
  }

  private writeWord(name: string, value: bigint): void {
    this.writeExtended(name, toBytes(value, this.sizeOf(name)));
  }

  private writeExtended(name: string, bytes: Uint8Array): void {
    const thread = this.stopped();
    this.sizeOf(name);
    const image = thread.saveExtended();
    if (!this.arch.extended.write(image, name.toLowerCase(), bytes)) {
      throw new ToolError("usage", `${name} cannot be written`, {
        hint: "general and xmm registers can be",
      });
    }
    thread.restoreExtended(image);
  }

  private sizeOf(name: string): number {
    const sizeBytes = this.arch.extended.sizeOf(name.toLowerCase());
    if (sizeBytes === undefined) throw this.unknown(name);
    return sizeBytes;
  }

  private unknown(name: string): ToolError {
    return new ToolError("usage", `no register ${name}`, {
      hint: `there are ${this.layout.names.join(" ")}, and xmm0 to xmm15 and st0 to st7`,
    });
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
export type RebindableRegisters = Registers & {
  thread: Thread | undefined;
  readonly layout: RegisterLayout;
};

function toWord(bytes: Uint8Array): bigint {
  return bytes.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
}

function toBytes(value: bigint, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) =>
    Number((value >> BigInt(8 * index)) & 0xffn),
  );
}

/** Make a view with one property per general register of the CPU. */
export function createRegistersView(arch: Arch): RebindableRegisters {
  const view = new RegistersView(arch);
  const layout = arch.registers;
  const define = (name: string, index: number): void => {
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () =>
        view.thread === undefined ? view.get(name) : (view.thread.registers[index] as bigint),
      set: (value: bigint | number) => view.set(name, value),
    });
  };
  layout.names.forEach(define);
  // On arm64 these are their own names, too.
  if (!layout.names.includes("pc")) define("pc", layout.pc);
  if (!layout.names.includes("sp")) define("sp", layout.sp);
  return view as unknown as RebindableRegisters;
}
