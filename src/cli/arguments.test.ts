import assert from "node:assert/strict";
import test from "node:test";
import { ToolError } from "../base/errors.ts";
import { parseArguments } from "./arguments.ts";
import { LIST_SPEC, TRACE_SPEC } from "./specs.ts";

function parseTrace(line: string): ReturnType<typeof parseArguments> {
  return parseArguments(TRACE_SPEC, line.split(" "));
}

function failure(run: () => unknown): { message: string; hint: string | undefined } {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ToolError);
    assert.equal(error.code, "usage");
    return { message: error.message, hint: error.hint };
  }
  throw new Error("did not fail");
}

test("options and patterns mix, in any spelling of a value", () => {
  for (const line of [
    "malloc -p 12 free",
    "-p12 malloc free",
    "malloc free --pid=12",
    "malloc --pid 12 free",
  ]) {
    const parsed = parseTrace(line);
    assert.deepEqual(parsed.positionals, ["malloc", "free"], line);
    assert.equal(parsed.findValue("pid"), "12", line);
  }
});

test("everything after -- is the command", () => {
  const parsed = parseTrace("malloc --count -- ls -l --json -- x");
  assert.deepEqual(parsed.rest, ["ls", "-l", "--json", "--", "x"]);
  assert.equal(parsed.has("json"), false);
  assert.equal(parsed.has("count"), true);
  assert.equal(parseTrace("malloc").rest, undefined);
});

test("an option may repeat only where that means something", () => {
  assert.deepEqual(parseTrace("f --proto a --proto b").values("proto"), ["a", "b"]);
  assert.equal(failure(() => parseTrace("f -p 1 -p 2")).message, "-p is given twice");
});

test("each mistake has its message and hint", () => {
  const message = (line: string): string => failure(() => parseTrace(line)).message;
  assert.equal(message("--cuont"), "unknown option --cuont");
  assert.equal(message("-x"), "unknown option -x");
  assert.equal(message("--json=1"), "--json takes no value");
  assert.equal(message("malloc -p"), "-p needs a value: -p PID");
  assert.equal(message("malloc --limit -- ls"), "--limit needs a value: --limit N");
  assert.equal(
    failure(() => parseTrace("--cuont")).hint,
    "did you mean --count? see: trapline trace --help",
  );
  assert.equal(
    failure(() => parseArguments(LIST_SPEC, ["--frobnicate"])).hint,
    "see: trapline list --help",
  );
});

test("numbers and choices are checked", () => {
  assert.equal(parseTrace("--limit 20").findInteger("limit", 1), 20);
  for (const bad of ["0", "-1", "x", "1.5", "1e3", "99999999999999999999"]) {
    assert.throws(() => parseTrace(`--limit=${bad}`).findInteger("limit", 1), /whole number/, bad);
  }
  assert.equal(parseTrace("-d .5").findPositive("duration"), 0.5);
  assert.throws(() => parseTrace("-d 0").findPositive("duration"), /above 0/);
  assert.throws(() => parseTrace("--color red").findChoice("color", ["auto"]), /cannot be "red"/);
});
