/**
 * Writes src/base/linux-names.gen.ts: names of errors with their messages, and of signals,
 * as this machine's headers and C library have them. Needs gcc with the headers of Linux (Debian:
 * linux-libc-dev).
 *
 * node --import tsx scripts/linux-names.ts
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./problems.ts";

const TARGET = "src/base/linux-names.gen.ts";

/** Other names of the same numbers: those by which nobody looks for them. */
const OTHER_NAMES = /^SIG(CLD|IOT|POLL|STKSZ)$/;

const errors = macrosOf("<errno.h>").filter(({ name }) => /^E[A-Z0-9]+$/.test(name));
const messages = readMessages(errors.map(({ name }) => name));
const text = `/**
 * Names of Linux by their numbers: errors with their messages, and signals. Made by
 * scripts/linux-names.ts.
 */

${table("ERRORS", messages, "Name and message.")}
${table("SIGNALS", nameSignals(), "Standard ones.")}`;
writeFileSync(join(ROOT, TARGET), text);

interface Macro {
  readonly name: string;
  readonly value: string;
}

function macrosOf(header: string): readonly Macro[] {
  const input = `#define _GNU_SOURCE\n#include ${header}\n`;
  const output = execFileSync("gcc", ["-E", "-dM", "-"], { input, encoding: "utf8" });
  return [...output.matchAll(/^#define (\w+) (\S+)$/gm)].map(([, name, value]) => ({
    name: name!,
    value: value!,
  }));
}

function nameSignals(): ReadonlyMap<number, string> {
  const macros = macrosOf("<signal.h>");
  const numbers = new Map<number, string>();
  for (const { name } of macros) {
    const number = resolve(name, macros);
    const isSignal = /^SIG[A-Z0-9]+$/.test(name) && !OTHER_NAMES.test(name);
    if (isSignal && number !== undefined) numbers.set(number, name);
  }
  return numbers;
}

/** A number, or that of the macro that this one stands for; some stand for themselves. */
function resolve(name: string, macros: readonly Macro[]): number | undefined {
  const value = macros.find((macro) => macro.name === name)?.value;
  if (value === undefined || value === name) return undefined;
  return /^\d+$/.test(value) ? Number(value) : resolve(value, macros);
}

/** The C library's own messages, asked of a program that prints them. */
function readMessages(names: readonly string[]): ReadonlyMap<number, string> {
  const folder = mkdtempSync(join(tmpdir(), "linux-names-"));
  const lines = names.map((name) => `say(${name}, "${name}");`).join("\n");
  const source = `#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
static void say(int number, const char *name) {
  if (strcmp(strerrorname_np(number), name) == 0) printf("%d %s %s\\n", number, name, strerror(number));
}
int main(void) { ${lines} }`;
  try {
    const program = join(folder, "messages");
    writeFileSync(`${program}.c`, source);
    execFileSync("gcc", ["-o", program, `${program}.c`]);
    const output = execFileSync(program, { encoding: "utf8", env: { LC_ALL: "C" } });
    const found = [...output.matchAll(/^(\d+) (.*)$/gm)];
    return new Map(found.map(([, number, said]) => [Number(number), said!]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function table(name: string, rows: ReadonlyMap<number, string>, comment: string): string {
  const sorted = [...rows].sort(([a], [b]) => a - b);
  const lines = sorted.map(([number, said]) => `  ${number}: ${JSON.stringify(said)},\n`).join("");
  const type = "Readonly<Record<number, string>>";
  return `/** ${comment} */\nexport const ${name}: ${type} = {\n${lines}};\n`;
}
