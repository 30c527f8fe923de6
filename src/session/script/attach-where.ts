/**
 * From the parts of an attach point to a location, or to what is wrong with it. The spellings of a
 * user probe:
 *
 *   uprobe:FUNCTION                  of the program itself
 *   uprobe:FILE:FUNCTION             FILE a path, the name of a library or program, or a glob
 *   uprobe:FILE:FUNCTION+OFFSET
 *   uprobe:FILE:ADDRESS              as the file numbers its addresses
 *   uprobe:FILE:cpp:FUNCTION         a name as C++ writes it
 *   kprobe:[MODULE:]FUNCTION[+OFFSET], kprobe:ADDRESS
 */

import type { AttachPart, AttachPoint } from "../../script/syntax/tree.ts";
import { isGlob } from "../../symbols/glob.ts";
import type { ParsedWhere } from "../../symbols/where.ts";

export type WhereResult =
  | { readonly where: ParsedWhere; readonly file: string | undefined }
  | { readonly wrong: string; readonly hint: string | undefined };

const LANGUAGES = new Set(["cpp", "c", "rust"]);

/** The location of a user probe. @param resolveFile a file's real path, where there is one */
export function userWhere(
  point: AttachPoint,
  resolveFile: (file: string) => string | undefined,
): WhereResult {
  const parts = [...point.parts];
  if (parts.length === 3 && LANGUAGES.has(parts[1]?.text ?? "")) parts.splice(1, 1);
  const name = parts.pop();
  const [filePart] = parts;
  if (name === undefined || parts.length > 1) {
    return wrong(
      `${point.provider} takes a file and a function`,
      `as in ${point.provider}:libc:malloc`,
    );
  }
  if (/@.+:\d+/.test(point.text) || (name.text.includes("@") && /:\d+$/.test(point.text))) {
    return wrong(
      "probes on source lines need debug information, which is not read",
      "name a function, with an offset where it must be inside",
    );
  }
  const file = filePart?.text;
  const module = file === undefined ? undefined : toModulePattern(file, resolveFile);
  return toWhere(point, name, { module, file });
}

/** The location of a kernel probe. */
export function kernelWhere(point: AttachPoint): WhereResult {
  const parts = [...point.parts];
  const name = parts.pop();
  if (name === undefined || parts.length > 1) {
    return wrong(`${point.provider} takes a function`, `as in ${point.provider}:vfs_read`);
  }
  const module = parts[0]?.text;
  if (module === undefined && /^(?:0x[0-9a-f]+|\d+)$/i.test(name.text)) {
    const address = BigInt(name.text) as Extract<ParsedWhere, { kind: "address" }>["address"];
    return { where: { kind: "address", address, isEvery: false }, file: undefined };
  }
  return toWhere(point, name, { module, file: undefined });
}

function toWhere(
  point: AttachPoint,
  name: AttachPart,
  place: { readonly module: string | undefined; readonly file: string | undefined },
): WhereResult {
  const { module, file } = place;
  if (name.text === "") return wrong("there is no function to probe", undefined);
  if (!name.isQuoted && /^(?:0x[0-9a-f]+|\d+)$/i.test(name.text)) {
    if (module === undefined) {
      return wrong(
        "an address needs the file that it is in",
        `${point.provider}:FILE:${name.text}`,
      );
    }
    const address = Number(name.text);
    if (!Number.isSafeInteger(address)) return wrong(`${name.text} is in no file`, undefined);
    return { where: { kind: "fileAddress", module, address, isEvery: false }, file };
  }
  const written = name.isQuoted ? `${name.text}${name.suffix ?? ""}` : name.text;
  // What is quoted may have a plus of its own (`operator+`): only the suffix is an offset then.
  const hasOffset = !name.isQuoted || (name.suffix ?? "") !== "";
  const offset = hasOffset ? /^(.+)\+(0x[0-9a-f]+|\d+)$/i.exec(written) : null;
  const plain = offset?.[1] ?? name.text;
  const offsetBytes = offset === null ? 0 : Number(offset[2]);
  const isReturn = point.provider === "uretprobe" || point.provider === "kretprobe";
  if (isReturn && offset !== null) {
    return wrong(`${point.provider} can not be attached at an offset`, undefined);
  }
  const isPattern = !name.isQuoted && isGlob(plain);
  return {
    where: {
      kind: "symbol",
      module,
      name: plain,
      isGlob: isPattern,
      offsetBytes,
      isEvery: false,
      takesAll: true,
    },
    file,
  };
}

/** As moduleMatches() takes it: a path is made the one that the kernel shows for the mapping. */
function toModulePattern(
  file: string,
  resolveFile: (file: string) => string | undefined,
): string | undefined {
  if (file === "*") return undefined;
  if (!file.includes("/") || isGlob(file)) return file;
  return resolveFile(file) ?? file;
}

function wrong(message: string, hint: string | undefined): WhereResult {
  return { wrong: message, hint };
}
