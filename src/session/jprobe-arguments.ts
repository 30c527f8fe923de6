/**
 * The arguments of a call, read at a function's entry by its C prototype: joins what C says of the
 * types (symbols/) with where the calling convention puts them (arch/) and the stopped thread.
 */

import type { Arch, ArgumentPlace, ArgumentPlacer, PassedType } from "../arch/arch.ts";
import { type Address, addOffset, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { findSize, readCValue } from "../symbols/c-layout.ts";
import { type CPrototype, type CType, parsePrototype, printType } from "../symbols/c-prototype.ts";
import type { ArgumentValue, JprobeArguments, VariadicArguments } from "./api.ts";
import type { HitView } from "./hit-view.ts";
import type { TypeValue } from "./prototype-types.ts";

const POINTER_BYTES = 8;

interface ReadParameter {
  readonly name: string;
  readonly type: CType;
  readonly sizeBytes: number;
  readonly place: ArgumentPlace;
  readonly isText: boolean;
}

type PassedScalar = Exclude<PassedType, { kind: "aggregate" }>;

/** Reads the arguments of calls of one function. */
export class ArgumentReader {
  /** Bytes on the stack that the named parameters take, behind the return address. */
  readonly stackSizeBytes: number;
  private readonly arch: Arch;
  private readonly prototype: CPrototype;
  private readonly parameters: readonly ReadParameter[];

  /**
   * @param strings parameters to be read as text; true for all that can be.
   * @throws ToolError usage, for a parameter that cannot be found by its type, or read as text
   */
  constructor(arch: Arch, prototype: CPrototype, strings: boolean | readonly string[]) {
    this.arch = arch;
    this.prototype = prototype;
    checkStrings(prototype, strings);
    const placer = this.place();
    this.parameters = prototype.parameters.map(({ type }, index): ReadParameter => {
      const name = nameOf(prototype, index);
      const place = placer.next(passedType(prototype, `parameter \`${name}\``, type));
      const isWanted = strings === true || (strings !== false && strings.includes(name));
      const isText = isWanted && type.kind === "cstring";
      return { name, type, place, isText, sizeBytes: findSize(type)?.sizeBytes ?? 0 };
    });
    this.stackSizeBytes = placer.stackSizeBytes;
  }

  /** The arguments by name. Throws ToolError memory.fault. */
  read(hit: HitView): JprobeArguments {
    const frame = new Frame(this.arch, hit);
    const entries = this.parameters.map((one): [string, ArgumentValue] => {
      const value = frame.read(one.type, one.sizeBytes, one.place);
      return [one.name, one.isText ? readText(hit, value as bigint) : value];
    });
    return Object.fromEntries(entries);
  }

  /** What follows the named parameters. */
  rest(hit: HitView): VariadicArguments {
    let placer: ArgumentPlacer | undefined;
    return {
      next: <T extends string>(text: T): TypeValue<T> => {
        const { prototype } = this;
        if (!prototype.isVariadic) {
          throw new ToolError("usage", `${prototype.name} has no variable arguments`, {
            hint: "its prototype does not end in `...`",
          });
        }
        const type = parseVariadicType(text);
        if (placer === undefined) {
          placer = this.place();
          for (const one of this.parameters) placer.next(passedType(prototype, one.name, one.type));
        }
        const place = placer.next(passedType(prototype, `argument type \`${text}\``, type));
        const sizeBytes = findSize(type)?.sizeBytes ?? 0;
        return new Frame(this.arch, hit).read(type, sizeBytes, place) as TypeValue<T>;
      },
    };
  }

  private place(): ArgumentPlacer {
    const { returnType } = this.prototype;
    return this.arch.placeArguments(
      returnType.kind === "void"
        ? undefined
        : passedType(this.prototype, "the return type", returnType),
    );
  }
}

/** A thread at a function's entry. */
class Frame {
  private readonly arch: Arch;
  private readonly hit: HitView;
  private image: Uint8Array | undefined;

  constructor(arch: Arch, hit: HitView) {
    this.arch = arch;
    this.hit = hit;
  }

  read(type: CType, sizeBytes: number, place: ArgumentPlace): Exclude<ArgumentValue, undefined> {
    const bytes = this.bytes(place, sizeBytes);
    return readCValue(type, new DataView(bytes.buffer, bytes.byteOffset), 0);
  }

  private bytes(place: ArgumentPlace, sizeBytes: number): Uint8Array {
    if (place.kind === "registers") return this.words(place);
    if (place.kind === "stack") {
      return this.memory(addOffset(this.hit.stackPointer, place.offsetBytes), sizeBytes);
    }
    const pointer = this.bytes(place.pointer, POINTER_BYTES);
    const at = new DataView(pointer.buffer, pointer.byteOffset).getBigUint64(0, true);
    return this.memory(toAddress(at), sizeBytes);
  }

  private memory(at: Address, sizeBytes: number): Uint8Array {
    const bytes = this.hit.memory.readBytes(at, sizeBytes);
    if (bytes !== undefined) return bytes;
    throw new ToolError("memory.fault", `cannot read an argument at ${formatAddress(at)}`, {
      details: { address: at },
    });
  }

  private words(place: Extract<ArgumentPlace, { kind: "registers" }>): Uint8Array {
    const bytes = new Uint8Array(place.words.reduce((sum, word) => sum + word.sizeBytes, 0));
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const { file, index, sizeBytes } of place.words) {
      if (file === "general") view.setBigUint64(at, this.hit.word(index), true);
      else bytes.set(this.vector(index).subarray(0, sizeBytes), at);
      at += sizeBytes;
    }
    return bytes;
  }

  private vector(index: number): Uint8Array {
    this.image ??= this.hit.saveExtended();
    const { extended } = this.arch;
    const found = extended.read(this.image, extended.argumentRegisters[index] as string);
    if (found !== undefined) return found;
    throw new ToolError("usage", "the thread's floating-point registers cannot be read");
  }
}

