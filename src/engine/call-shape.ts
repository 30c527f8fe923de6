/**
 * What a function's code says of how calls of it end: how much its `ret` takes off the stack, and
 * whether it can go on in another function by a jump. Read once for each site, when first asked.
 */

import type { Flow, Instruction } from "../arch/arch.ts";
import { type Address, addOffset } from "../base/address.ts";
import type { Site } from "./site.ts";
import type { Target } from "./target.ts";

/** Code looked at where the function's end is not known, and at most. */
const CODE_BYTES_MAX = 4096;
/** A call is 2 to 8 bytes, with one prefix and REX. */
const CALL_SIZES_BYTES = [5, 2, 3, 6, 7, 4, 8] as const;
const RET_IMM16 = 0xc2;

interface Leaving {
  /** Where direct jumps out of the function go. */
  readonly targets: ReadonlySet<bigint>;
  /** It can leave by a jump: there are such targets, a jump through a register, or unread code. */
  readonly isPossible: boolean;
}

export class CallShapes {
  private readonly target: Target;
  private readonly pops: WeakMap<Site, number> = new WeakMap();
  private readonly leavings: WeakMap<Site, Leaving> = new WeakMap();

  constructor(target: Target) {
    this.target = target;
  }

  /**
   * Bytes that the function at the site takes off the stack when it returns, besides the return
   * address. LIMIT: 0 for one that ends in a tail call only, or is read no further than 4 KiB.
   */
  popBytes(site: Site): number {
    let popBytes = this.pops.get(site);
    if (popBytes === undefined) {
      popBytes = this.readPopBytes(site);
      this.pops.set(site, popBytes);
    }
    return popBytes;
  }

  private readPopBytes(site: Site): number {
    const code = this.readCode(site);
    if (!mayPop(code)) return 0;
    // All returns of a function take off the same.
    for (const { flow } of this.walk(site, code)) {
      if (flow.kind === "return") return flow.popBytes;
    }
    return 0;
  }

  /** Whether the function can go on in another by a jump, and so be the first of a tail call. */
  leavesByJump(site: Site): boolean {
    return this.leaving(site).isPossible;
  }

  /** Whether it has a jump to this address. */
  jumpsTo(site: Site, address: Address): boolean {
    return this.leaving(site).targets.has(address);
  }

  private leaving(site: Site): Leaving {
    let leaving = this.leavings.get(site);
    if (leaving === undefined) {
      leaving = this.readLeaving(site);
      this.leavings.set(site, leaving);
    }
    return leaving;
  }

  private readLeaving(site: Site): Leaving {
    const code = this.readCode(site);
    const end = addOffset(site.address, code.length);
    const isWhole = this.target.findFunction?.(site.address)?.end === end;
    const targets = new Set<bigint>();
    let isPossible = !isWhole;
    let next: Address = site.address;
    for (const { instruction, flow } of this.walk(site, code)) {
      next = addOffset(instruction.address, instruction.sizeBytes);
      if (flow.kind !== "jump") continue;
      const { target } = flow;
      const isInside = target !== undefined && target > site.address && target < end;
      if (target !== undefined && !isInside) targets.add(target);
      isPossible ||= !isInside;
    }
    // Code that does not decode may hold anything.
    return { targets, isPossible: isPossible || next < end };
  }

  /** From the site to the function's end, as the program has it. */
  private readCode(site: Site): Uint8Array {
    const end = this.target.findFunction?.(site.address)?.end;
    const sizeBytes = end === undefined ? CODE_BYTES_MAX : Number(end - site.address);
    const code = new Uint8Array(Math.min(Math.max(sizeBytes, 0), CODE_BYTES_MAX));
    return code.subarray(0, this.target.memory.readSome(site.address, code));
  }

  private *walk(
    site: Site,
    code: Uint8Array,
  ): Generator<{ readonly instruction: Instruction; readonly flow: Flow }> {
    const { arch } = this.target;
    for (let offset = 0; offset < code.length; ) {
      const instruction = arch.decode(code.subarray(offset), addOffset(site.address, offset));
      if (instruction === undefined) return;
      yield { instruction, flow: arch.flow(instruction) };
      offset += instruction.sizeBytes;
    }
  }

  /** The call that a return address follows; undefined when there is none. */
  findCallBefore(returnAddress: Address): Flow | undefined {
    const { arch, memory } = this.target;
    for (const sizeBytes of CALL_SIZES_BYTES) {
      if (sizeBytes > arch.instructionSizeMaxBytes) continue;
      const start = addOffset(returnAddress, -sizeBytes);
      const bytes = new Uint8Array(sizeBytes);
      if (!memory.read(start, bytes)) continue;
      const instruction = arch.decode(bytes, start);
      if (instruction?.sizeBytes !== sizeBytes) continue;
      const flow = arch.flow(instruction);
      if (flow.kind !== "call") continue;
      if (flow.target !== undefined && !this.isCode(flow.target)) continue;
      return flow;
    }
    return undefined;
  }

  private isCode(address: Address): boolean {
    return this.target.findMapping(address)?.executable === true;
  }
}

/** Whether the bytes of a `ret n` are there at all, with n a number of words below 8 KiB. */
function mayPop(code: Uint8Array): boolean {
  for (let at = code.indexOf(RET_IMM16); at >= 0; at = code.indexOf(RET_IMM16, at + 1)) {
    const low = code[at + 1] ?? 1;
    const high = code[at + 2] ?? 0xff;
    if ((low & 7) === 0 && high < 0x20) return true;
  }
  return false;
}
