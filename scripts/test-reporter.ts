/**
 * A reporter for node:test that writes what the runner needs, one JSON line per event, into the
 * file that TRAPLINE_TEST_EVENTS names. Written at once and beside stdout: so nothing a test or its
 * target prints mixes with it, and what had happened is known also when the process crashes or
 * hangs.
 */

import { AssertionError } from "node:assert";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

/** `level` counts from 0; the tests of a suite come before the suite's own result. */
export type TestEvent =
  /** A test runs from now on. Comes as it happens, and the other kinds in the order of the file. */
  | { readonly kind: "begin"; readonly name: string }
  /** The results that follow up to this level are of tests inside this one. */
  | { readonly kind: "start"; readonly level: number; readonly name: string }
  | {
      readonly kind: "result";
      readonly level: number;
      readonly name: string;
      /** Absolute path; undefined where node:test does not know it. */
      readonly file: string | undefined;
      readonly isSuite: boolean;
      /** Why it was skipped, or "" where no reason was given. */
      readonly skip: string | undefined;
      /** The error as text when it failed. */
      readonly error: string | undefined;
      /** It failed only because tests inside it did. */
      readonly failedInside: boolean;
    }
  /** An error that no test was there to catch. */
  | { readonly kind: "stray"; readonly message: string }
  /** The last one: node:test got to its end. */
  | { readonly kind: "end" };

/** What node:test hands over, as far as it is read here. */
interface NodeTestEvent {
  readonly type: string;
  readonly data?: {
    readonly name?: string;
    readonly message?: string;
    readonly nesting?: number;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: {
      readonly type?: string;
      readonly error?: { readonly failureType?: string; readonly cause?: unknown };
    };
  };
}

/** Node asks for a default export, and for text to print: there is none. */
export default async function* report(
  events: AsyncIterable<NodeTestEvent>,
): AsyncGenerator<string> {
  const path = process.env["TRAPLINE_TEST_EVENTS"];
  if (path === undefined) throw new Error("TRAPLINE_TEST_EVENTS names no file");
  for await (const event of events) {
    const line = translate(event);
    if (line !== undefined) appendFileSync(path, `${JSON.stringify(line)}\n`);
  }
  appendFileSync(path, `${JSON.stringify({ kind: "end" } satisfies TestEvent)}\n`);
  yield "";
}

function translate({ type, data }: NodeTestEvent): TestEvent | undefined {
  const name = data?.name ?? "";
  const level = data?.nesting ?? 0;
  switch (type) {
    case "test:dequeue":
      return { kind: "begin", name };
    case "test:start":
      return { kind: "start", level, name };
    case "test:diagnostic":
      // node:test only warns when a test fails after its end, which hides real errors.
      if (!/^(Error|Warning): /.test(data?.message ?? "")) return undefined;
      return { kind: "stray", message: data?.message ?? "" };
    case "test:pass":
    case "test:fail": {
      const error = data?.details?.error;
      return {
        kind: "result",
        level,
        name,
        file: data?.file?.startsWith("file:") ? fileURLToPath(data.file) : data?.file,
        isSuite: data?.details?.type === "suite",
        skip: skipReason(data?.skip) ?? skipReason(data?.todo),
        error: type === "test:fail" ? describeError(error?.cause ?? error) : undefined,
        failedInside: error?.failureType === "subtestsFailed",
      };
    }
    default:
      return undefined;
  }
}

/** An assertion's message has all of its properties already; a stack is ours down to Node's own. */
function describeError(error: unknown): string {
  const isAssertion = error instanceof AssertionError && error.stack !== undefined;
  const text = isAssertion ? String(error.stack) : inspect(error);
  const isOurs = (line: string): boolean => !/^\s+at .*(node:|Promise\.all)/.test(line);
  return text.split("\n").filter(isOurs).join("\n");
}

function skipReason(mark: string | boolean | undefined): string | undefined {
  if (mark === undefined || mark === false) return undefined;
  return mark === true ? "" : mark;
}
