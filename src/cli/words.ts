/**
 * Splitting a command line into words as a POSIX shell does (Shell Command Language, 2.2 Quoting),
 * without running one: blanks, single and double quotes and backslashes. What only a shell can do
 * is refused.
 */

import { ToolError } from "../base/errors.ts";

/** Unquoted characters with a meaning beyond a word. */
const SHELL_CHARACTERS = /[|&;<>()`$*?#~[\]!]/;

/**
 * @throws ToolError usage, for a quote that is not closed, no words at all, or a need for a shell.
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let position = 0;
  while (position < line.length) {
    if (isBlank(line[position]!)) {
      position++;
      continue;
    }
    const { word, end } = readWord(line, position);
    words.push(word);
    position = end;
  }
  if (words.length === 0) throw new ToolError("usage", "the command is empty");
  if (/^[A-Za-z_]\w*=/.test(line.trimStart())) {
    throw new ToolError(
      "usage",
      `cannot set a variable in ${JSON.stringify(line)} without a shell`,
      {
        hint: `use env: -c 'env ${line.trim()}'`,
      },
    );
  }
  return words;
}

function readWord(line: string, start: number): { word: string; end: number } {
  let word = "";
  let position = start;
  while (position < line.length) {
    const character = line[position]!;
    if (isBlank(character)) break;
    if (character === "'") {
      const close = line.indexOf("'", position + 1);
      if (close === -1) throw unclosed(line, "'");
      word += line.slice(position + 1, close);
      position = close + 1;
    } else if (character === '"') {
      const quoted = readDoubleQuoted(line, position + 1);
      word += quoted.text;
      position = quoted.end;
    } else if (character === "\\") {
      if (position + 1 === line.length) throw unclosed(line, "\\");
      // A backslash and a line feed continue the line.
      if (line[position + 1] !== "\n") word += line[position + 1]!;
      position += 2;
    } else {
      if (character === "\n" || needsShell(line, position, start))
        throw shellNeeded(line, character);
      word += character;
      position++;
    }
  }
  return { word, end: position };
}

function readDoubleQuoted(line: string, start: number): { text: string; end: number } {
  let text = "";
  for (let position = start; position < line.length; position++) {
    const character = line[position]!;
    if (character === '"') return { text, end: position + 1 };
    if (character === "$" || character === "`") throw shellNeeded(line, character);
    const next = line[position + 1];
    if (character === "\\" && next !== undefined && '$`"\\\n'.includes(next)) {
      if (next !== "\n") text += next;
      position++;
    } else text += character;
  }
  throw unclosed(line, '"');
}

function needsShell(line: string, position: number, wordStart: number): boolean {
  const character = line[position]!;
  if (!SHELL_CHARACTERS.test(character)) return false;
  switch (character) {
    // Special at the start of a word only.
    case "#":
    case "~":
      return position === wordStart;
    // As a word of its own these are commands or arguments: `[ -f x ]`, `find . ! -name x`.
    case "[":
    case "]":
    case "!":
      return character === "[" && (position !== wordStart || !isBlankAt(line, position + 1));
    default:
      return true;
  }
}

function isBlank(character: string): boolean {
  return character === " " || character === "\t";
}

function isBlankAt(line: string, position: number): boolean {
  return position >= line.length || isBlank(line[position]!);
}

function unclosed(line: string, quote: string): ToolError {
  return new ToolError("usage", `${quote} is not closed in ${JSON.stringify(line)}`);
}

function shellNeeded(line: string, character: string): ToolError {
  const shown = character === "\n" ? "a line feed" : character;
  const quoted = `'${line.replaceAll("'", "'\\''")}'`;
  return new ToolError("usage", `${shown} in the command needs a shell, and none is run`, {
    hint: `quote it, or run a shell: -- sh -c ${quoted}`,
  });
}
