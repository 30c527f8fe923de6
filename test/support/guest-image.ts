/**
 * What a test guest is booted from: a kernel as `npm run guests` has fetched it, and an initial RAM
 * disk that is put together here from busybox, test/guests/init.sh and test/guests/work.c. Images
 * are kept in build/guests under a name made of their content.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ArchiveEntry, makeCpio } from "./cpio.ts";

/** As Debian calls it. */
export type GuestArch = "amd64" | "arm64";

/** A later release of Debian than the machine's own, with later kernels. */
export type GuestRelease = "trixie";

export interface GuestImage {
  readonly kernelPath: string;
  readonly initrdPath: string;
  /** E.g. `6.1.0-56-cloud-amd64`. */
  readonly version: string;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FETCHED = join(ROOT, ".cache/guests");
const SOURCES = join(ROOT, "test/guests");
const BUILT = join(ROOT, "build/guests");

const COMPILERS: Readonly<Record<GuestArch, string>> = {
  amd64: "x86_64-linux-gnu-gcc",
  arm64: "aarch64-linux-gnu-gcc",
};

const EMULATORS: Readonly<Record<GuestArch, string>> = {
  amd64: "qemu-system-x86_64",
  arm64: "qemu-system-aarch64",
};

/** For the skip option of tests that need a guest: false, or what is missing. */
export function needsGuest(arch: GuestArch, release?: GuestRelease): string | false {
  const name = nameOf(arch, release);
  if (!existsSync(join(FETCHED, name, "version"))) return `needs the guest kernel ${name}`;
  if (!isProgram(EMULATORS[arch])) return `needs ${EMULATORS[arch]}`;
  if (!isProgram(COMPILERS[arch])) return `needs ${COMPILERS[arch]}`;
  return false;
}

export function getEmulator(arch: GuestArch): string {
  return EMULATORS[arch];
}

/** The kernel, and the RAM disk, which is made when it is not there yet. */
export function prepareGuestImage(arch: GuestArch, release?: GuestRelease): GuestImage {
  const folder = join(FETCHED, nameOf(arch, release));
  const version = readFileSync(join(folder, "version"), "utf8").trim();
  const init = readFileSync(join(SOURCES, "init.sh"));
  const work = readFileSync(join(SOURCES, "work.c"));
  const key = createHash("sha256")
    .update(JSON.stringify([arch, version, init.length]))
    .update(init)
    .update(work)
    .digest("hex")
    .slice(0, 16);
  const initrdPath = join(BUILT, `${arch}-${key}.cpio`);
  if (!existsSync(initrdPath)) {
    mkdirSync(BUILT, { recursive: true });
    const program = `${initrdPath}.work.${process.pid}`;
    const flags = ["-O2", "-Wall", "-static", "-s", "-o", program];
    execFileSync(COMPILERS[arch], [...flags, join(SOURCES, "work.c")], { stdio: "pipe" });
    const fresh = `${initrdPath}.${process.pid}`;
    writeFileSync(fresh, makeCpio(listEntries(folder, init, readFileSync(program))));
    // Test files run side by side: whoever is last wins, with the same bytes.
    renameSync(fresh, initrdPath);
  }
  return { kernelPath: join(folder, "vmlinuz"), initrdPath, version };
}

function nameOf(arch: GuestArch, release: GuestRelease | undefined): string {
  return release === undefined ? arch : `${arch}-${release}`;
}

function listEntries(folder: string, init: Uint8Array, work: Uint8Array): readonly ArchiveEntry[] {
  const folders = ["bin", "dev", "proc", "sys", "tmp", "modules"];
  const modules = readdirSync(join(folder, "modules"));
  return [
    ...folders.map((path) => ({ kind: "folder", path }) as const),
    // The kernel gives it to init as its terminal before anything is mounted.
    { kind: "characterDevice", path: "dev/console", major: 5, minor: 1 },
    { kind: "program", path: "init", bytes: init },
    { kind: "program", path: "bin/busybox", bytes: readFileSync(join(folder, "busybox")) },
    { kind: "program", path: "bin/work", bytes: work },
    ...modules.map(
      (name) =>
        ({
          kind: "program",
          path: `modules/${name}`,
          bytes: readFileSync(join(folder, "modules", name)),
        }) as const,
    ),
  ];
}

function isProgram(name: string): boolean {
  const folders = (process.env["PATH"] ?? "").split(":");
  return folders.some((folder) => existsSync(join(folder, name)));
}
