/**
 * Instructions whose operands mean more than numbers: branches that need a target, returns a frame,
 * system calls a harmless number, restores an image that is one.
 */

import { Mnemonic } from "iced-x86";
import { RAX, RCX, RDX, RSP } from "../../src/arch/x86_64/registers.ts";
import { LOW, LOW_DATA, landingIn } from "./layout.ts";
import type { Random } from "./random.ts";
import { baseOf, middle, type Trial } from "./states.ts";
import { restorableImage } from "./xsave.ts";

const SYS_getpid = 39n;
/** The same call by its number of 32-bit programs. */
const SYS32_getpid = 20n;
const USER_CODE = 0x33n;
const USER_DATA = 0x2bn;
/** Selectors that can be loaded: none, user data, and user code of 32 and 64 bits. */
const SELECTORS = [0n, 0x2bn, 0x23n, 0x33n, 0x10n];

/** Let an instruction with needs of its own execute.  @param target where its operand lies. */
export function specialCase(trial: Trial, target: bigint | undefined, random: Random): void {
  const { registers, facts } = trial;
  switch (facts.mnemonic) {
    case Mnemonic.Syscall:
      registers[RAX] = random.oneIn(4) ? 0xffffn : SYS_getpid;
      return;
    case Mnemonic.Int:
    case Mnemonic.Sysenter:
      registers[RAX] = SYS32_getpid;
      return;
    case Mnemonic.Call:
    case Mnemonic.Jmp:
      return indirectBranch(trial, target, random);
    case Mnemonic.Ret:
      return stackWords(trial, 8, [landing(random)]);
    case Mnemonic.Retf:
      return stackWords(trial, wordBytes(trial), [landing(random), USER_CODE]);
    case Mnemonic.Iret:
    case Mnemonic.Iretd:
    case Mnemonic.Iretq:
    case Mnemonic.Uiret: {
      const frame = [landing(random), USER_CODE, randomFlags(random), middle(LOW_DATA), USER_DATA];
      return stackWords(trial, wordBytes(trial), frame);
    }
    case Mnemonic.Popf:
    case Mnemonic.Popfq:
      return stackWords(trial, facts.hasOperandSize ? 2 : 8, [randomFlags(random)]);
    case Mnemonic.Pop:
      if (facts.operandWords[0] === -1 && target === undefined) {
        stackWords(trial, 8, [random.pick(SELECTORS)]);
      }
      return;
    default:
      return operands(trial, target, random);
  }
}

function operands(trial: Trial, target: bigint | undefined, random: Random): void {
  const { registers, facts } = trial;
  switch (facts.mnemonic) {
    case Mnemonic.Loop:
    case Mnemonic.Loope:
    case Mnemonic.Loopne:
    case Mnemonic.Jrcxz:
    case Mnemonic.Jecxz:
      registers[RCX] = random.pick([0n, 1n, 2n, 0x1_0000_0000n, 0x1_0000_0001n, random.word()]);
      return;
    case Mnemonic.Cpuid:
      registers[RAX] = random.pick([0n, 1n, 2n, 7n, 0xdn, 0x8000_0000n, 0x8000_0008n]);
      registers[RCX] = BigInt(random.below(3));
      return;
    case Mnemonic.Xgetbv:
      registers[RCX] = BigInt(random.below(3));
      return;
    case Mnemonic.Div:
    case Mnemonic.Idiv:
      if (!random.oneIn(4) && !isUsed(trial, RDX)) registers[RDX] = 0n;
      return;
    case Mnemonic.Bt:
    case Mnemonic.Bts:
    case Mnemonic.Btr:
    case Mnemonic.Btc:
      return bitOffset(trial, random);
    case Mnemonic.Clzero:
    case Mnemonic.Monitor:
    case Mnemonic.Monitorx:
    case Mnemonic.Umonitor:
    case Mnemonic.Movdir64b:
    case Mnemonic.Enqcmd:
    case Mnemonic.Enqcmds:
    case Mnemonic.Invlpga:
      return pointerOperand(trial);
    case Mnemonic.Lss:
    case Mnemonic.Lfs:
    case Mnemonic.Lgs:
      return selectorInMemory(trial, target, random);
    case Mnemonic.Mov:
    case Mnemonic.Verr:
    case Mnemonic.Verw:
    case Mnemonic.Lar:
    case Mnemonic.Lsl:
      return selectorOperand(trial, target, random);
    default:
      return images(trial, target, random);
  }
}

/** What restores state from memory finds a state there. */
function images(trial: Trial, target: bigint | undefined, random: Random): void {
  const { registers, facts } = trial;
  if (target === undefined) return;
  switch (facts.mnemonic) {
    case Mnemonic.Xrstor:
    case Mnemonic.Xrstor64:
    case Mnemonic.Fxrstor:
    case Mnemonic.Fxrstor64:
      if (!isUsed(trial, RAX)) registers[RAX] = BigInt(random.pick([7, 7, 3, 1, 2, 0xffff]));
      if (!isUsed(trial, RDX)) registers[RDX] = 0n;
      trial.patches.push({ address: target, bytes: restorableImage(trial.xsave) });
      return;
    case Mnemonic.Xsave:
    case Mnemonic.Xsave64:
    case Mnemonic.Xsavec:
    case Mnemonic.Xsavec64:
    case Mnemonic.Xsaveopt:
    case Mnemonic.Xsaveopt64:
      // The header as it must be before the first save.
      if (!isUsed(trial, RAX)) registers[RAX] = BigInt(random.pick([0xff, 7, 3, 0xe7]));
      trial.patches.push({ address: target + 512n, bytes: new Uint8Array(64) });
      return;
    case Mnemonic.Ldmxcsr:
    case Mnemonic.Vldmxcsr:
      trial.patches.push({
        address: target,
        bytes: Uint8Array.of(random.next() & 0xc0, 0x1f, 0, 0),
      });
      return;
    default:
  }
}

