/** The types of a kernel out of a file: a vmlinux with its section `.BTF`, or BTF alone. */

import { ToolError } from "../../base/errors.ts";
import { BTF_MAGIC, readBtf } from "../../symbols/btf.ts";
import { readElf } from "../../symbols/elf.ts";
import { writeKernelDeclarations } from "../../symbols/kernel-declarations.ts";
import { createMemorySource } from "../symbol-files/file-source.ts";

const SECTION = ".BTF";

/**
 * Declarations for TypeScript of a file's functions: those named, or all.
 * @throws ToolError type.unknown, btf.malformed, elf.malformed
 */
export function declareTypes(
  path: string,
  bytes: Uint8Array,
  functions: readonly string[],
): string {
  const types = readBtf(isBtf(bytes) ? bytes : readSection(path, bytes));
  return writeKernelDeclarations(types, {
    origin: path,
    functions: functions.length === 0 ? undefined : new Set(functions),
  });
}

function isBtf(bytes: Uint8Array): boolean {
  return bytes[0] === (BTF_MAGIC & 0xff) && bytes[1] === BTF_MAGIC >> 8;
}

function readSection(path: string, bytes: Uint8Array): Uint8Array {
  const elf = readElf(createMemorySource(bytes), path);
  const section = elf.sections.find(({ name }) => name === SECTION);
  if (section !== undefined) {
    return bytes.subarray(section.fileOffset, section.fileOffset + section.sizeBytes);
  }
  throw new ToolError("type.unknown", `${path} holds no types (section ${SECTION})`, {
    hint: "a kernel has them when it was built with CONFIG_DEBUG_INFO_BTF",
  });
}
