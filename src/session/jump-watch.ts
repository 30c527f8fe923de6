/**
 * Learning of jumps out of frames: a call that longjmp leaves tells nobody, and a branch behind
 * setjmp may lead right behind that call, with everything as after a return. So the functions of
 * libc that jump are watched while there are return probes: what they are handed says to which
 * stack pointer they go.
 *
 *   jmp_buf   byte 48 rsp, 56 rip, each as rol(value ^ guard, 17), guard at byte 0x30 of the thread's own data
 *   ucontext  byte 160 rsp, 168 rip
 *
 * Facts: the disassembly of glibc's longjmp; ucontext.h. What does not decode to a stack and code
 * of the program is left alone.
 */

import { type Address, addOffset, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { JumpTarget } from "../engine/jump-sites.ts";
import type { Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import { findLoader } from "./loader-watch.ts";
import type { LoadedModule, ProcessModules } from "./process-modules.ts";

const JMP_BUF_SP_OFFSET = 48;
const JMP_BUF_PC_OFFSET = 56;
const UCONTEXT_SP_OFFSET = 160;
const UCONTEXT_PC_OFFSET = 168;
const GUARD_OFFSET = 0x30;
const GUARD_ROTATION_BITS = 17n;

const JUMPS: readonly string[] = [
  ...["longjmp", "_longjmp", "siglongjmp", "__longjmp_chk", "__libc_longjmp", "__libc_siglongjmp"],
];

/**
 * Watch the process's libc; nothing happens where it has none that is known, or it is not there
 * yet.
 * @param seen modules that were looked at before; those of this time are added.
 */
export function watchJumps(target: Target, modules: ProcessModules, seen: Set<LoadedModule>): void {
  const isStatic = findLoader(modules) === undefined;
  for (const module of modules.all) {
    const isLibc = isStatic ? module === modules.program : /^libc[.-]/.test(module.name);
    if (!isLibc || seen.has(module)) continue;
    seen.add(module);
    const watch = (name: string, find: (thread: Thread) => JumpTarget | undefined): void => {
      for (const symbol of module.symbols?.findByName(name) ?? [])
        watchOne(target, module.toAddress(symbol.address), find);
    };
    for (const name of JUMPS) watch(name, (thread) => readJumpBuffer(target, thread));
    watch("setcontext", (thread) => readContext(target, thread));
  }
}

function watchOne(
  target: Target,
  address: Address,
  find: (thread: Thread) => JumpTarget | undefined,
): void {
  if (target.returns.jumps.has(address)) return;
  try {
    target.returns.jumps.watch(target.site(address, undefined), find);
  } catch (error) {
    // Not to be probed: then such calls are known to be left when their stack is used again.
    if (!(error instanceof ToolError)) throw error;
  }
}

function readJumpBuffer(target: Target, thread: Thread): JumpTarget | undefined {
  const { registers, convention } = target.arch;
  const threadData = thread.registers[registers.threadPointer ?? -1];
  if (threadData === undefined) return undefined;
  const guard = readWord(target, threadData, GUARD_OFFSET);
  const buffer = thread.registers[convention.argumentRegisters[0] as number] as bigint;
  const demangle = (offset: number): bigint | undefined => {
    const word = readWord(target, buffer, offset);
    if (word === undefined || guard === undefined) return undefined;
    const rotated = (word >> GUARD_ROTATION_BITS) | (word << (64n - GUARD_ROTATION_BITS));
    return BigInt.asUintN(64, rotated) ^ guard;
  };
  return checkPlace(target, demangle(JMP_BUF_SP_OFFSET), demangle(JMP_BUF_PC_OFFSET));
}

function readContext(target: Target, thread: Thread): JumpTarget | undefined {
  const context = thread.registers[target.arch.convention.argumentRegisters[0] as number] as bigint;
  return checkPlace(
    target,
    readWord(target, context, UCONTEXT_SP_OFFSET),
    readWord(target, context, UCONTEXT_PC_OFFSET),
  );
}

/** When both can be what they are taken for. */
function checkPlace(
  target: Target,
  sp: bigint | undefined,
  pc: bigint | undefined,
): JumpTarget | undefined {
  if (sp === undefined || pc === undefined) return undefined;
  const isPlace =
    target.findMapping(sp)?.writable === true && target.findMapping(pc)?.executable === true;
  return isPlace ? { sp: toAddress(sp), pc: toAddress(pc) } : undefined;
}

function readWord(target: Target, address: bigint, offset: number): bigint | undefined {
  const word = new Uint8Array(8);
  if (!target.memory.read(addOffset(toAddress(address), offset), word)) return undefined;
  return new DataView(word.buffer).getBigUint64(0, true);
}
