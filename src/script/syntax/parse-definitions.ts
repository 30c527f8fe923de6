/**
 * Definitions in C at the head of a script: struct, union, enum and typedef, with bit-fields,
 * arrays, pointers, pointers to functions, nameless members and `packed`. No other C.
 */

import type { Range } from "../source.ts";
import { evaluateConstant } from "./conditions.ts";
import type { Cursor } from "./cursor.ts";
import type { Token } from "./token.ts";
import type { CDefinition, CField, CTypeName } from "./tree.ts";
import { C_TYPE_WORDS } from "./words.ts";

const QUALIFIERS = /^(?:const|volatile|restrict|__restrict|register|static|extern|_Atomic)$/;
const AGGREGATES = /^(?:struct|union|enum)$/;
const BIT_FIELD_BITS_MAX = 64n;
const ARRAY_COUNT_MAX = 1n << 32n;

interface Attributes {
  isPacked: boolean;
}

interface Declarator {
  readonly range: Range;
  readonly name: string;
  readonly type: CTypeName;
}

/** Collects the definitions of one script, also those inside of others. */
export class DefinitionParser {
  readonly definitions: CDefinition[] = [];
  readonly #cursor: Cursor;
  readonly #enumerators = new Map<string, bigint>();

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  /** `struct x { ... };`, `typedef ...;`, to its `;`, which may be missing behind `}`. */
  parse(): void {
    const cursor = this.#cursor;
    const { start } = cursor.peek().range;
    if (!cursor.accept("typedef")) {
      this.#parseBase({ isPacked: false });
      this.#parseAttributes({ isPacked: false });
      cursor.accept(";");
      return;
    }
    const base = this.#parseBase({ isPacked: false });
    do {
      const { name, type } = this.#parseDeclarator(base);
      if (name === "") cursor.fail("identifier");
      cursor.typeNames.add(name);
      this.definitions.push({ kind: "typedef", range: cursor.rangeFrom(start), name, type });
    } while (cursor.accept(","));
    this.#parseAttributes({ isPacked: false });
    cursor.expect(";");
  }

