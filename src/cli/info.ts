/** `trapline info`: what is behind a GDB stub. */

import { formatAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { plainText } from "../report/text.ts";
import type { GuestInfo } from "../session/api.ts";
import { parseArguments } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { printLines } from "./output.ts";
import { INFO_SPEC } from "./specs.ts";
import { getTarget } from "./target.ts";

/** Run the command; the exit code. */
export async function runInfo(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(INFO_SPEC, argv);
  if (parsed.positionals.length > 0) {
    throw new ToolError("usage", `what is ${JSON.stringify(parsed.positionals[0])}?`, {
      hint: "trapline info --gdb ADDRESS takes nothing else",
    });
  }
  const target = getTarget(parsed, "info");
  if (!("gdb" in target)) throw new ToolError("usage", "no stub: give --gdb ADDRESS");
  const { connect } = await import("../session/guest/guest-session.ts");
  using guest = connect(target.gdb, target);
  const modules = guest.modules().map(({ name }) => name);
  if (parsed.has("json")) printLines([JSON.stringify(toJson(guest.guest, modules))]);
  else printLines(formatInfo(guest.guest, modules));
  return ExitCode.Ok;
}

function formatInfo(info: GuestInfo, modules: readonly string[]): string[] {
  const [, ...loaded] = modules;
  const row = (name: string, text: string): string => `${name.padEnd(10)} ${plainText(text)}`;
  return [
    row("kernel", info.banner),
    row("build-id", info.buildId ?? "none"),
    ...(info.file === undefined ? [] : [row("file", formatFile(info))]),
    row("cpus", `${info.cpuCount}, ${info.arch}`),
    row(
      "code",
      `${formatAddress(info.codeStart)}, ${(info.codeSizeBytes / 2 ** 20).toFixed(1)} MiB`,
    ),
    row("symbols", `${info.symbolCount}${info.isKnown ? ", from the cache" : ""}`),
    row("types", info.typeCount === 0 ? "none" : `${info.typeCount}`),
    row("modules", loaded.length === 0 ? "none" : loaded.join(" ")),
    row("memory", `by ${info.memory}`),
    row("found in", `${info.openedInMs.toFixed(0)} ms`),
  ];
}

function formatFile({ file, slide }: GuestInfo): string {
  const moved = slide ?? 0n;
  if (moved === 0n) return `${file}, where it was linked`;
  return `${file}, moved by ${formatSlide(moved)}`;
}

function formatSlide(slide: bigint): string {
  return slide < 0n ? `-${formatAddress(-slide)}` : formatAddress(slide);
}

function toJson(info: GuestInfo, modules: readonly string[]): object {
  const slide = info.slide === undefined ? undefined : formatSlide(info.slide);
  return { ...info, slide, codeStart: formatAddress(info.codeStart), modules };
}
