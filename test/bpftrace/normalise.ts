/**
 * What two runs may differ in without being different: addresses, the banner, and the order of
 * entries of a map with equal values, which in bpftrace is that of a hash table.
 */

export function normalise(output: string): string {
  const lines = output
    .replace(/^Attaching \d+ probes?\.\.\.\n/, "")
    .replace(/0x[0-9a-f]{6,}/g, "0xADDRESS")
    .split("\n");
  return sortTies(lines).join("\n").trim();
}

/** `@name[key]: value`. */
const ENTRY = /^(@\w*)\[(.*)\]: (.*)$/;

function sortTies(lines: readonly string[]): readonly string[] {
  const sorted: string[] = [];
  let group: string[] = [];
  let kind: string | undefined;
  const flush = (): void => {
    sorted.push(...group.sort());
    group = [];
  };
  for (const line of lines) {
    const entry = ENTRY.exec(line);
    const next = entry === null ? undefined : `${entry[1]} ${entry[3]}`;
    if (next === undefined || next !== kind) flush();
    kind = next;
    group.push(line);
  }
  flush();
  return sorted;
}
