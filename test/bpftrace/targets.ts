/**
 * The programs under probes, as copies of a run's own: bpftrace's probes hit every process that
 * runs the same file.
 */

import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../support/programs.ts";

export class Targets {
  readonly folder: string;
  readonly steps: string;
  readonly work: string;
  readonly sites: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "trapline-bpftrace-"));
    this.steps = this.#copy("steps", "-O1");
    this.work = this.#copy("work", "-O1", "-g");
    const chain = ["-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"];
    this.sites = this.#copy("sites", "-O1", "-g", ...chain);
  }

  /** Names in the text of a program, as paths. */
  fill(text: string, target: string): string {
    return text
      .replaceAll("TARGET", target)
      .replaceAll("SITES", this.sites)
      .replaceAll("FOLDER", this.folder);
  }

  /** And paths as the names again. */
  hide(output: string, target: string): string {
    return output
      .replaceAll(target, "TARGET")
      .replaceAll(this.sites, "SITES")
      .replaceAll(this.folder, "FOLDER");
  }

  /** What a run has written to FOLDER/out. */
  takeFile(): string | undefined {
    const path = join(this.folder, "out");
    if (!existsSync(path)) return undefined;
    const content = readFileSync(path, "latin1");
    rmSync(path);
    return content;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }

  #copy(name: string, ...flags: readonly string[]): string {
    const path = join(this.folder, name);
    copyFileSync(build(`../bpftrace/programs/${name}.c`, "-pthread", ...flags), path);
    return path;
  }
}
