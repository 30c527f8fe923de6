/** Messages about programs look as bpftrace's do. */

import assert from "node:assert/strict";
import test from "node:test";
import { Diagnostics, formatDiagnostic } from "./diagnostics.ts";

function format(text: string, start: number, end: number, hint?: string): string {
  const diagnostics = new Diagnostics();
  diagnostics.error({ source: { name: "stdin", text }, start, end }, "what is wrong", hint);
  return formatDiagnostic(diagnostics.all[0]!);
}

// The expected texts are what bpftrace 0.17 prints, but for the message itself.
test("a range within a line is marked, and its second column is the one behind it", () => {
  const program = 'BEGIN { printf("%d\\n", @undef); }';
  const start = program.indexOf("@undef");
  assert.equal(
    format(program, start, start + "@undef".length),
    `stdin:1:24-30: ERROR: what is wrong\n${program}\n${" ".repeat(23)}~~~~~~\n`,
  );
});

test("a tab counts as one column and is shown as four blanks", () => {
  const program = "BEGIN {\t$a = @u; }";
  assert.equal(
    format(program, 13, 15),
    "stdin:1:14-16: ERROR: what is wrong\nBEGIN {    $a = @u; }\n                ~~\n",
  );
});

test("a range of several lines gives the lines alone", () => {
  const program = 'BEGIN {\n\tprintf("%d",\n  @u); }';
  assert.equal(format(program, 9, program.indexOf(")")), "stdin:2-3: ERROR: what is wrong\n");
});

test("an empty range at the end of a line is marked behind it", () => {
  assert.equal(format("BEGIN\n", 5, 5), "stdin:1:6-7: ERROR: what is wrong\nBEGIN\n     ~\n");
});

test("a hint has its own line behind the marks", () => {
  assert.equal(
    format("x", 0, 1, "write y"),
    "stdin:1:1-2: ERROR: what is wrong\nx\n~\nHINT: write y\n",
  );
});