/** The register operand, or the memory operand, holds a landing. */
function indirectBranch(trial: Trial, target: bigint | undefined, random: Random): void {
  const { facts, registers } = trial;
  if (facts.isRelative) return;
  const word = facts.operandWords[0] ?? -1;
  if (word >= 0) {
    registers[word] = landing(random);
    return;
  }
  if (target === undefined) return;
  // A near branch takes 8 bytes; a far one 2, 4 or 8 and then a selector, which vendors place
  // differently where REX.W is given.
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  const address = landing(random);
  view.setBigUint64(0, address, true);
  if (isFarTransfer(trial)) {
    const offsetBytes = facts.hasOperandSize ? 2 : 4;
    view.setUint16(offsetBytes, random.pick([0x33, 0x33, 0x23]), true);
    if (facts.hasRexW && random.oneIn(2)) view.setUint16(8, 0x33, true);
  }
  trial.patches.push({ address: target, bytes });
}

/** ModRM.reg of the far transfers of group 5 is odd: 3 and 5. */
function isFarTransfer(trial: Trial): boolean {
  const opcode = trial.bytes.indexOf(0xff);
  return opcode >= 0 && (((trial.bytes[opcode + 1] ?? 0) >>> 3) & 1) === 1;
}

function landing(random: Random): bigint {
  return random.oneIn(12) ? 0x3900_0000n : landingIn(random.pick(LOW.landings));
}

function randomFlags(random: Random): bigint {
  const trap = random.oneIn(8) ? 0x100 : 0;
  return BigInt((random.next() & 0xcd5) | 0x202 | trap) | (random.oneIn(4) ? 0x4_0000n : 0n);
}

/** Size of the words that a far return or iret pops. */
function wordBytes(trial: Trial): number {
  if (trial.facts.hasRexW) return 8;
  return trial.facts.hasOperandSize ? 2 : 4;
}

function stackWords(trial: Trial, sizeBytes: number, words: readonly bigint[]): void {
  const bytes = new Uint8Array(words.length * sizeBytes);
  words.forEach((word, index) => {
    for (let byte = 0; byte < sizeBytes; byte++) {
      bytes[index * sizeBytes + byte] = Number((word >> BigInt(8 * byte)) & 0xffn);
    }
  });
  trial.patches.push({ address: trial.registers[RSP] as bigint, bytes });
}

/** A bit number in a register reaches far beyond its memory operand. */
function bitOffset(trial: Trial, random: Random): void {
  const { facts, registers } = trial;
  const word = facts.operandWords[1] ?? -1;
  if (!facts.writesMemoryFirst || word < 0 || isInAddress(trial, word) || word === RSP) return;
  registers[word] = BigInt.asUintN(64, BigInt(random.below(512) - 256));
}

function pointerOperand(trial: Trial): void {
  const { facts, registers } = trial;
  const word = facts.operandWords[0] ?? RAX;
  if (word < 0 || word === RSP || isInAddress(trial, word)) return;
  const segment = facts.segment === undefined ? 0n : baseOf(facts.segment, registers);
  registers[word] = middle(LOW_DATA) - segment;
}

/** A register for a segment register, where one is. */
function selectorOperand(trial: Trial, target: bigint | undefined, random: Random): void {
  const { facts, registers } = trial;
  const isSegmentLoad = facts.mnemonic !== Mnemonic.Mov || facts.operandWords[0] === -1;
  if (!isSegmentLoad || facts.writesMemoryFirst) return;
  const word = facts.operandWords[facts.operandWords.length - 1] ?? -1;
  if (word >= 0 && word !== RSP && !isInAddress(trial, word)) {
    registers[word] = random.pick(SELECTORS) | ((registers[word] as bigint) & ~0xffffn);
  }
  if (target !== undefined) trial.patches.push({ address: target, bytes: selector(random) });
}

/** lss and the like: offset, then selector. */
function selectorInMemory(trial: Trial, target: bigint | undefined, random: Random): void {
  if (target === undefined) return;
  const { hasOperandSize, hasRexW } = trial.facts;
  const offset = hasRexW ? random.pick([4n, 8n]) : hasOperandSize ? 2n : 4n;
  trial.patches.push({ address: target + offset, bytes: selector(random) });
}

function selector(random: Random): Uint8Array {
  const value = Number(random.pick(SELECTORS));
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function isInAddress(trial: Trial, word: number): boolean {
  const { memory } = trial.facts;
  return memory !== undefined && (memory.base === word || memory.index === word);
}

function isUsed(trial: Trial, word: number): boolean {
  return isInAddress(trial, word) || trial.facts.operandWords.includes(word);
}
