/**
 * Random C functions with calls of them, and what each parameter has to be read as: the compiler
 * decides where arguments go, so that what a jprobe reads is held against the psABI as compiled.
 */

import { makeRandom } from "../../support/native-run.ts";

/** One function with one call. */
export interface Signature {
  readonly name: string;
  /** The prototype, with the types that it needs before it. */
  readonly prototype: string;
  readonly expected: Readonly<Record<string, unknown>>;
}

/** A C program that calls each function once, and prints `layout NAME SIZE ALIGN` for its types. */
export interface GeneratedProgram {
  readonly text: string;
  readonly signatures: readonly Signature[];
  /** Types that were made, by their declarations. */
  readonly types: readonly { readonly name: string; readonly declaration: string }[];
}

/** A type with a way to make a value: C for it, and what it is read as. */
interface MadeType {
  /** As it stands before a name, e.g. `int`; a declaration of the type that it needs. */
  readonly name: string;
  readonly declaration: string;
  readonly isScalar: boolean;
  /** Of an integer of less than 64 bits: what may be passed in the bits above it. */
  readonly rubbish: string | undefined;
  make(): { readonly c: string; readonly value: unknown };
}

/** A union of which one member was set: the others are not looked at. */
export class OneMember {
  readonly member: string;
  readonly value: unknown;

  constructor(member: string, value: unknown) {
    this.member = member;
    this.value = value;
  }
}

const INTEGERS: readonly (readonly [string, number, boolean])[] = [
  ["char", 8, true],
  ["signed char", 8, true],
  ["unsigned char", 8, false],
  ["short", 16, true],
  ["unsigned short", 16, false],
  ["int", 32, true],
  ["unsigned int", 32, false],
  ["unsigned", 32, false],
  ["long", 64, true],
  ["unsigned long", 64, false],
  ["long long", 64, true],
  ["unsigned long long", 64, false],
  ["size_t", 64, false],
  ["ssize_t", 64, true],
  ["off_t", 64, true],
  ["int8_t", 8, true],
  ["uint8_t", 8, false],
  ["int16_t", 16, true],
  ["uint16_t", 16, false],
  ["int32_t", 32, true],
  ["uint32_t", 32, false],
  ["int64_t", 64, true],
  ["uint64_t", 64, false],
  ["enum colour", 32, false],
];

const POINTERS: readonly string[] = ["void *", "const char *", "struct opaque *", "int **"];

class Generator {
  readonly #random: () => bigint;
  #serial = 0;
  readonly types: { name: string; declaration: string }[] = [];

  constructor(seed: bigint) {
    this.#random = makeRandom(seed);
  }

  below(count: number): number {
    return Number(this.#random() % BigInt(count));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  signature(index: number): { readonly signature: Signature; readonly code: string; call: string } {
    const parameters = Array.from({ length: this.below(12) }, (_, at) => ({
      name: `p${at}`,
      type: this.type(0),
    }));
    const returns = this.below(4) === 0 ? this.aggregate(0) : this.scalar();
    const isVoid = this.below(5) === 0;
    const name = `f${index}`;
    const made = parameters.map((one) => one.type.make());
    const list = parameters.map((one) => `${one.type.name} ${one.name}`).join(", ") || "void";
    const head = `${isVoid ? "void" : returns.name} ${name}(${list})`;
    const declarations = [...parameters.map((one) => one.type), returns].map(
      (type) => type.declaration,
    );
    const expected = Object.fromEntries(parameters.map((one, at) => [one.name, made[at]?.value]));
    // Through another type of function, narrow integers come with rubbish above them.
    const cast = parameters
      .map((one) => (one.type.rubbish !== undefined ? "unsigned long long" : one.type.name))
      .join(", ");
    const values = parameters.map((one, at) =>
      one.type.rubbish !== undefined
        ? `${one.type.rubbish} ^ (unsigned long long)(${one.type.name})${made[at]?.c}`
        : made[at]?.c,
    );
    const returned = isVoid ? "" : ` ${returns.name} r; memset(&r, 0, sizeof r); return r;`;
    return {
      signature: { name, prototype: [...declarations, head].join(" "), expected },
      code: `NOIPA ${head} { called++;${returned} }\n`,
      call: `  ((${isVoid ? "void" : returns.name} (*)(${cast || "void"}))anonymous(${name}))(${values.join(", ")});\n`,
    };
  }

  type(depth: number): MadeType {
    return this.below(4) === 0 && depth < 3 ? this.aggregate(depth) : this.scalar();
  }

  scalar(): MadeType {
    switch (this.below(9)) {
      case 0:
      case 1:
      case 2:
        return this.integer();
      case 3:
        return this.pointer();
      case 4:
        return this.#float("float");
      case 5:
      case 6:
        return this.#float("double");
      case 7:
        return this.below(3) === 0 ? this.#float("long double") : this.#bool();
      default:
        return this.below(3) === 0 ? this.#wide() : this.integer();
    }
  }

  integer(): MadeType {
    const [name, widthBits, isSigned] = this.pick(INTEGERS);
    return scalarType(name, rubbishAbove(widthBits), () => {
      const bits = this.#random();
      const value = isSigned ? BigInt.asIntN(widthBits, bits) : BigInt.asUintN(widthBits, bits);
      return { c: toC(value), value: widthBits === 64 ? value : Number(value) };
    });
  }

  pointer(): MadeType {
    return scalarType(this.pick(POINTERS), undefined, () => {
      const value = BigInt.asUintN(64, this.#random());
      return { c: `(void *)${toC(value)}`, value };
    });
  }

  #wide(): MadeType {
    const isSigned = this.below(2) === 0;
    return scalarType(isSigned ? "__int128" : "unsigned __int128", undefined, () => {
      const [high, low] = [this.#random(), BigInt.asUintN(64, this.#random())];
      const bits = (high << 64n) | low;
      const value = isSigned ? BigInt.asIntN(128, bits) : BigInt.asUintN(128, bits);
      return {
        c: `(((unsigned __int128)${toC(BigInt.asUintN(64, high))} << 64) | ${toC(low)})`,
        value,
      };
    });
  }

  #bool(): MadeType {
    return scalarType("bool", rubbishAbove(8), () => {
      const value = this.below(2) === 1;
      return { c: String(value), value };
    });
  }

  #float(name: "float" | "double" | "long double"): MadeType {
    // Exact in every format.
    return scalarType(name, undefined, () => {
      const value = (this.below(1 << 20) - (1 << 19)) / 8;
      return { c: `(${name})${value}`, value };
    });
  }

