/**
 * A stub's description of its target, in XML: the registers with their numbers and sizes, and the
 * architecture. Only what is asked for is read: comments go, documents that are included are put in
 * their place, and every other element is passed over. Facts: "Target Descriptions" in the GDB
 * manual.
 */

import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";

export interface DescribedRegister {
  readonly name: string;
  /** As in the packets p and P. */
  readonly number: number;
  readonly sizeBytes: number;
  /** In the answer to g, which has the registers in the order of their numbers. */
  readonly offsetBytes: number;
}

export interface Description {
  /** As GDB calls it (`i386:x86-64`, `aarch64`), where the stub says so. */
  readonly architecture: string | undefined;
  readonly registers: readonly DescribedRegister[];
}

const REGISTER_BITS_MAX = 0x1_0000;

/**
 * Read a description.
 *
 * @param read gives a document by its name. Throws ToolError gdb.reply.
 */
export function readDescription(read: (name: string) => string): Description {
  const text = include("target.xml", read, { depth: 0, count: { value: 0 } });
  const architecture = /<architecture>\s*([^<\s]+)\s*<\/architecture>/.exec(text)?.[1];
  const found: { name: string; number: number; sizeBytes: number }[] = [];
  const numbers = new Set<number>();
  let next = 0;
  for (const [, attributes] of text.matchAll(/<reg\b([^<>]*)>/g)) {
    const name = attribute(attributes as string, "name");
    const bits = Number(attribute(attributes as string, "bitsize"));
    const number = Number(attribute(attributes as string, "regnum") ?? next);
    const isSized = Number.isInteger(bits) && bits > 0 && bits <= REGISTER_BITS_MAX;
    if (name === undefined || !isSized) throw malformed(`a register without a name or a size`);
    const isNumbered = Number.isInteger(number) && number >= 0 && number <= 0xffff;
    if (!isNumbered || numbers.has(number)) {
      throw malformed(`two registers with one number, or none: ${JSON.stringify(name)}`);
    }
    numbers.add(number);
    next = number + 1;
    found.push({ name, number, sizeBytes: Math.ceil(bits / 8) });
    if (found.length > limits.stubRegisterCountMax) {
      throw malformed(`more than ${limits.stubRegisterCountMax} registers (stubRegisterCountMax)`);
    }
  }
  return { architecture, registers: place(found) };
}

/** Give registers their places in the answer to g. */
export function place(
  registers: readonly Omit<DescribedRegister, "offsetBytes">[],
): readonly DescribedRegister[] {
  let offsetBytes = 0;
  return [...registers]
    .sort((a, b) => a.number - b.number)
    .map((register) => {
      const placed = { ...register, offsetBytes };
      offsetBytes += register.sizeBytes;
      return placed;
    });
}

function include(
  name: string,
  read: (name: string) => string,
  at: { readonly depth: number; readonly count: { value: number } },
): string {
  if (at.depth > limits.stubIncludeDepthMax) {
    throw malformed(`documents that include one another: ${JSON.stringify(name)}`);
  }
  if (++at.count.value > limits.stubIncludeCountMax) {
    throw malformed(`more than ${limits.stubIncludeCountMax} documents (stubIncludeCountMax)`);
  }
  // The text of a type definition is no element, and what is commented out is not there: QEMU keeps
  // registers that it does not have in comments.
  const text = read(name)
    .replace(/<!--[\s\S]*?(?:-->|$)/g, "")
    .replace(/<!DOCTYPE[^>]*>/g, "");
  if (at.depth === 0 && !/<target\b/.test(text)) throw malformed("a document without a target");
  const parts = text.split(/<xi:include\b([^<>]*)>(?:\s*<\/xi:include>)?/);
  return parts
    .map((part, index) => {
      if (index % 2 === 0) return part;
      const href = attribute(part, "href");
      if (href === undefined || !/^[\w.+-]{1,200}$/.test(href)) {
        throw malformed(`an include of ${JSON.stringify(href ?? "")}`);
      }
      return include(href, read, { depth: at.depth + 1, count: at.count });
    })
    .join("");
}

function attribute(text: string, name: string): string | undefined {
  const found = new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(text);
  return found?.[1] ?? found?.[2];
}

function malformed(what: string): ToolError {
  return new ToolError("gdb.reply", `the stub's description of its target has ${what}`, {
    details: { request: "qXfer:features:read" },
  });
}
