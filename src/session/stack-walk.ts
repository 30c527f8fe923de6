/**
 * The return addresses on a stopped thread's stack, by the unwind tables of its modules, and by
 * frame pointers where there is no table. What is shown is the program's: the true address where
 * the trampoline's is in its place.
 */

import { type Address, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import type { Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import { type Frame, type UnwindRow, unwindFrame } from "../symbols/unwind.ts";
import type { ModuleList } from "./modules.ts";

const WORD_BYTES = 8;

/** Where a thread is stopped, and in which process. */
export interface StackPlace {
  readonly thread: Thread;
  readonly target: Target;
  readonly modules: ModuleList;
  /** Whether a return address may lead there. Default: what is mapped executable. */
  readonly isCode?: (address: bigint) => boolean;
}

/** Return addresses, the innermost first; at most depthMax of them. */
export function walkStack(place: StackPlace, depthMax: number): readonly Address[] {
  return new StackWalk(place).run(Math.min(depthMax, limits.stackDepthMax));
}

class StackWalk {
  private readonly place: StackPlace;
  private readonly word = new Uint8Array(WORD_BYTES);
  private readonly wordView = new DataView(this.word.buffer);

  constructor(place: StackPlace) {
    this.place = place;
  }

  run(depthMax: number): readonly Address[] {
    const { thread, target } = this.place;
    const layout = target.arch.registers;
    const found: Address[] = [];
    let frame: Frame = {
      registers: layout.dwarf.map((word) => thread.registers[word]),
      pc: thread.pc,
      cfa: 0n,
    };
    // The innermost frame has called nothing, nor has one that a signal interrupted.
    let isExact = true;
    while (found.length < depthMax) {
      const row = this.findRow(isExact ? frame.pc : frame.pc - 1n);
      const caller =
        row === undefined
          ? (this.findEntered(frame, found) ?? this.followFramePointer(frame))
          : this.followRow(row, frame, isExact);
      if (caller === undefined || !this.isOnward(frame, caller, row) || !this.isCode(caller.pc))
        break;
      found.push(toAddress(caller.pc));
      frame = caller;
      isExact = row?.isSignalFrame === true;
    }
    return found;
  }

  private findRow(address: bigint): UnwindRow | undefined {
    const module = this.place.modules.find(address);
    return module?.symbols?.findUnwindRow(module.toOffset(address));
  }

  /**
   * What has called nothing yet may have its return address in the register that calls leave it in.
   */
  private followRow(row: UnwindRow, frame: Frame, isExact: boolean): Frame | undefined {
    const { arch } = this.place.target;
    const { returnRegister } = row;
    const isLeft =
      isExact &&
      arch.convention.returnAddress.kind === "register" &&
      !row.rules.has(returnRegister);
    const rules = isLeft
      ? new Map([...row.rules, [returnRegister, { kind: "same" as const }]])
      : row.rules;
    const read = (at: bigint): bigint | undefined => this.readWord(at);
    return unwindFrame({ ...row, rules }, frame.registers, arch.registers.dwarfStack, read);
  }

  /**
   * At the first instruction of a function the return address is on top, or in its register,
   * whatever no table says.
   */
  private findEntered({ registers, pc }: Frame, found: readonly Address[]): Frame | undefined {
    const { target } = this.place;
    const { dwarfStack, dwarf } = target.arch.registers;
    const { returnAddress: place } = target.arch.convention;
    const sp = registers[dwarfStack];
    if (found.length > 0 || sp === undefined) return undefined;
    if (target.findFunction?.(toAddress(pc))?.start !== pc) return undefined;
    if (place.kind === "register") {
      const link = registers[dwarf.indexOf(place.index)];
      return link === undefined ? undefined : { registers, pc: link, cfa: sp };
    }
    const returnAddress = this.readWord(sp);
    if (returnAddress === undefined) return undefined;
    const cfa = sp + BigInt(WORD_BYTES);
    const caller = [...registers];
    caller[dwarfStack] = cfa;
    return { registers: caller, pc: returnAddress, cfa };
  }

  /**
   * The saved frame pointer, and the return address above it: what `push rbp; mov rbp,rsp` makes.
   */
  private followFramePointer({ registers }: Frame): Frame | undefined {
    const { dwarfStack, dwarfFrame, dwarf } = this.place.target.arch.registers;
    const sp = registers[dwarfStack];
    const fp = registers[dwarfFrame];
    if (sp === undefined || fp === undefined || fp < sp) return undefined;
    const saved = this.readWord(fp);
    const pc = this.readWord(fp + BigInt(WORD_BYTES));
    if (saved === undefined || pc === undefined) return undefined;
    const cfa = fp + BigInt(2 * WORD_BYTES);
    const caller: (bigint | undefined)[] = dwarf.map(() => undefined);
    caller[dwarfStack] = cfa;
    caller[dwarfFrame] = saved;
    return { registers: caller, pc, cfa };
  }

  /** A stack leads to higher addresses; only a signal's frame may lead to another one. */
  private isOnward(frame: Frame, caller: Frame, row: UnwindRow | undefined): boolean {
    return caller.cfa > frame.cfa || row?.isSignalFrame === true;
  }

  private isCode(address: bigint): boolean {
    const { isCode, target } = this.place;
    return isCode?.(address) ?? target.findMapping(address)?.executable === true;
  }

  private readWord(address: bigint): bigint | undefined {
    const { target } = this.place;
    if (!target.space.read(toAddress(address), this.word)) return undefined;
    const found = toAddress(this.wordView.getBigUint64(0, true));
    return target.returns.trueReturnAddress(toAddress(address), found);
  }
}