  /** A struct or union with a few members. */
  aggregate(depth: number): MadeType {
    const isUnion = this.below(6) === 0;
    const name = `${isUnion ? "union" : "struct"} s${this.#serial++}`;
    const members = Array.from({ length: 1 + this.below(4) }, (_, at) => {
      const type = this.type(depth + 1);
      const count = type.isScalar && this.below(6) === 0 ? 1 + this.below(3) : undefined;
      return { name: `m${at}`, type, count };
    });
    const fields = members.map(
      (one) => `${one.type.name} ${one.name}${one.count === undefined ? "" : `[${one.count}]`};`,
    );
    const own = `${name} { ${fields.join(" ")} };`;
    const declaration = [...members.map((one) => one.type.declaration), own].join(" ").trim();
    this.types.push({ name, declaration });
    const makeMember = (member: (typeof members)[number]): { c: string; value: unknown } => {
      if (member.count === undefined) return member.type.make();
      const made = Array.from({ length: member.count }, () => member.type.make());
      return { c: `{${made.map((one) => one.c).join(", ")}}`, value: made.map((one) => one.value) };
    };
    const make = (): { c: string; value: unknown } => {
      const chosen = isUnion ? [this.pick(members)] : members;
      const made = chosen.map((member) => ({ name: member.name, ...makeMember(member) }));
      const inits = made.map((one) => `.${one.name} = ${one.c}`).join(", ");
      const [first] = made;
      const value = isUnion
        ? new OneMember(first?.name ?? "", first?.value)
        : Object.fromEntries(made.map((one) => [one.name, one.value]));
      return { c: `(${name}){ ${inits} }`, value };
    };
    return { name, declaration, isScalar: false, rubbish: undefined, make };
  }
}

function scalarType(name: string, rubbish: string | undefined, make: MadeType["make"]): MadeType {
  return { name, declaration: "", isScalar: true, rubbish, make };
}

function rubbishAbove(widthBits: number): string | undefined {
  if (widthBits === 64) return undefined;
  return widthBits === 32 ? "0xdeadbeef00000000ull" : "0xdeadbeefcafe0000ull";
}

function toC(value: bigint): string {
  return value < 0n ? `(-${-value - 1n}ll - 1)` : `${value}ull`;
}

/** The program of a seed. */
export function generateProgram(seed: bigint, functionCount: number): GeneratedProgram {
  const generator = new Generator(seed);
  const made = Array.from({ length: functionCount }, (_, index) => generator.signature(index));
  const layouts = generator.types.map(
    ({ name }) =>
      `  printf("layout ${name.replace(" ", "-")} %zu %zu\\n", sizeof(${name}), _Alignof(${name}));\n`,
  );
  const text = [
    "#include <stdbool.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n",
    "#include <sys/types.h>\n#define NOIPA __attribute__((noipa))\n",
    "enum colour { RED, LAST = 0xffffffff };\nstatic volatile int called;\n",
    "/* No compiler sees through this: the call is by the type that it is cast to. */\n",
    "NOIPA void *anonymous(void *function) { return function; }\n",
    ...generator.types.map((type) => `${own(type)}\n`),
    ...made.map((one) => one.code),
    "int main(void)\n{\n",
    ...made.map((one) => one.call),
    ...layouts,
    '  printf("called %d\\n", called);\n  return 0;\n}\n',
  ].join("");
  return { text, signatures: made.map((one) => one.signature), types: generator.types };
}

/** A type's own declaration, without those of its members: they stand before it. */
function own(type: { readonly name: string; readonly declaration: string }): string {
  return type.declaration.slice(type.declaration.lastIndexOf(`${type.name} {`));
}
