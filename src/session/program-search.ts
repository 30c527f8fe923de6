/** Finding the file that a module's short name means, without a process: libraries and programs. */

import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

/** What a module's name turned out to be. */
export interface FoundFile {
  readonly kind: "library" | "program";
  readonly path: string;
}

/** Where distributions keep libraries (ld.so's trusted folders, and Debian's by architecture). */
const LIBRARY_FOLDERS: readonly string[] = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/usr/local/lib",
  "/lib",
  "/usr/lib",
];

/**
 * A path, a library (`libz`, `libz.so.1`), or a program of PATH; undefined when there is none of
 * that name.
 */
export function findModuleFile(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): FoundFile | undefined {
  if (name.includes("/")) {
    const path = resolve(name);
    if (!isFile(path)) return undefined;
    return { kind: isLibraryName(basename(path)) ? "library" : "program", path };
  }
  const folders = [...(env.LD_LIBRARY_PATH ?? "").split(":").filter(Boolean), ...LIBRARY_FOLDERS];
  for (const folder of folders) {
    const path = findLibrary(folder, name);
    if (path !== undefined) return { kind: "library", path };
  }
  for (const folder of (env.PATH ?? "").split(":").filter(Boolean)) {
    const path = join(folder, name);
    if (isFile(path) && isExecutable(path)) return { kind: "program", path };
  }
  return undefined;
}

/** `libz` in a folder: `libz.so`, `libz.so.1` or `libz-1.2.so`, the shortest first. */
function findLibrary(folder: string, name: string): string | undefined {
  const names = listFolder(folder).filter((entry) => {
    if (!isLibraryName(entry)) return false;
    return entry === name || entry.startsWith(`${name}.so`) || isVersioned(entry, name);
  });
  names.sort((left, right) => left.length - right.length || (left < right ? -1 : 1));
  // A linker script (libc.so of the development package) is text and no library.
  return names.map((entry) => join(folder, entry)).find((path) => isFile(path) && !isSmall(path));
}

/** `libc-2.31.so` for `libc`. */
function isVersioned(entry: string, name: string): boolean {
  return entry.startsWith(`${name}-`) && /^-[\d.]+\.so/.test(entry.slice(name.length));
}

function isLibraryName(name: string): boolean {
  return /\.so($|\.)/.test(name);
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // most of these folders are missing on most machines
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isSmall(path: string): boolean {
  return statSync(path).size < 1024;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
