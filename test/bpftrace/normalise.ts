/**
 * What two runs may differ in without being different: addresses, the banner, the order of entries
 * of a map with equal values, which in bpftrace is that of a hash table, and in JSON blanks, empty
 * lines and the order of members.
 */

export function normalise(output: string): string {
  const lines = output
    .replace(/^Attaching \d+ probes?\.\.\.\n/, "")
    .replace(/0x[0-9a-f]{6,}/g, "0xADDRESS")
    .replace(PLACE, "$1:$2: ")
    .split("\n")
    .filter((line) => !/^ *~+$/.test(line));
  return sortTies(lines).join("\n").trim();
}

/** A line each; what is no JSON stays as it is. */
export function normaliseJson(output: string): string {
  const lines = output
    .replace(/0x[0-9a-f]{6,}/g, "0xADDRESS")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      try {
        return JSON.stringify(sortMembers(JSON.parse(quoteLarge(line))));
      } catch {
        return line;
      }
    });
  return lines.join("\n");
}

/** The first line that says something of the program. */
export function normaliseErrors(output: string): string {
  const lines = output.split("\n").filter((line) => line !== "" && !NOISE.test(line));
  return (lines[0] ?? "").replace(PLACE, "$1:$2: ");
}

/** What bpftrace says of the machine. */
const NOISE = /RLIMIT_MEMLOCK|failed to detach probe|uprobe_events|Addrspace is not set/;

/** Lines of a program; columns are each tool's own. */
const PLACE = /^([\w./-]+):(\d+)(?::\d+|-\d+)?(?:-\d+)?: (?=ERROR|WARNING)/gm;

/** Integers past 2^53 would be rounded by parsing. */
function quoteLarge(line: string): string {
  return line.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}/g, (piece) =>
    piece.startsWith('"') ? piece : `"${piece}"`,
  );
}

function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, sortMembers(member)]);
  return Object.fromEntries(members.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
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