  #parseBase(attributes: Attributes): CTypeName["base"] {
    const cursor = this.#cursor;
    this.#skipQualifiers(attributes);
    const token = cursor.peek();
    const base = AGGREGATES.test(token.text) ? this.#parseAggregate() : this.#parseNamedBase();
    this.#skipQualifiers(attributes);
    return base;
  }

  #parseNamedBase(): CTypeName["base"] {
    const cursor = this.#cursor;
    let name = cursor.expectIdentifier();
    const isBuiltIn = C_TYPE_WORDS.has(name);
    while (isBuiltIn && (C_TYPE_WORDS.has(cursor.peek().text) || cursor.is("const"))) {
      const word = cursor.next().text;
      if (word !== "const") name += ` ${word}`;
    }
    return { kind: "named", name };
  }

  /** `struct x`, or its definition, which then is one of the script's. */
  #parseAggregate(): CTypeName["base"] {
    const cursor = this.#cursor;
    const first = cursor.next();
    const kind = first.text as "struct" | "union" | "enum";
    const attributes = { isPacked: false };
    this.#parseAttributes(attributes);
    const name = cursor.peek().kind === "identifier" ? cursor.next().text : "";
    if (!cursor.is("{")) {
      if (name === "") cursor.fail("{");
      return { kind, name };
    }
    if (kind === "enum") return this.#parseEnum(first, name);
    const fields = cursor.nested(() => this.#parseFields());
    this.#parseAttributes(attributes);
    const { isPacked } = attributes;
    if (name === "") return { kind: "inline", isUnion: kind === "union", name, isPacked, fields };
    const range = cursor.rangeFrom(first.range.start);
    this.definitions.push({ kind, range, name, isPacked, fields });
    return { kind, name };
  }

  #parseEnum(first: Token, name: string): CTypeName["base"] {
    const cursor = this.#cursor;
    cursor.expect("{");
    const values: { name: string; value: bigint }[] = [];
    let next = 0n;
    while (!cursor.is("}") && !cursor.hasFailed) {
      const enumerator = cursor.expectIdentifier();
      if (cursor.accept("=")) next = this.#parseConstant([",", "}"]);
      values.push({ name: enumerator, value: next });
      this.#enumerators.set(enumerator, next);
      next++;
      if (!cursor.accept(",")) break;
    }
    cursor.expect("}");
    const range = cursor.rangeFrom(first.range.start);
    this.definitions.push({ kind: "enum", range, name, values });
    return name === "" ? { kind: "named", name: "unsigned int" } : { kind: "enum", name };
  }

  #parseFields(): CField[] {
    const cursor = this.#cursor;
    cursor.expect("{");
    const fields: CField[] = [];
    while (!cursor.is("}") && !cursor.hasFailed) {
      if (cursor.accept(";")) continue;
      const { start } = cursor.peek().range;
      const base = this.#parseBase({ isPacked: false });
      if (cursor.is(";")) {
        // Only a struct or union without a name is a member that way.
        const type: CTypeName = { base, pointerDepth: 0, counts: [] };
        const range = cursor.rangeFrom(start);
        if (base.kind === "inline") fields.push({ range, name: "", type, bitFieldBits: 0 });
        continue;
      }
      do fields.push(this.#parseField(base));
      while (cursor.accept(","));
      cursor.expect(";");
    }
    cursor.expect("}");
    return fields;
  }

  #parseField(base: CTypeName["base"]): CField {
    const cursor = this.#cursor;
    const { range, name, type } = this.#parseDeclarator(base);
    let bitFieldBits = 0;
    if (cursor.accept(":")) {
      const bits = this.#parseConstant([",", ";"]);
      if (bits < 0n || bits > BIT_FIELD_BITS_MAX) {
        cursor.failAt(range, `bit-field "${name}" has a width of ${bits} bits`);
      }
      bitFieldBits = Number(bits);
    } else if (name === "") {
      cursor.fail("identifier");
    }
    this.#parseAttributes({ isPacked: false });
    return { range, name, type, bitFieldBits };
  }

  /** `*name[4]`, `(*name)(int)`; no name for a bit-field that only fills up. */
  #parseDeclarator(base: CTypeName["base"]): Declarator {
    const cursor = this.#cursor;
    const { start } = cursor.peek().range;
    let pointerDepth = 0;
    for (; cursor.accept("*"); pointerDepth++) this.#skipQualifiers({ isPacked: false });
    if (cursor.is("(")) return this.#parsePointerDeclarator(start);
    const name = cursor.peek().kind === "identifier" ? cursor.next().text : "";
    const counts = this.#parseCounts();
    this.#parseAttributes({ isPacked: false });
    return { range: cursor.rangeFrom(start), name, type: { base, pointerDepth, counts } };
  }

  /**
   * LIMIT: `(*name)[4]`, a pointer to an array, is a `void *`: as large, and what it points to is
   * not known.
   */
  #parsePointerDeclarator(start: number): Declarator {
    const cursor = this.#cursor;
    cursor.expect("(");
    cursor.expect("*");
    let pointerDepth = 0;
    while (cursor.accept("*")) pointerDepth++;
    this.#skipQualifiers({ isPacked: false });
    const name = cursor.expectIdentifier();
    const counts = this.#parseCounts();
    cursor.expect(")");
    const range = cursor.rangeFrom(start);
    if (cursor.is("[")) {
      this.#parseCounts();
      const base: CTypeName["base"] = { kind: "named", name: "void" };
      return { range, name, type: { base, pointerDepth: pointerDepth + 1, counts } };
    }
    this.#skipParentheses();
    return { range, name, type: { base: { kind: "function" }, pointerDepth, counts } };
  }

  #parseCounts(): bigint[] {
    const cursor = this.#cursor;
    const counts: bigint[] = [];
    while (cursor.accept("[")) {
      const count = cursor.is("]") ? 0n : this.#parseConstant(["]"]);
      if (count < 0n || count > ARRAY_COUNT_MAX) {
        cursor.failAt(cursor.peek().range, `an array of ${count} elements`);
      }
      counts.push(count);
      cursor.expect("]");
    }
    return counts;
  }

  /** The value of the tokens in front of one of the texts. */
  #parseConstant(ends: readonly string[]): bigint {
    const cursor = this.#cursor;
    const { start } = cursor.peek().range;
    const tokens: Token[] = [];
    for (let depth = 0; cursor.peek().kind !== "end"; ) {
      const { text } = cursor.peek();
      if (depth === 0 && ends.includes(text)) break;
      if (text === "(") depth++;
      if (text === ")") depth--;
      tokens.push(cursor.next());
    }
    const value = evaluateConstant(tokens, (name) => this.#enumerators.get(name));
    if (value !== undefined) return value;
    cursor.failAt(cursor.rangeFrom(start), "expression is not an integer constant");
    return 0n;
  }

  #skipQualifiers(attributes: Attributes): void {
    const cursor = this.#cursor;
    for (;;) {
      this.#parseAttributes(attributes);
      const token = cursor.peek();
      if (token.kind !== "identifier" || !QUALIFIERS.test(token.text)) return;
      cursor.next();
    }
  }

  /** `__attribute__((packed))`; others change nothing that a script can see, but for `aligned`. */
  #parseAttributes(attributes: Attributes): void {
    const cursor = this.#cursor;
    while (cursor.is("__attribute__") || cursor.is("__packed")) {
      const { start } = cursor.peek().range;
      const first = cursor.next();
      const names = first.text === "__packed" ? ["packed"] : this.#skipParentheses();
      for (const name of names) {
        if (/^(?:__)?packed(?:__)?$/.test(name)) attributes.isPacked = true;
        if (/^(?:__)?aligned(?:__)?$/.test(name)) {
          const message = "the attribute aligned is ignored";
          cursor.diagnostics.warning(cursor.rangeFrom(start), message);
        }
      }
    }
  }

  /** Take `( ... )`. @returns the names in it. */
  #skipParentheses(): string[] {
    const cursor = this.#cursor;
    const names: string[] = [];
    cursor.expect("(");
    for (let depth = 1; depth > 0 && !cursor.hasFailed; ) {
      if (cursor.peek().kind === "end") cursor.fail(")");
      const token = cursor.next();
      if (token.text === "(") depth++;
      if (token.text === ")") depth--;
      if (token.kind === "identifier") names.push(token.text);
    }
    return names;
  }
}
