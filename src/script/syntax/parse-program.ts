/**
 * From the text of a script to its tree: definitions in C, config, imports, maps, macros,
 * functions and probes, in any order, as nothing in the language depends on it.
 */

import { limits } from "../../base/limits.ts";
import { Diagnostics } from "../diagnostics.ts";
import type { Dialect } from "../dialect.ts";
import type { Source } from "../source.ts";
import { Cursor } from "./cursor.ts";
import { parseAttachPoints } from "./parse-attach-points.ts";
import { DefinitionParser } from "./parse-definitions.ts";
import { parseExpression } from "./parse-expression.ts";
import { parseBlock, parseBody } from "./parse-statement.ts";
import { parseTypeName } from "./parse-type.ts";
import { TokenStream } from "./token-stream.ts";
import type {
  Block,
  ConfigEntry,
  FunctionDefinition,
  Import,
  Macro,
  MapDeclaration,
  ProbeDefinition,
  Program,
  TypeName,
} from "./tree.ts";
import { findTooDeep } from "./tree-depth.ts";
import { PROVIDERS } from "./words.ts";

export interface ParseOptions {
  readonly dialect: Dialect;
  /** The target's types are known: BPFTRACE_HAVE_BTF is defined for the head of the script. */
  readonly hasTypes?: boolean;
}

/** @returns undefined when there were errors; all that were found are in the diagnostics. */
export function parseProgram(
  source: Source,
  options: ParseOptions,
  diagnostics: Diagnostics,
): Program | undefined {
  const found = new Diagnostics();
  const program = parseText(source, options, found);
  // In the order of the text, whoever found them; so many that nobody reads them are left out.
  const inOrder = [...found.all].sort((a, b) => a.range.start - b.range.start);
  for (const { severity, range, message, hint } of inOrder.slice(0, limits.scriptErrorCountMax)) {
    if (severity === "error") diagnostics.error(range, message, hint);
    else diagnostics.warning(range, message, hint);
  }
  return found.hasErrors ? undefined : program;
}

function parseText(source: Source, options: ParseOptions, diagnostics: Diagnostics): Program {
  const isTooLong = source.text.length > limits.scriptCharsMax;
  if (isTooLong) diagnostics.error({ source, start: 0, end: 0 }, "the script is too long");
  const defined = options.hasTypes === true ? ["BPFTRACE_HAVE_BTF"] : [];
  const stream = new TokenStream(
    isTooLong ? { ...source, text: "" } : source,
    defined,
    diagnostics,
  );
  const parser = new ProgramParser(new Cursor(stream, options.dialect, diagnostics));
  parser.parse();
  const range = { source, start: 0, end: source.text.length };
  const program = { range, ...parser.parts, definitions: parser.definitions.definitions };
  const tooDeep = findTooDeep(program);
  if (tooDeep !== undefined) {
    const message = `an expression has more than ${limits.scriptTreeDepthMax} levels`;
    diagnostics.error(tooDeep, message);
  }
  return program;
}

