/**
 * How a stub's registers become a register file of the arch: by name, so that any order, and any
 * number of registers more, will do.
 */

import type { Arch } from "../../arch/arch.ts";
import { ToolError } from "../../base/errors.ts";
import { type DescribedRegister, type Description, place } from "./description.ts";
import { readHex } from "./hex.ts";

interface MappedRegister {
  readonly described: DescribedRegister;
  /** Word of the register file. */
  readonly word: number;
}

/** What GDB calls the architectures that we know. */
const ARCHITECTURES: ReadonlyMap<string, Arch["name"]> = new Map([
  ["i386:x86-64", "x86_64"],
  ["i386:x64-32", "x86_64"],
  ["aarch64", "arm64"],
]);
const WORD_BYTES = 8;

/** Names by which stubs know registers that the arch calls otherwise. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["eflags", "rflags"],
  ["cpsr", "pstate"],
]);

/** The arch that a description is of. Throws ToolError gdb.unsupported. */
export function chooseArch(description: Description | undefined, archs: readonly Arch[]): Arch {
  const { architecture } = description ?? {};
  const name = architecture === undefined ? undefined : ARCHITECTURES.get(architecture);
  const chosen =
    architecture === undefined
      ? archs.find((arch) => description === undefined || describes(description, arch))
      : archs.find((arch) => arch.name === name);
  if (chosen !== undefined) return chosen;
  throw new ToolError(
    "gdb.unsupported",
    `the stub's target is of an architecture that cannot be probed: ${architecture ?? "unknown"}`,
    { details: { architecture } },
  );
}

function describes(description: Description, arch: Arch): boolean {
  const { names, pc } = arch.registers;
  return description.registers.some(({ name }) => wordOf(name, arch) === pc && names[pc] === name);
}

/** Word of the register file that a register fills whole, or undefined. */
function wordOf(name: string, arch: Arch): number | undefined {
  const { names } = arch.registers;
  const whole = names.indexOf(name);
  if (whole >= 0) return whole;
  const alias = ALIASES.get(name);
  const part = alias === undefined ? undefined : arch.registers.find(alias);
  return part?.widthBits === 64 ? part.index : undefined;
}

export class RegisterMap {
  private readonly mapped: readonly MappedRegister[];
  private readonly byWord: ReadonlyMap<number, DescribedRegister>;
  private readonly bytes = new Uint8Array(WORD_BYTES);
  private readonly view = new DataView(this.bytes.buffer);

  /** Throws ToolError gdb.unsupported when what cannot be done without is not there. */
  constructor(arch: Arch, description: Description | undefined) {
    const registers = description?.registers ?? undescribed(arch);
    this.mapped = registers.flatMap((described) => {
      const word = described.sizeBytes <= WORD_BYTES ? wordOf(described.name, arch) : undefined;
      return word === undefined ? [] : [{ described, word }];
    });
    this.byWord = new Map(this.mapped.map(({ word, described }) => [word, described]));
    const { pc, sp, names } = arch.registers;
    const needed = [pc, sp, ...arch.convention.argumentRegisters];
    const missing = needed.filter((word) => (this.byWord.get(word)?.sizeBytes ?? 0) < WORD_BYTES);
    if (missing.length === 0) return;
    const missingNames = missing.map((word) => names[word]).join(", ");
    throw new ToolError("gdb.unsupported", `the stub does not give the registers ${missingNames}`);
  }

  /** The register in a word; undefined when the stub has none for it. */
  find(word: number): DescribedRegister | undefined {
    return this.byWord.get(word);
  }

  /**
   * Fill a register file from the answer to g; false when that is too short or no hexadecimal. A
   * register that the stub does not know now (`xx`) is 0.
   */
  read(answer: string, file: BigUint64Array): boolean {
    for (const { described, word } of this.mapped) {
      const from = described.offsetBytes * 2;
      const target = this.bytes.subarray(0, described.sizeBytes);
      this.bytes.fill(0);
      if (answer.length < from + 2 * described.sizeBytes) return false;
      if (answer[from] === "x") target.fill(0);
      else if (!readHex(answer, from, target)) return false;
      file[word] = this.view.getBigUint64(0, true);
    }
    return true;
  }

  /** The digits of a register's value, in the target's order of bytes. */
  encode(register: DescribedRegister, value: bigint): string {
    this.view.setBigUint64(0, value, true);
    return Buffer.from(this.bytes.subarray(0, register.sizeBytes)).toString("hex");
  }

  /** An answer to g with a register file in it. */
  write(answer: string, file: BigUint64Array): string {
    const digits = [...answer];
    for (const { described, word } of this.mapped) {
      const from = described.offsetBytes * 2;
      const value = this.encode(described, file[word] as bigint);
      digits.splice(from, value.length, ...value);
    }
    return digits.join("");
  }
}

/** What stubs without descriptions give: KGDB, and others from before there were any. */
function undescribed(arch: Arch): readonly DescribedRegister[] {
  const wide = (name: string): readonly [string, number] => [name, WORD_BYTES];
  const narrow = (name: string): readonly [string, number] => [name, 4];
  const byArch: Record<Arch["name"], readonly (readonly [string, number])[]> = {
    x86_64: [
      ..."rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split(" ").map(wide),
      ..."eflags cs ss".split(" ").map(narrow),
    ],
    arm64: [
      ...Array.from({ length: 31 }, (_, index) => wide(`x${index}`)),
      ...["sp", "pc"].map(wide),
      narrow("cpsr"),
    ],
  };
  return place(byArch[arch.name].map(([name, sizeBytes], number) => ({ name, number, sizeBytes })));
}
