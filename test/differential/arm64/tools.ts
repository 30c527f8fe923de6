/** What the suite needs of the machine: an emulator of arm64 programs, and a compiler for one. */

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench } from "./suite.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const SOURCE = fileURLToPath(new URL("./programs/harness.c", import.meta.url));
const COMPILER = "aarch64-linux-gnu-gcc";
const EMULATOR = "qemu-aarch64";
/** Everything that it knows of, with signatures that are quick to compute. */
const CPU = "max,pauth-impdef=on";

/** No C library, at an address that no test register comes near. */
const FLAGS = [
  ...["-O2", "-Wall", "-Wextra", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"],
  ...["-mgeneral-regs-only", "-Wl,-Ttext-segment=0x5500000000"],
] as const;

/** For a test's `skip`: what is missing, or false. */
export const needsArm64Tools: string | false = findMissing();

/** The emulator, and the harness compiled once for its source and flags. */
export function makeBench(): Bench {
  const text = readFileSync(SOURCE);
  const key = createHash("sha256").update(JSON.stringify(FLAGS)).update(text).digest("hex");
  const folder = join(ROOT, "build/test-programs", `arm64-harness-${key.slice(0, 16)}`);
  const program = join(folder, "harness");
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    // Test files run side by side: whoever is last wins, with the same bytes.
    const fresh = join(folder, `harness.${process.pid}`);
    execFileSync(COMPILER, [...FLAGS, "-o", fresh, SOURCE]);
    renameSync(fresh, program);
  }
  return { emulator: [EMULATOR, "-cpu", CPU], program };
}

function findMissing(): string | false {
  for (const tool of [EMULATOR, COMPILER]) {
    if (spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0) return `needs ${tool}`;
  }
  return false;
}
