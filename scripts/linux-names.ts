/**
 * Writes src/report/linux-names.gen.ts: names of errors with their messages, of signals and of
 * system calls, as this machine's headers and C library have them. Needs gcc with the headers of
 * Linux, and those of arm64 (Debian: linux-libc-dev, libc6-dev-arm64-cross).
 *
 * node --import tsx scripts/linux-names.ts
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./problems.ts";

const TARGET = "src/report/linux-names.gen.ts";

/** Other names of the same numbers: those by which nobody looks for them. */
const OTHER_NAMES = /^SIG(CLD|IOT|POLL|STKSZ)$/;

const errors = macrosOf("gcc", "<errno.h>").filter(({ name }) => /^E[A-Z0-9]+$/.test(name));
const messages = readMessages(errors.map(({ name }) => name));
const text = `/**
 * Names of Linux by their numbers: errors with their messages, signals, system calls. Made by
 * scripts/linux-names.ts.
 */

${table("ERRORS", messages, "Name and message.")}
${table("SIGNALS", nameSignals(), "Standard ones.")}
${table("SYSCALLS_X86_64", syscallsOf("gcc"), "Of x86-64.")}
${table("SYSCALLS_ARM64", syscallsOf("aarch64-linux-gnu-gcc"), "Of arm64.")}`;
writeFileSync(join(ROOT, TARGET), text);

interface Macro {
  readonly name: string;
  readonly value: string;
}

function macrosOf(compiler: string, header: string): readonly Macro[] {
  const input = `#define _GNU_SOURCE\n#include ${header}\n`;
  const output = execFileSync(compiler, ["-E", "-dM", "-"], { input, encoding: "utf8" });
  return [...output.matchAll(/^#define (\w+) (\S+)$/gm)].map(([, name, value]) => ({
    name: name!,
    value: value!,
  }));
}

function nameSignals(): ReadonlyMap<number, string> {
  const macros = macrosOf("gcc", "<signal.h>");
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

function syscallsOf(compiler: string): ReadonlyMap<number, string> {
  const macros = macrosOf(compiler, "<asm/unistd.h>");
  const numbers = new Map<number, string>();
  for (const { name } of macros) {
    const short = /^__NR_([a-z]\w*)$/.exec(name)?.[1];
    if (short === undefined || /^(syscalls|arch_specific_syscall)$/.test(short)) continue;
    const number = resolve(name, macros);
    if (number !== undefined) numbers.set(number, short);
  }
  return numbers;
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
