/**
 * Programs made at random, always the same from one seed: expressions of integers, casts, formats,
 * maps, histograms, control flow, tuples and texts. What bpftrace 0.17 leaves undefined or gets
 * wrong is not generated: shifts past the width, divisions by zero, negative firsts of max().
 */

import { Random } from "../differential/random.ts";
import type { Program } from "./programs.ts";

const CASTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
const LITERALS = [
  "0",
  "1",
  "2",
  "7",
  "100",
  "255",
  "256",
  "65535",
  "-1",
  "-5",
  "-300",
  "2147483648",
  "0xff00ff",
];
const DEPTH_MAX = 3;

type Maker = (random: Random) => string;

const MAKERS: readonly Maker[] = [
  makeExpressions,
  makeExpressions,
  makeCasts,
  makeFormat,
  makeFormat,
  makeMap,
  makeAggregates,
  makeHistogram,
  makeControl,
  makeTuples,
  makeTexts,
];

export function generatePrograms(seed: number, count: number): readonly Program[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) => {
    const make = MAKERS[index % MAKERS.length] as Maker;
    const name = `random-${seed}:${index} (${make.name.slice(4).toLowerCase()})`;
    return { name, kind: "action", text: make(random), args: [] };
  });
}

function repeat(random: Random, most: number, make: (index: number) => string): string[] {
  return Array.from({ length: 1 + random.below(most) }, (_, index) => make(index));
}

function literal(random: Random): string {
  if (random.oneIn(4)) return String(random.below(1000));
  return random.pick(LITERALS);
}

/** Of the variables $a, $b, $c and literals. */
function expression(random: Random, depth: number): string {
  if (depth === 0 || random.oneIn(5)) {
    return random.oneIn(2) ? `$${random.pick(["a", "b", "c"])}` : literal(random);
  }
  const left = expression(random, depth - 1);
  switch (random.below(8)) {
    case 0:
      return `(${left} << ${random.below(32)})`;
    case 1:
      return `(${left} >> ${random.below(32)})`;
    case 2:
      return `(${left} ${random.pick(["/", "%"])} ${1 + random.below(50)})`;
    case 3:
      return `(${left} ${random.pick(["<", "<=", ">", ">=", "==", "!="])} ${expression(random, depth - 1)})`;
    case 4:
      return `(${left} ${random.pick(["&&", "||"])} ${expression(random, depth - 1)})`;
    case 5:
      return `${random.pick(["!", "~", "-"])}(${left})`;
    default:
      return `(${left} ${random.pick(["+", "-", "*", "&", "|", "^"])} ${expression(random, depth - 1)})`;
  }
}

/** Values that no compiler knows: of the probe's argument, and each of another type. */
function declare(random: Random): string {
  return ["a", "b", "c"]
    .map((name) => {
      const value = `(arg0 + ${random.below(1000)}) * ${1 + random.below(70_000)}`;
      return `$${name} = (${random.pick(CASTS)})(${value});`;
    })
    .join(" ");
}

function makeExpressions(random: Random): string {
  // 0.17 shows a negated narrow value as if it had no sign, where nothing is done to it.
  const shown = repeat(random, 3, () => `0 + ${expression(random, DEPTH_MAX)}`);
  const format = shown.map(() => random.pick(["%lld", "%llu", "%llx", "%d"])).join(" ");
  return `${declare(random)} printf("${format}\\n", ${shown.join(", ")})`;
}

function makeCasts(random: Random): string {
  const value = (): string => {
    // One as wide as the other: 0.17 extends by the sign of the wider type.
    const bits = random.pick(["8", "16", "32", "64"]);
    const [outer, inner] = [random.pick(["int", "uint"]), random.pick(["int", "uint"])];
    return `(${outer}${bits})(${inner}${bits})(0 + ${expression(random, 1)})`;
  };
  const shown = repeat(random, 3, value);
  return `${declare(random)} print(${value()}); printf("${shown.map(() => "%lld").join(" ")}\\n", ${shown.join(", ")})`;
}

function makeFormat(random: Random): string {
  const args: string[] = [];
  const pieces = repeat(random, 5, () => {
    const left = random.oneIn(3) ? "-" : "";
    const zero = random.oneIn(4) ? "0" : "";
    const width = random.oneIn(2) ? "" : String(1 + random.below(20));
    const precision = random.oneIn(4) ? `.${random.below(9)}` : "";
    const conversion = random.pick(["d", "u", "x", "X", "o", "s", "c", "p"]);
    if (conversion === "s") {
      args.push(`"${"abcdefghij".slice(0, random.below(10))}"`);
      return `%${left}${width}${precision}s`;
    }
    if (conversion === "c") {
      args.push(String(32 + random.below(90)));
      return `%${left}${width}c`;
    }
    args.push(literal(random));
    if (conversion === "p") return `%${left}${width}p`;
    const length = random.pick(["", "", "h", "hh", "l", "ll", "j", "z", "t"]);
    return `%${left}${zero}${width}${precision}${length}${conversion}`;
  });
  return `printf("|${pieces.join("|")}|\\n", ${args.join(", ")})`;
}

