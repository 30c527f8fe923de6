/** The trees of programs are those that bpftrace 0.17 has of them, as it prints them with -d. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { dumpProbes } from "../support/dump-tree.ts";
import { readTools } from "../support/tools.ts";
import { parseRight } from "../support/trees.ts";

const TIMEOUT_MS = 60_000;
/** The others use tracepoints, whose formats bpftrace reads before it has a tree. */
const TOOLS_COMPARED_MIN = 20;

/** What these scripts have from headers, which bpftrace reads. */
const OF_HEADERS = "#define AF_INET 2\n#define AF_INET6 10\n";

/** Without `while`, behind which bpftrace indents what follows one level too deep. */
const PROGRAMS = [
  "BEGIN { $a = 1 + 2 * 3 - 4 / (5 - 6) % 7; }",
  "BEGIN { $b = 1 | 2 ^ 3 & 4 == 5 < 6 << 7 + 8; }",
  "BEGIN { $b = 1 << 2 > 3 >= 4 != 5 <= 6 >> 7 - 8; }",
  "BEGIN { $a = a || b && c; $d = (a || b) && !c; }",
  "BEGIN { $e = 1 ? 2 : 3 ? 4 : 5; $f = (1 ? 2 : 3) ? 4 : 5; $g = 1 || 2 ? 3 : 4 }",
  "BEGIN { $h = -$x.y->z[1]; $i = *$p.q; $j = (*$p).q; $k = !$x.y; $l = ~*$p; }",
  "BEGIN { $a = -5 + -0x10; $b = 3 -1; $c = (int8)-1; $d = 1-1; }",
  "BEGIN { $a = (uint8)1 + 2; $c = (struct f *)arg0->x; $d = ((struct f *)arg0)->x; }",
  "BEGIN { $e = (foo *)1; $f = (foo)1; $g = (pid) - 1; $h = (pid) & 1; $i = (uint8)(int64)$x; }",
  "BEGIN { $x++; ++$x; @m[1, 2]++; --@m; $y = $x++ + ++$x; $z = !$x--; }",
  "BEGIN { $x += 1; @x[1] <<= 2; @x[1] |= 1 ? 2 : 3; $x ^= 1; $x %= 2; }",
  'BEGIN { $t = (1, "a\\t\\r\\x01é\\"\\\\", (2, 3)); $u = $t.0; $v = $t.2.1; $w = $s->a[1][2]; }',
  "BEGIN { $i = (0x1F, 017, 1e6, 1_000, 5ull, 18446744073709551615, 9223372036854775808); }",
  "BEGIN { if (1) { exit(); } else if (2) { $x = 1 } else { if (3) { $y = 2; } $z = 3 } $w = 4; }",
  "BEGIN { unroll(3) { $x = 1; $y = 2 } $z = $1 + $#; }",
  "BEGIN { @ = count(); @a[pid, comm] = lhist(1, 0, 10, 1); delete(@a[1, 2]); print(@a, 3); }",
  "BEGIN { $x = sizeof($y + 1); $z = sizeof(struct s); kstack(perf, 3); ustack; }",
  "BEGIN / 1 / 2 / { $x = 1 } END /@m == (1) / { $y = 2 / 3 }",
  "BEGIN/1/{ $x = 1; } // comment\n/* another */ END { while ($x < 5) { $x++; break; continue } }",
  "#define A 3\n#define B (A + 1)\nBEGIN { $x = A * B; }",
];

/** Undefined when bpftrace does not get as far as a tree. */
function dumpOfBpftrace(text: string): string[] | undefined {
  const { stdout } = spawnSync("/usr/bin/bpftrace", ["-d", "-e", text], {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
  });
  const parser = /AST after: parser\n-+\n([\s\S]*?)(?:AST after: Semantic|$)/.exec(stdout)?.[1];
  const tree = parser === undefined ? undefined : /^Program\n([\s\S]*)/m.exec(parser)?.[1];
  const lines: string[] = [];
  let isInPoints = false;
  for (const line of tree?.split("\n") ?? []) {
    if (line === "") continue;
    const isPoint = /^ \S/.test(line);
    if (isPoint && !isInPoints) lines.push("probe");
    isInPoints = isPoint;
    if (!isPoint) lines.push(normalize(line));
  }
  return tree === undefined ? undefined : lines;
}

function normalize(line: string): string {
  return line
    .slice(2)
    .replace(/ :: type\[.*$/, "")
    .replace(/^( *)(?:builtin|identifier|stack_mode): /, "$1name: ");
}

const canRun = readTools().length > 0 && process.getuid?.() === 0;
const skip = canRun ? false : "needs root and Debian's package bpftrace";

test("trees of small programs are those of bpftrace", { skip }, () => {
  for (const text of PROGRAMS) {
    assert.deepEqual(dumpProbes(parseRight(text, "0.17")), dumpOfBpftrace(text), text);
  }
});

test("trees of Debian's scripts are those of bpftrace", { skip }, () => {
  let comparedCount = 0;
  for (const { name, text } of readTools()) {
    const expected = dumpOfBpftrace(text);
    if (expected === undefined) continue;
    comparedCount++;
    const program = parseRight(text.replace(/^#!.*\n/, OF_HEADERS), "0.17", name);
    assert.deepEqual(dumpProbes(program), expected, name);
  }
  assert.ok(comparedCount >= TOOLS_COMPARED_MIN, `${comparedCount} scripts were compared`);
});