class ProgramParser {
  readonly parts: {
    readonly includes: TokenStream["includes"];
    readonly config: ConfigEntry[];
    readonly imports: Import[];
    readonly mapDeclarations: MapDeclaration[];
    readonly macros: Macro[];
    readonly functions: FunctionDefinition[];
    readonly probes: ProbeDefinition[];
  };
  readonly definitions: DefinitionParser;
  readonly #cursor: Cursor;
  #hasConfig = false;

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
    this.definitions = new DefinitionParser(cursor);
    this.parts = {
      includes: cursor.stream.includes,
      config: [],
      imports: [],
      mapDeclarations: [],
      macros: [],
      functions: [],
      probes: [],
    };
  }

  parse(): void {
    const cursor = this.#cursor;
    for (;;) {
      while (cursor.accept(";"));
      if (cursor.peek().kind === "end" && !cursor.hasFailed) return;
      this.#parseItem();
      if (!cursor.hasFailed) continue;
      if (cursor.hasTooManyErrors) return;
      this.#recover();
    }
  }

  /** Behind the block of what has an error in it, or in front of the next probe. */
  #recover(): void {
    const cursor = this.#cursor;
    const before = cursor.stream.peek(0);
    const isBehind = cursor.recover();
    cursor.restart();
    // In front of a `}` that closes nothing, or of the token that was the error: past it.
    const isStuck = cursor.peek() === before && !PROVIDERS.has(before.text);
    if (cursor.is("}") || (isBehind && isStuck)) cursor.next();
  }

  #parseItem(): void {
    const cursor = this.#cursor;
    const isHead = cursor.dialect === "head";
    const token = cursor.peek();
    const text = token.kind === "identifier" ? token.text : "";
    // No token behind it is looked at: what follows may be read as characters.
    const next = /\s*(\S?)/y;
    next.lastIndex = token.range.end;
    const char = next.exec(cursor.source.text)?.[1] ?? "";
    if (/^(?:struct|union|enum|typedef)$/.test(text)) return this.definitions.parse();
    if (text === "config" && char === "=") return this.#parseConfig();
    if (isHead && text === "import") return this.#parseImport();
    if (isHead && text === "let") return this.#parseMapDeclaration();
    if (isHead && text === "macro") return this.#parseMacro();
    if (isHead && (text === "fn" || text === "subprog")) return this.#parseFunction();
    this.#parseProbe(char === "=" && text !== "");
  }

  #parseConfig(): void {
    const cursor = this.#cursor;
    const { range: first } = cursor.next();
    cursor.requireHead(first, "config is");
    if (this.#hasConfig) cursor.failAt(first, "more than one config block");
    this.#hasConfig = true;
    cursor.expect("=");
    cursor.expect("{");
    while (!cursor.is("}") && !cursor.hasFailed) {
      const { start } = cursor.peek().range;
      const name = cursor.expectIdentifier();
      cursor.expect("=");
      const value = parseExpression(cursor);
      this.parts.config.push({ range: cursor.rangeFrom(start), name, value });
      if (!cursor.accept(";")) break;
    }
    cursor.expect("}");
  }

  #parseImport(): void {
    const cursor = this.#cursor;
    const { start } = cursor.next().range;
    if (cursor.peek().kind !== "string") cursor.fail("string");
    const path = cursor.next().text;
    this.parts.imports.push({ range: cursor.rangeFrom(start), path });
    cursor.accept(";");
  }

  #parseMapDeclaration(): void {
    const cursor = this.#cursor;
    const { start } = cursor.next().range;
    if (cursor.peek().kind !== "map") cursor.fail("map");
    const map = cursor.next().text;
    cursor.expect("=");
    const storage = cursor.expectIdentifier();
    cursor.expect("(");
    if (cursor.peek().kind !== "int") cursor.fail("integer");
    const keysMax = cursor.next().value;
    cursor.expect(")");
    this.parts.mapDeclarations.push({ range: cursor.rangeFrom(start), map, storage, keysMax });
    if (!cursor.hasFailed) cursor.expect(";");
  }

  #parseMacro(): void {
    const cursor = this.#cursor;
    const { start } = cursor.next().range;
    const name = cursor.expectIdentifier();
    const parameters: Macro["parameters"][number][] = [];
    cursor.expect("(");
    while (!cursor.is(")") && !cursor.hasFailed) {
      const token = cursor.peek();
      if (!["variable", "map", "identifier"].includes(token.kind)) cursor.fail("identifier");
      cursor.next();
      parameters.push({ range: token.range, name: token.text });
      if (!cursor.accept(",")) break;
    }
    cursor.expect(")");
    const bodyStart = cursor.peek().range.start;
    const { statements, value } = parseBody(cursor);
    const body: Block = { kind: "block", range: cursor.rangeFrom(bodyStart), statements };
    this.parts.macros.push({ range: cursor.rangeFrom(start), name, parameters, body, value });
  }

  #parseFunction(): void {
    const cursor = this.#cursor;
    const { start } = cursor.next().range;
    const name = cursor.expectIdentifier();
    const parameters: FunctionDefinition["parameters"][number][] = [];
    cursor.expect("(");
    while (!cursor.is(")") && !cursor.hasFailed) {
      const token = cursor.peek();
      if (token.kind !== "variable") cursor.fail("variable");
      cursor.next();
      cursor.expect(":");
      const type = parseTypeName(cursor);
      parameters.push({ range: cursor.rangeFrom(token.range.start), name: token.text, type });
      if (!cursor.accept(",")) break;
    }
    cursor.expect(")");
    const returns: TypeName = cursor.accept(":")
      ? parseTypeName(cursor)
      : {
          kind: "type",
          range: cursor.rangeFrom(start),
          base: { kind: "named", name: "void" },
          pointerDepth: 0,
          counts: [],
        };
    const body = parseBlock(cursor);
    const range = cursor.rangeFrom(start);
    this.parts.functions.push({ range, name, parameters, returns, body });
  }

  #parseProbe(hasName: boolean): void {
    const cursor = this.#cursor;
    const { range: first, text } = cursor.peek();
    if (hasName) {
      cursor.next();
      cursor.requireHead(first, "a name of a probe is");
      cursor.expect("=");
    }
    const points = parseAttachPoints(cursor);
    const predicate = cursor.accept("/")
      ? cursor.withPredicate(true, () => {
          const value = parseExpression(cursor);
          cursor.expect("/");
          return value;
        })
      : undefined;
    const body = parseBlock(cursor);
    if (cursor.hasFailed) return;
    const name = hasName ? text : undefined;
    const range = cursor.rangeFrom(first.start);
    this.parts.probes.push({ range, name, points, predicate, body });
  }
}