function readText(hit: HitView, address: bigint): string | undefined {
  return address === 0n ? undefined : hit.readCString(address);
}

/** How a value of the type is passed. `what` names it in the error. */
function passedType(prototype: CPrototype, what: string, type: CType): PassedType {
  if (type.kind === "aggregate") {
    const { sizeBytes, alignBytes } = type;
    // What is larger is passed in memory, whatever is in it: four quadruple floating points are the
    // largest that any convention passes in registers.
    const scalars = sizeBytes <= 64 ? scalarsOf(type, 0) : [];
    return { kind: "aggregate", sizeBytes, alignBytes, scalars };
  }
  const scalar = scalarOf(type);
  if (scalar !== undefined) return scalar;
  throw new ToolError(
    "usage",
    `cannot place the arguments of ${prototype.name}: ${what} is \`${printType(type)}\`, whose members are not known`,
    {
      details: { function: prototype.name, type: printType(type) },
      hint: "define it before the prototype, as in `struct point { int x, y; }; int f(struct point p)`",
    },
  );
}

function scalarsOf(
  type: CType,
  offsetBytes: number,
): { readonly offsetBytes: number; readonly type: PassedScalar }[] {
  if (type.kind === "aggregate") {
    return type.members.flatMap((member) =>
      scalarsOf(member.type, offsetBytes + member.offsetBytes),
    );
  }
  if (type.kind === "array") {
    const sizeBytes = findSize(type.element)?.sizeBytes ?? 0;
    return Array.from({ length: type.count }, (_, index) =>
      scalarsOf(type.element, offsetBytes + index * sizeBytes),
    ).flat();
  }
  const scalar = scalarOf(type);
  return scalar === undefined ? [] : [{ offsetBytes, type: scalar }];
}

function scalarOf(type: CType): PassedScalar | undefined {
  const sizeBytes = findSize(type)?.sizeBytes;
  if (sizeBytes === undefined || type.kind === "aggregate" || type.kind === "array")
    return undefined;
  return type.kind === "float"
    ? { kind: "float", sizeBytes: sizeBytes as 4 | 8 | 16 }
    : { kind: "integer", sizeBytes: sizeBytes as 1 | 2 | 4 | 8 | 16 };
}

/** The type of a variable argument: what C promotes is not passed as it is. */
function parseVariadicType(text: string): CType {
  const type = parsePrototype(`void f(${text})`).parameters[0]?.type;
  const isSmall =
    type?.kind === "bool" ||
    (type?.kind === "int" && type.widthBits < 32) ||
    (type?.kind === "float" && type.widthBits === 32);
  if (type !== undefined && !isSmall) return type;
  throw new ToolError("usage", `no variable argument is passed as \`${text}\``, {
    hint: "a float is passed as a double, and what is shorter than an int as an int",
  });
}

function nameOf(prototype: CPrototype, index: number): string {
  return prototype.parameters[index]?.name ?? `arg${index}`;
}

function checkStrings(prototype: CPrototype, strings: boolean | readonly string[]): void {
  const names = prototype.parameters.map((_, index) => nameOf(prototype, index));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new ToolError("usage", `${prototype.name} has two parameters \`${twice}\``);
  }
  if (typeof strings === "boolean") return;
  for (const name of strings) {
    const type = prototype.parameters[names.indexOf(name)]?.type;
    if (type?.kind === "cstring") continue;
    const why =
      type === undefined
        ? `it has ${names.length === 0 ? "none" : names.join(", ")}`
        : `its type is \`${printType(type)}\`, not \`char *\``;
    throw new ToolError(
      "usage",
      `cannot read parameter \`${name}\` of ${prototype.name} as text: ${why}`,
      { details: { function: prototype.name, parameter: name } },
    );
  }
}
