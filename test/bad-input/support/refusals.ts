/** What every refusal has to be like, of the library and of the command. */

import assert from "node:assert/strict";
import { type ErrorCode, ToolError } from "../../../src/index.ts";
import { trapline } from "../../cli/support/command.ts";

/** The ToolError that an action throws, which must be of one line and tell the user what to do. */
export function refusalOf(
  action: () => unknown,
  code: ErrorCode,
  options: { readonly hint?: false } = {},
): ToolError {
  let caught: unknown;
  try {
    action();
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof ToolError, `no ToolError but ${String(caught)}`);
  assert.equal(caught.code, code, caught.message);
  assertOneLine(caught.message);
  if (options.hint !== false) assert.ok(caught.hint !== undefined, `no hint: ${caught.message}`);
  if (caught.hint !== undefined) assertOneLine(caught.hint);
  return caught;
}

/** Run the command, which must fail in one line of standard error and perhaps one of a hint. */
export async function failureOf(args: readonly string[], code = 1): Promise<string> {
  const end = await trapline(args);
  assert.equal(end.code, code, end.stderr);
  assert.equal(end.stdout, "");
  const lines = end.stderr.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^trapline: \S/);
  assert.ok(lines.length <= 2, end.stderr);
  if (lines[1] !== undefined) assert.match(lines[1], /^ {2}\S/);
  assert.doesNotMatch(end.stderr, /\n\s+at |undefined|\[object/);
  return end.stderr;
}

/** No control characters, no stack, no full stop, no start like that of a sentence. */
export function assertOneLine(text: string): void {
  for (const char of text) assert.ok(char >= " ", JSON.stringify(text));
  assert.doesNotMatch(text, / {4}at |undefined|\[object/);
  assert.doesNotMatch(text, /\.$/);
}
