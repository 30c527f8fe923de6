/**
 * Programs made wrong, by characters and by tokens, and some that are made to be too much: deep,
 * long, or growing without end.
 */

import type { Random } from "../../support/random.ts";

const PIECES = [
  ...["{", "}", "(", ")", "[", "]", ";", ",", ":", "/", "//", "/*", "*/", '"', "\\", "#", "$", "@"],
  ...["..", ".", "->", "++", "=", "==", "<<=", "?", "?:", "&", "*", "!", "-", "$1", "$#", "@x"],
  ...["if", "else", "for", "while", "unroll", "let", "return", "macro", "fn", "config", "import"],
  ...["struct", "union", "enum", "typedef", "sizeof", "offsetof", "typeof", "comptime", "uint8"],
  ...[
    "BEGIN",
    "kprobe:f",
    "uprobe:/bin/sh:main",
    "0x",
    "1e99",
    "99999999999999999999",
    "08",
    "5ms",
  ],
  ...[
    "\n#define A",
    "\n#define f(x) x x",
    "\n#if A",
    "\n#else",
    "\n#endif",
    "\n#ifdef",
    "\n#error",
  ],
  ...["\n", " ", "\t", "\r\n", "\0", "é", "\u{1f600}", "\ud800", "`", "'", "a", "A", "f(", "%"],
];

/** A program with up to some dozens of random changes. */
export function mutate(text: string, other: string, random: Random): string {
  let changed = text;
  for (let count = 1 + random.below(random.pick([2, 6, 30])); count > 0; count--) {
    changed = mutateOnce(changed, other, random);
  }
  return changed;
}

function mutateOnce(text: string, other: string, random: Random): string {
  const start = random.below(text.length + 1);
  const end = Math.min(text.length, start + random.below(random.pick([2, 10, 200])));
  const [before, middle, after] = [text.slice(0, start), text.slice(start, end), text.slice(end)];
  switch (random.below(8)) {
    case 0:
      return before + after;
    case 1:
      return before + random.pick(PIECES) + after;
    case 2:
      return before + random.pick(PIECES) + middle + after;
    case 3:
      return before + middle + middle + after;
    case 4: {
      const from = random.below(other.length + 1);
      return before + other.slice(from, from + random.below(100)) + middle + after;
    }
    case 5:
      return random.below(4) === 0 ? before : before + after;
    case 6:
      return mutateTokens(text, random);
    default:
      return before + String.fromCharCode(random.below(random.pick([128, 0x10000]))) + after;
  }
}

/** Two tokens change places, or one is doubled or left out. */
function mutateTokens(text: string, random: Random): string {
  const tokens = text.match(/[$@]?\w+|\s+|[^\w\s]/g) ?? [];
  if (tokens.length === 0) return text;
  const [one, two] = [random.below(tokens.length), random.below(tokens.length)];
  const token = tokens[one] as string;
  switch (random.below(3)) {
    case 0:
      tokens[one] = tokens[two] as string;
      tokens[two] = token;
      break;
    case 1:
      tokens.splice(two, 0, token);
      break;
    default:
      tokens.splice(one, 1);
  }
  return tokens.join("");
}

/** What costs most to read, each with its name. */
export function makeBombs(): ReadonlyMap<string, string> {
  const many = 20_000;
  const of = (text: string, count = many): string => text.repeat(count);
  const defines = Array.from({ length: 64 }, (_, i) => `#define A${i} A${i + 1} + A${i + 1}\n`);
  const calls = Array.from({ length: 60 }, (_, i) => `macro m${i}(x) { m${i + 1}(x + x) }\n`);
  return new Map([
    ["parentheses", `BEGIN { $x = ${of("(")}1${of(")")}; }`],
    ["braces", `BEGIN ${of("{ ")}${of("}")}`],
    ["unary operators", `BEGIN { $x = ${of("!")}1; }`],
    ["casts", `BEGIN { $x = ${of("(uint8)")}1; }`],
    ["a sum", `BEGIN { $x = 1${of(" + 1")}; }`],
    ["fields", `BEGIN { $x = $y${of(".a")}; }`],
    ["conditions", `BEGIN { $x = ${of("1 ? 2 : ")}3; }`],
    ["else if", `BEGIN { ${of("if (1) { } else ")}{ } }`],
    ["brackets", `BEGIN { ${of("@[")} }`],
    ["C structs", `${of("struct {")}${of("} x;")}`],
    ["C directives", `${of("#if 1\n")}`],
    ["C errors", `${of("#else\n")}`],
    ["C expressions", `#if ${of("(")}\n#endif\nBEGIN { }`],
    ["C names", `${defines.join("")}#if A0\n#endif\nBEGIN { $x = A0; }`],
    ["C arguments", `#define D(x) ${of("x ", 2000)}\nBEGIN { D(D(D(1 +))) }`],
    ["C words in a cast", `BEGIN { (${of("unsigned ")}`],
    ["stars in a cast", `BEGIN { (a${of("*")}`],
    ["a string", `BEGIN { $x = "${of("a\\n")}"; }`],
    ["a string without end", `BEGIN { $x = "${of('\\"')}`],
    ["a number", `BEGIN { $x = ${of("9")}; }`],
    ["a power", `BEGIN { $x = ${of("9")}e${of("9")}; }`],
    ["an attach point", `kprobe:${of("a:")} { }`],
    ["attach points", `${of("k:f,")}k:f { }`],
    ["nonsense", of("`\u{1f600}")],
    ["probes that are none", of("foo { }\n")],
    ["statements that are none", `BEGIN { ${of("1 2;")} }`],
    ["macros that double", `${calls.join("")}macro m60(x) { x }\nBEGIN { m0(1) }`],
    ["a macro in itself", "macro f(x) { f(x) }\nBEGIN { f(1) }"],
    ["blanks", `BEGIN {${of(" \t\n\\\n")}}`],
    ["comments", `BEGIN {${of("/**/")}}`],
  ]);
}
