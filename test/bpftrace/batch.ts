/**
 * Many actions in one run: each is the action of a function of steps.c, which calls them one after
 * the other. A line before each tells its output from that of the one before, and its maps get
 * names of its own. So a start of bpftrace, which takes a third of a second, serves many programs.
 */

import type { Program } from "./programs.ts";

/** Functions of steps.c. */
export const BATCH_SIZE = 16;

const MARK = "=== step";
const JSON_HEAD = '^(?:\\{"type": "\\w+", "data": (?:\\{)?")?';
/** Plain, or in JSON `{"type": "printf", "data": "=== step 3\n"}`. */
const STEP = new RegExp(`${JSON_HEAD}${MARK} (\\d+)`);
/** The same of `@s03_name: ` and `{"type": "map", "data": {"@s03_name": `. */
const MAP = new RegExp(`${JSON_HEAD}@s(\\d\\d)_`);

export interface Batch {
  readonly programs: readonly Program[];
  readonly text: string;
  /** As all its programs. */
  readonly isJson: boolean;
}

export function makeBatches(programs: readonly Program[], target: string): readonly Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < programs.length; start += BATCH_SIZE) {
    batches.push(makeBatch(programs.slice(start, start + BATCH_SIZE), target));
  }
  return batches;
}

export function makeBatch(programs: readonly Program[], target: string): Batch {
  const probes = programs.map(({ text }, index) => {
    const body = renameMaps(text, `s${twoDigits(index)}_`);
    return `uprobe:${target}:step${twoDigits(index)} { printf("${MARK} ${index}\\n"); ${body} }\n`;
  });
  return { programs, text: probes.join(""), isJson: programs[0]?.isJson === true };
}

/** What each program put out while it ran, and its maps at the end, under their own names. */
export function splitOutput(batch: Batch, output: string): readonly string[] {
  const parts = batch.programs.map(() => "");
  let current = 0;
  for (const line of output.split("\n").slice(0, -1)) {
    const mark = STEP.exec(line);
    if (mark !== null) {
      current = Number(mark[1]);
      continue;
    }
    const map = MAP.exec(line);
    if (map !== null) current = Number(map[1]);
    if (parts[current] !== undefined) parts[current] += `${line}\n`;
  }
  return parts.map((part) => part.replace(/@s\d\d_/g, "@"));
}

/** Not inside texts. */
function renameMaps(text: string, prefix: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|@/g, (piece) => (piece === "@" ? `@${prefix}` : piece));
}

function twoDigits(index: number): string {
  return String(index).padStart(2, "0");
}
