/** `trapline check`: the instruction at a location, and how it would be probed. */

import { formatAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { createPaint, type Paint, plainText } from "../report/text.ts";
import type { CheckResult } from "../session/api.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { parseArguments } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { isColoured, printLines } from "./output.ts";
import { CHECK_SPEC } from "./specs.ts";

/** Run the command; the exit code, 1 when a location is refused. */
export async function runCheck(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(CHECK_SPEC, argv);
  const wheres = parsed.positionals;
  if (wheres.length === 0) {
    throw new ToolError("usage", "nothing to check: name a location", {
      hint: "e.g. trapline check 'libc:malloc+4' (see: trapline check --help)",
    });
  }
  const strategy = parsed.findChoice("strategy", ["boost", "emulate", "step"]);
  // The machinery of sessions is loaded when the command line is known to be right.
  const { openInspection } = await import("./inspection.ts");
  using inspection = openInspection(parsed, wheres, strategy === undefined ? {} : { strategy });
  const results = wheres.flatMap((where) => {
    const isAddress = /^0x[0-9a-f]+$/i.test(where);
    return inspection.session.check(isAddress ? BigInt(where) : where);
  });
  if (parsed.has("json")) printLines(results.map(formatJson));
  else {
    const paint = createPaint({ isColoured: isColoured(1, undefined, process.env) });
    printLines(results.flatMap((result) => formatResult(result, paint)));
    writeAll(2, `trapline: in ${inspection.place}\n`);
  }
  const isRefused = results.some((result) => result.verdict.kind === "refuse");
  return isRefused ? ExitCode.Failed : ExitCode.Ok;
}

function formatResult(result: CheckResult, paint: Paint): string[] {
  const lines = [
    `${paint("name", formatPlace(result))}  ${formatAddress(result.address)}`,
    `  instruction  ${result.instruction ?? "none"}${formatBytes(result.bytes)}`,
  ];
  const { verdict } = result;
  if (verdict.kind === "refuse") {
    lines.push(
      `  ${paint("error", "refused")}      ${verdict.reason}: ${plainText(verdict.detail)}`,
    );
    return lines;
  }
  const why = verdict.why === undefined ? "" : `: ${plainText(verdict.why)}`;
  lines.push(`  strategy     ${paint("value", verdict.strategy)}${why}`);
  const others = verdict.allowed.filter((strategy) => strategy !== verdict.strategy);
  if (others.length > 0) lines.push(`  also         ${others.join(", ")}`);
  const { returnMechanism, whyReturnMechanism } = verdict;
  if (whyReturnMechanism !== undefined)
    lines.push(`  returns      ${returnMechanism ?? "refused"}: ${whyReturnMechanism}`);
  return lines;
}

function formatPlace(result: CheckResult): string {
  const module = result.module === undefined ? "" : `${result.module}:`;
  if (result.symbol === undefined) return plainText(`${module}${formatAddress(result.address)}`);
  const offset = result.symbolOffset === 0 ? "" : `+0x${result.symbolOffset.toString(16)}`;
  return plainText(`${module}${result.symbol}${offset}`);
}

function formatBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  return `  (${toHex(bytes, " ")})`;
}

function toHex(bytes: Uint8Array, separator: string): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}

function formatJson(result: CheckResult): string {
  return JSON.stringify({
    address: formatAddress(result.address),
    module: result.module ?? null,
    symbol: result.symbol ?? null,
    offset: result.symbolOffset,
    instruction: result.instruction ?? null,
    bytes: toHex(result.bytes, ""),
    verdict: result.verdict,
  });
}
