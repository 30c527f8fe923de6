/**
 * A guest as the readers of guest memory want it: its RAM as physical memory, by reads of the
 * shared file, and the states of its vCPUs. QEMU's monitor shows no system registers of arm64, so
 * the states come over the stub, by the few packets that reading registers takes.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type Address, toAddress } from "../../src/base/address.ts";
import type { CpuState } from "../../src/guest/cpu-state.ts";
import type { PhysicalAddress, PhysicalMemory } from "../../src/guest/memory.ts";
import type { Guest } from "./guest.ts";

export class SharedRam implements PhysicalMemory {
  /** Reads so far, which over a stub would be packets. */
  readCount = 0;
  readonly #fd: number;
  readonly #base: number;
  readonly #sizeBytes: number;

  constructor(guest: Guest) {
    this.#fd = openSync(guest.memoryPath, "r");
    this.#base = guest.memoryBase;
    this.#sizeBytes = guest.memorySizeBytes;
  }

  read(address: PhysicalAddress, target: Uint8Array): boolean {
    const at = address - this.#base;
    this.readCount += 1;
    if (at < 0 || at + target.length > this.#sizeBytes) return false;
    return readSync(this.#fd, target, 0, target.length, at) === target.length;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** A vCPU of a stopped guest. */
export interface StoppedCpu {
  readonly state: CpuState;
  /** By the stub's names. */
  readonly registers: ReadonlyMap<string, bigint>;
}

/** Stop the guest for as long as `look` takes, and let it run again. */
export async function whileStopped<T>(
  guest: Guest,
  look: (cpus: readonly StoppedCpu[]) => T | Promise<T>,
): Promise<T> {
  const stub = await Stub.connect(guest.gdbPath);
  try {
    const names = await stub.readNames();
    const cpus: StoppedCpu[] = [];
    for (const thread of await stub.listThreads()) {
      const registers = await stub.readRegisters(thread, names);
      cpus.push({ state: makeState(guest, registers), registers });
    }
    return await look(cpus);
  } finally {
    await stub.detach();
  }
}

/** All that a kernel is found by, but for memory, and what tells who runs. */
const WANTED: readonly RegExp[] = [
  /^(rip|rsp|rbp|eflags|cs|cr0|cr3|cr4|gs_base|k_gs_base)$/,
  /^(pc|sp|x29|x30|cpsr|TTBR0_EL1|TTBR1_EL1|TCR_EL1|SCTLR(_EL1)?|SP_EL0|VBAR(_EL1)?)$/,
];

function makeState(guest: Guest, registers: ReadonlyMap<string, bigint>): CpuState {
  const get = (name: string): bigint => {
    const value = registers.get(name);
    if (value === undefined) throw new Error(`the stub tells no ${name}`);
    return value;
  };
  const at = (name: string): Address => toAddress(get(name));
  if (guest.arch === "amd64") {
    return {
      arch: "x86_64",
      pc: at("rip"),
      sp: at("rsp"),
      cr0: get("cr0"),
      cr3: get("cr3"),
      cr4: get("cr4"),
      privilege: Number(get("cs") & 3n),
      gsBase: at("gs_base"),
      kernelGsBase: at("k_gs_base"),
    };
  }
  return {
    arch: "arm64",
    pc: at("pc"),
    sp: at("sp"),
    ttbr0: get("TTBR0_EL1"),
    ttbr1: get("TTBR1_EL1"),
    tcr: get("TCR_EL1"),
    sctlr: registers.get("SCTLR_EL1") ?? registers.get("SCTLR"),
    cpsr: Number(get("cpsr")),
    spEl0: at("SP_EL0"),
  };
}

/** Names of registers with their numbers. */
type Names = ReadonlyMap<string, number>;

class Stub {
  readonly #socket: Socket;
  #text = "";
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (piece: string) => {
      this.#text += piece;
      this.#wake?.();
    });
    socket.on("close", () => this.#wake?.());
    socket.on("error", () => undefined);
  }

  static async connect(path: string): Promise<Stub> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const stub = new Stub(socket);
    // It stops the guest and says so, unless the guest was stopped; both are behind us by this.
    await stub.ask("qSupported:multiprocess+", /PacketSize/);
    return stub;
  }

  async readNames(): Promise<Names> {
    const target = await this.#readDescription("target.xml");
    const parts = [...target.matchAll(/<xi:include href="([^"]+)"/g)].map(([, name]) => name);
    const names = new Map<string, number>();
    let next = 0;
    for (const part of parts) {
      const text = (await this.#readDescription(part ?? "")).replace(/<!--[\s\S]*?-->/g, "");
      for (const [, attributes] of text.matchAll(/<reg\s([^>]*)>/g)) {
        const get = (name: string): string | undefined =>
          new RegExp(`\\b${name}="([^"]*)"`).exec(attributes ?? "")?.[1];
        const number = Number(get("regnum") ?? next);
        next = number + 1;
        const name = get("name") ?? "";
        if (WANTED.some((pattern) => pattern.test(name))) names.set(name, number);
      }
    }
    return names;
  }

  async listThreads(): Promise<readonly string[]> {
    const threads: string[] = [];
    for (let packet = "qfThreadInfo"; ; packet = "qsThreadInfo") {
      const reply = await this.ask(packet, /^[ml]/);
      if (reply.startsWith("l")) return threads;
      threads.push(...reply.slice(1).split(","));
    }
  }

  async readRegisters(thread: string, names: Names): Promise<ReadonlyMap<string, bigint>> {
    await this.ask(`Hg${thread}`, /^OK$/);
    const values = new Map<string, bigint>();
    for (const [name, number] of names) {
      const reply = await this.ask(`p${number.toString(16)}`, /^([0-9a-f]{2})+$/);
      const bytes = reply.match(/../g) ?? [];
      values.set(name, BigInt(`0x${bytes.reverse().join("")}`));
    }
    return values;
  }

  /** Let the guest run. */
  async detach(): Promise<void> {
    await this.ask("D;1", /^OK$/);
    this.#socket.destroy();
  }

  /** Replies that do not match are of something else, such as the stop at the beginning. */
  async ask(packet: string, expected: RegExp): Promise<string> {
    const sum = [...packet].reduce((total, char) => (total + char.charCodeAt(0)) & 255, 0);
    this.#socket.write(`$${packet}#${sum.toString(16).padStart(2, "0")}`, "latin1");
    const deadline = performance.now() + 10_000;
    while (performance.now() < deadline && !this.#socket.destroyed) {
      const match = /\$([^#]*)#../.exec(this.#text);
      if (match === null) {
        await this.#nextPiece();
        continue;
      }
      this.#text = this.#text.slice(match.index + match[0].length);
      if (expected.test(match[1] ?? "")) return match[1] ?? "";
    }
    throw new Error(`the stub did not answer ${packet}`);
  }

  async #readDescription(name: string): Promise<string> {
    let text = "";
    for (;;) {
      const offset = text.length.toString(16);
      const reply = await this.ask(`qXfer:features:read:${name}:${offset},ffb`, /^[ml]/);
      text += reply.slice(1);
      if (reply.startsWith("l")) return text;
    }
  }

  #nextPiece(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 100);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