function makeMap(random: Random): string {
  const kind = random.below(3);
  const key = (): string => {
    const number = String(random.below(4));
    if (kind === 0) return number;
    const text = `"${random.pick(["a", "b", "cd"])}"`;
    return kind === 1 ? text : `${number}, ${text}`;
  };
  const steps = repeat(random, 8, () => {
    const entry = `@[${key()}]`;
    return random.pick([
      `${entry} = ${random.below(100)};`,
      `${entry}++;`,
      `${entry}--;`,
      `${entry} += ${random.below(50)};`,
      `${entry} = @[${key()}] + 1;`,
      `delete(${entry});`,
      `if (@[${key()}] > 5) { ${entry} = ${random.below(10)}; }`,
    ]);
  });
  return `@[${key()}] = ${random.below(100)}; ${steps.join(" ")}`;
}

function makeAggregates(random: Random): string {
  const name = random.pick(["count", "sum", "min", "max", "avg", "stats"]);
  const isKeyed = random.oneIn(2);
  const steps = repeat(random, 6, () => {
    const value = name === "max" ? random.below(1000) : random.below(2000) - 1000;
    const key = isKeyed ? `[${random.below(3)}]` : "";
    return `@${key} = ${name}(${name === "count" ? "" : value});`;
  });
  const shown =
    isKeyed && name !== "stats" && random.oneIn(3) ? ` print(@, 2, ${1 + random.below(4)})` : "";
  return steps.join(" ") + shown;
}

function makeHistogram(random: Random): string {
  const isKeyed = random.oneIn(3);
  const min = random.below(20) - 5;
  const step = 1 + random.below(10);
  const max = min + step * (1 + random.below(12)) + random.below(step);
  const isLinear = random.oneIn(2);
  // A program has to be small enough for bpftrace's verifier.
  return repeat(random, isKeyed ? 5 : 8, (index) => {
    // The bounds have to be literals that are not negative.
    const bounds = `, ${Math.max(0, min)}, ${Math.max(0, min) + (max - min)}, ${step}`;
    const value = random.below(1 << random.below(20)) - (random.oneIn(5) ? 10 : 0);
    const key = isKeyed ? `["k${"x".repeat(index)}"]` : "";
    const one = `@${key} = ${isLinear ? `lhist(${value}${bounds})` : `hist(${value})`};`;
    // Each key more often than the one before, so that none are equal.
    return isKeyed ? Array.from({ length: index + 1 }, () => one).join(" ") : one;
  }).join(" ");
}

function makeControl(random: Random): string {
  const body = (depth: number): string => {
    const say = `printf("${random.pick(["a", "b", "c", "d"])}%d ", $i);`;
    if (depth === 0) return say;
    const condition = `$i ${random.pick(["<", ">", "==", "!=", "<="])} ${random.below(6)}`;
    return `if (${condition}) { ${body(depth - 1)} } else { ${body(depth - 1)} ${say} }`;
  };
  const extra = random.pick([
    "",
    "",
    "if ($i == 4) { break } ",
    "if ($i == 2) { $i++; continue } ",
  ]);
  if (random.oneIn(3))
    return `$i = 0; unroll(${1 + random.below(5)}) { ${body(1)} $i++; } printf("\\n")`;
  return `$i = 0; while ($i < ${2 + random.below(6)}) { ${extra}${body(1)} $i++; } printf("\\n")`;
}

function makeTuples(random: Random): string {
  const element = (depth: number): string => {
    if (depth > 0 && random.oneIn(3)) return `(${element(depth - 1)}, ${element(depth - 1)})`;
    return random.oneIn(3)
      ? `"${random.pick(["x", "yz", "abc"])}"`
      : `(${random.pick(CASTS)})${literal(random)}`;
  };
  const tuple = `(${repeat(random, 3, () => element(2)).join(", ")}, 1)`;
  return `$t = ${tuple}; print($t); @ = $t`;
}

function makeTexts(random: Random): string {
  const texts = ["abc", "abd", "text", "te", "x"];
  const one = random.pick(texts);
  const two = random.pick(texts);
  const count = 1 + random.below(4);
  return random.pick([
    `printf("%d %d\\n", "${one}" == "${two}", "${one}" != "${two}")`,
    `printf("%d\\n", strncmp("${one}", "${two}", ${count}))`,
    `printf("<%s>\\n", str(arg1, ${count}))`,
    `printf("%r %rx\\n", buf(arg1, ${count}), buf(arg1, ${count}))`,
    `if (str(arg1) == "${one}") { print("${one}") } else { print("${two}") }`,
    `@["${one}"] = count(); @["${two}"] = count(); @["${one}"] = count()`,
    `$s = ${count} > 2 ? "${one}" : "${one}"; printf("%${count + 3}s|%-${count + 3}s|\\n", $s, "${two}")`,
  ]);
}
