/**
 * Globs over names: `*` any characters, `?` one character, `[abc]`, `[a-z]`, `[!a]` or `[^a]` one
 * of (or none of) a set, `\` takes the next character as it is. Matching goes back only to the last
 * `*`, so its time is bounded by pattern times text.
 */

/** One step of a pattern. */
type GlobStep =
  | { readonly kind: "char"; readonly char: string }
  | { readonly kind: "any-char" }
  | { readonly kind: "any-text" }
  | {
      readonly kind: "set";
      readonly isNegated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

export interface Glob {
  readonly pattern: string;
  readonly steps: readonly GlobStep[];
  /** The text before the first wildcard: every match starts with it. */
  readonly prefix: string;
  /** Runs of literal text, in order: every match contains each. */
  readonly literals: readonly string[];
}

/**
 * Whether the text has an unescaped wildcard. A `[` counts only with its `]`, and not in
 * `operator[]` or `[abi:…]`.
 */
export function isGlob(pattern: string): boolean {
  return parseGlob(pattern).steps.some((step) => step.kind !== "char");
}

export function parseGlob(pattern: string): Glob {
  const steps: GlobStep[] = [];
  let at = 0;
  while (at < pattern.length) {
    const char = pattern[at] as string;
    const set = char === "[" ? parseSet(pattern, at) : undefined;
    if (set !== undefined) {
      steps.push(set.step);
      at = set.end;
      continue;
    }
    if (char === "*") {
      if (steps.at(-1)?.kind !== "any-text") steps.push({ kind: "any-text" });
    } else if (char === "?") {
      steps.push({ kind: "any-char" });
    } else if (char === "\\" && at + 1 < pattern.length) {
      at += 1;
      steps.push({ kind: "char", char: pattern[at] as string });
    } else {
      steps.push({ kind: "char", char });
    }
    at += 1;
  }
  const literals = takeLiterals(steps);
  return { pattern, steps, literals, prefix: steps[0]?.kind === "char" ? (literals[0] ?? "") : "" };
}

/** Whether the whole text matches. */
export function matchesGlob(glob: Glob, text: string): boolean {
  const { steps } = glob;
  let stepAt = 0;
  let at = 0;
  let starStep = -1;
  let starAt = 0;
  while (at < text.length) {
    const step = steps[stepAt];
    if (step?.kind === "any-text") {
      starStep = stepAt;
      starAt = at;
      stepAt += 1;
    } else if (step !== undefined && matchesChar(step, text[at] as string)) {
      stepAt += 1;
      at += 1;
    } else if (starStep >= 0) {
      // The last * takes one character more.
      starAt += 1;
      at = starAt;
      stepAt = starStep + 1;
    } else {
      return false;
    }
  }
  while (steps[stepAt]?.kind === "any-text") stepAt += 1;
  return stepAt === steps.length;
}

function matchesChar(step: GlobStep, char: string): boolean {
  switch (step.kind) {
    case "char":
      return step.char === char;
    case "any-char":
      return true;
    case "set":
      return step.ranges.some(([low, high]) => char >= low && char <= high) !== step.isNegated;
    case "any-text":
      return false;
  }
}

/**
 * The set that starts at `[`, or undefined when it is none: `[]` is an operator of C++,
 * `[abi:cxx11]` a tag of its names.
 */
function parseSet(pattern: string, start: number): { step: GlobStep; end: number } | undefined {
  const close = pattern.indexOf("]", start + 2);
  if (close < 0 || pattern[start + 1] === "]" || pattern.startsWith("[abi:", start))
    return undefined;
  const isNegated = pattern[start + 1] === "!" || pattern[start + 1] === "^";
  const body = pattern.slice(start + (isNegated ? 2 : 1), close);
  if (body === "") return undefined;
  const ranges: [string, string][] = [];
  for (let at = 0; at < body.length; at += 1) {
    const low = body[at] as string;
    const high = body[at + 2];
    if (body[at + 1] === "-" && high !== undefined) {
      ranges.push([low, high]);
      at += 2;
    } else {
      ranges.push([low, low]);
    }
  }
  return { step: { kind: "set", isNegated, ranges }, end: close + 1 };
}

function takeLiterals(steps: readonly GlobStep[]): string[] {
  const literals: string[] = [];
  let literal = "";
  for (const step of steps) {
    if (step.kind === "char") {
      literal += step.char;
    } else if (literal !== "") {
      literals.push(literal);
      literal = "";
    }
  }
  if (literal !== "") literals.push(literal);
  return literals;
}
