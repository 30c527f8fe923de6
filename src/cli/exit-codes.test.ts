import assert from "node:assert/strict";
import test from "node:test";
import { ToolError } from "../base/errors.ts";
import { fromExitStatus, toExitCode } from "./exit-codes.ts";

test("failures have the codes that --help promises", () => {
  const launchFailed = (errno: unknown): ToolError =>
    new ToolError("launch.failed", "x", { details: { errno } });
  assert.equal(toExitCode(new ToolError("usage", "x")), 2);
  assert.equal(toExitCode(new ToolError("where.malformed", "x")), 2);
  assert.equal(toExitCode(new ToolError("symbol.unknown", "x")), 1);
  assert.equal(toExitCode(launchFailed("ENOENT")), 127);
  assert.equal(toExitCode(launchFailed(2)), 127);
  assert.equal(toExitCode(launchFailed(13)), 126);
  assert.equal(toExitCode(new Error("x")), 1);
});

test("the command's own end is the exit code, unless told otherwise", () => {
  const base = { isLaunched: true, isInterrupted: false, alwaysZero: false };
  const killed = { kind: "killed", signal: 9, signalName: "SIGKILL" } as const;
  assert.equal(fromExitStatus({ kind: "exited", code: 7 }, base), 7);
  assert.equal(fromExitStatus(killed, base), 137);
  assert.equal(fromExitStatus({ kind: "detached" }, base), 0);
  assert.equal(fromExitStatus({ kind: "detached" }, { ...base, isInterrupted: true }), 130);
  assert.equal(fromExitStatus({ kind: "exited", code: 7 }, { ...base, alwaysZero: true }), 0);
  assert.equal(fromExitStatus({ kind: "exited", code: 7 }, { ...base, isLaunched: false }), 0);
});
