/**
 * Command lines: options by table, so that what is parsed and what --help prints cannot differ. An
 * option is `--name value`, `--name=value`, `-n value` or `-nvalue`; switches of one letter may
 * stand together, as in `-lv`; `--` ends the options, and what stands after it is the command to
 * run.
 */

import { ToolError } from "../base/errors.ts";
import { findNearestWord } from "../base/nearest-word.ts";

export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value in the help; absent for a switch. */
  readonly value?: string;
  readonly repeats?: boolean;
  readonly help: string;
}

export interface CommandSpec {
  readonly name: string;
  readonly options: readonly OptionSpec[];
  /** Whether words after `--` are a command to run. */
  readonly takesCommand: boolean;
}

export class ParsedArguments {
  /** Words that are no options. */
  readonly positionals: readonly string[];
  /** Words after `--`; undefined without one. */
  readonly rest: readonly string[] | undefined;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(
    positionals: readonly string[],
    rest: readonly string[] | undefined,
    values: ReadonlyMap<string, readonly string[]>,
  ) {
    this.positionals = positionals;
    this.rest = rest;
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The last value given. */
  findValue(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A value that must be one of the choices. */
  findChoice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.findValue(name);
    if (value === undefined) return undefined;
    const choice = choices.find((candidate) => candidate === value);
    if (choice !== undefined) return choice;
    throw new ToolError("usage", `--${name} cannot be ${JSON.stringify(value)}`, {
      hint: `it is one of: ${choices.join(", ")}`,
    });
  }

  /** A whole number of at least `min`. */
  findInteger(name: string, min: number): number | undefined {
    const value = this.findValue(name);
    if (value === undefined) return undefined;
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (Number.isSafeInteger(number) && number >= min) return number;
    throw new ToolError(
      "usage",
      `--${name} needs a whole number of at least ${min}, not ${JSON.stringify(value)}`,
    );
  }

  /** A number above 0, fractions allowed. */
  findPositive(name: string): number | undefined {
    const value = this.findValue(name);
    if (value === undefined) return undefined;
    const number = /^\d*\.?\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number > 0 && number <= 2_000_000) return number;
    throw new ToolError(
      "usage",
      `--${name} needs a number of seconds above 0, not ${JSON.stringify(value)}`,
    );
  }
}

/** @throws ToolError usage */
export function parseArguments(spec: CommandSpec, argv: readonly string[]): ParsedArguments {
  const positionals: string[] = [];
  const values = new Map<string, string[]>();
  let rest: string[] | undefined;
  const words = [...argv];
  for (let index = 0; index < words.length; index++) {
    const cluster = splitCluster(spec, words[index]!);
    if (cluster !== undefined) words.splice(index, 1, ...cluster);
    const word = words[index]!;
    if (word === "--") {
      rest = words.slice(index + 1);
      break;
    }
    if (word === "-" || !word.startsWith("-")) {
      positionals.push(word);
      continue;
    }
    const { option, shown, attached } = readOption(spec, word);
    let value = attached ?? "";
    if (option.value !== undefined && attached === undefined) {
      const next = words[++index];
      if (next === undefined || next === "--") {
        throw usage(spec, `${shown} needs a value: ${shown} ${option.value}`);
      }
      value = next;
    }
    const given = values.get(option.name);
    if (given === undefined) values.set(option.name, [value]);
    else if (option.repeats || option.value === undefined) given.push(value);
    else throw usage(spec, `${shown} is given twice`);
  }
  if (rest !== undefined && !spec.takesCommand) {
    positionals.push(...rest);
    rest = undefined;
  }
  return new ParsedArguments(positionals, rest, values);
}

/** `-lv` as `-l` and `-v`; undefined for what is no cluster of which the first is a switch. */
function splitCluster(spec: CommandSpec, word: string): readonly string[] | undefined {
  if (!/^-[^-]./.test(word)) return undefined;
  const option = spec.options.find((candidate) => candidate.short === word[1]);
  return option === undefined || option.value !== undefined
    ? undefined
    : [word.slice(0, 2), `-${word.slice(2)}`];
}

interface ReadOption {
  readonly option: OptionSpec;
  /** As typed, for messages. */
  readonly shown: string;
  readonly attached: string | undefined;
}

function readOption(spec: CommandSpec, word: string): ReadOption {
  if (!word.startsWith("--")) {
    const option = spec.options.find((candidate) => candidate.short === word[1]);
    if (option === undefined) throw unknownOption(spec, word.slice(0, 2));
    const attached = word.length > 2 ? word.slice(2) : undefined;
    return { option, shown: `-${option.short}`, attached };
  }
  const equals = word.indexOf("=");
  const name = word.slice(2, equals === -1 ? undefined : equals);
  const option = spec.options.find((candidate) => candidate.name === name);
  if (option === undefined) throw unknownOption(spec, `--${name}`);
  const attached = equals === -1 ? undefined : word.slice(equals + 1);
  if (attached !== undefined && option.value === undefined) {
    throw usage(spec, `--${name} takes no value`);
  }
  return { option, shown: `--${name}`, attached };
}

function unknownOption(spec: CommandSpec, shown: string): ToolError {
  const nearest = findNearestWord(
    shown,
    spec.options.map((option) => `--${option.name}`),
  );
  const meant = shown.startsWith("--") && nearest !== undefined ? `did you mean ${nearest}? ` : "";
  return new ToolError("usage", `unknown option ${shown}`, {
    hint: `${meant}see: trapline ${spec.name} --help`.replace("  ", " "),
  });
}

function usage(spec: CommandSpec, message: string): ToolError {
  return new ToolError("usage", message, { hint: `see: trapline ${spec.name} --help` });
}
