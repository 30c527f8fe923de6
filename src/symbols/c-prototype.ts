/**
 * C prototypes as text, for showing arguments by name and type: `ssize_t write(int fd, const void
 * *buf, size_t n)`. Sizes are those of LP64 Linux (x86-64 and arm64). Not a C parser: one function
 * and the types that it needs, without bodies, arrays of arrays, bit fields or attributes.
 *
 *   text        = { definition ";" } prototype
 *   definition  = aggregate | "typedef" (aggregate | specifiers) member
 *   aggregate   = ("struct" | "union") [name] "{" { specifiers member {"," member} ";" } "}"
 *   member      = {"*"} name ["[" number "]"]  |  "(" "*" name ")" "(" parameters ")"
 *   prototype   = specifiers declarator "(" parameters ")" [";"]
 *   specifiers  = { qualifier | type word | "struct" name | "union" name | "enum" name | typedef name | aggregate }
 *   parameter   = specifiers {"*" {qualifier}} [name] {"[" … "]"}  |  specifiers "(" "*" [name] ")" "(" parameters ")"
 */

import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { layOutMembers } from "./c-layout.ts";

export type CType =
  | { readonly kind: "void" }
  | { readonly kind: "bool" }
  | {
      readonly kind: "int";
      readonly widthBits: 8 | 16 | 32 | 64 | 128;
      readonly signed: boolean;
      readonly name: string;
    }
  | { readonly kind: "float"; readonly widthBits: 32 | 64 | 128; readonly name: string }
  /** char * or const char *: text up to a NUL. */
  | { readonly kind: "cstring"; readonly isConst: boolean }
  | { readonly kind: "pointer"; readonly to: CType; readonly isConst: boolean }
  | {
      readonly kind: "function";
      readonly returnType: CType;
      readonly parameters: readonly CParameter[];
      readonly isVariadic: boolean;
    }
  | CAggregate
  /** Only as a member of an aggregate. */
  | { readonly kind: "array"; readonly element: CType; readonly count: number }
  /** A struct or union, or a typedef that is not known: only pointers to it can be passed on. */
  | { readonly kind: "named"; readonly name: string };

/** A struct or union whose members are known. */
export interface CAggregate {
  readonly kind: "aggregate";
  /** As it is called where it is used: `struct point`, or the name of a typedef. */
  readonly name: string;
  readonly members: readonly CMember[];
  readonly sizeBytes: number;
  readonly alignBytes: number;
}

export interface CMember {
  readonly name: string;
  readonly type: CType;
  readonly offsetBytes: number;
}

export interface CParameter {
  /** Undefined where the prototype gives none. */
  readonly name: string | undefined;
  readonly type: CType;
}

export interface CPrototype {
  readonly name: string;
  readonly returnType: CType;
  readonly parameters: readonly CParameter[];
  /** Ends in `...`. */
  readonly isVariadic: boolean;
}

/** Parse one prototype, and the types defined before it.  @throws ToolError usage */
export function parsePrototype(text: string): CPrototype {
  if (text.length > limits.prototypeCharsMax) {
    throw wrong(
      `${text.slice(0, 60)}…`,
      `it is longer than prototypeCharsMax ${limits.prototypeCharsMax}`,
    );
  }
  return new PrototypeParser(text).parse();
}

/** Print a prototype, so that parsing it again gives the same. */
export function printPrototype(prototype: CPrototype): string {
  const list = printParameters(prototype.parameters, prototype.isVariadic);
  return printDeclaration(prototype.returnType, `${prototype.name}(${list})`);
}

/** Print a type as C writes it, without a name: `const char *`. */
export function printType(type: CType): string {
  return printDeclaration(type, "");
}

function printParameters(parameters: readonly CParameter[], isVariadic: boolean): string {
  const texts = parameters.map((parameter) =>
    printDeclaration(parameter.type, parameter.name ?? ""),
  );
  if (isVariadic) texts.push("...");
  return texts.length === 0 ? "void" : texts.join(", ");
}

/** `declarator` is what stands where the name would. */
function printDeclaration(type: CType, declarator: string): string {
  switch (type.kind) {
    case "void":
    case "bool":
      return join(type.kind, declarator);
    case "int":
    case "float":
    case "named":
    case "aggregate":
      return join(type.name, declarator);
    case "array":
      return printDeclaration(type.element, `${declarator}[${type.count}]`);
    case "cstring":
      return `${type.isConst ? "const " : ""}char *${declarator}`;
    case "pointer": {
      if (type.to.kind === "function") return printDeclaration(type.to, `(*${declarator})`);
      const target = printDeclaration(type.to, `*${declarator}`);
      return type.isConst ? `const ${target}` : target;
    }
    case "function":
      return printDeclaration(
        type.returnType,
        `${declarator}(${printParameters(type.parameters, type.isVariadic)})`,
      );
  }
}

function join(name: string, declarator: string): string {
  return declarator === "" ? name : `${name} ${declarator}`;
}

const qualifiers: ReadonlySet<string> = new Set([
  ...[
    "const",
    "volatile",
    "restrict",
    "__restrict",
    "__restrict__",
    "extern",
    "static",
    "inline",
    "register",
  ],
  ...["__inline", "__extension__", "_Noreturn", "_Nonnull", "_Nullable", "__const"],
]);

const typeWords: ReadonlySet<string> = new Set([
  ...[
    "void",
    "char",
    "short",
    "int",
    "long",
    "signed",
    "unsigned",
    "float",
    "double",
    "_Bool",
    "bool",
    "__int128",
  ],
]);

/**
 * Typedefs of the C standard, POSIX and Linux that are integers: `i` or `u` and the width in bits.
 */
const integerTypedefs: ReadonlyMap<string, string> = new Map(
  [
    "i8 int8_t",
    "i16 int16_t",
    "i32 int32_t wchar_t pid_t key_t clockid_t wctrans_t",
    "i32 errno_t",
    "i64 int64_t ssize_t off_t off64_t loff_t time_t time64_t suseconds_t ptrdiff_t intptr_t intmax_t clock_t",
    "i64 blkcnt_t blkcnt64_t blksize_t quad_t int_fast16_t int_fast32_t int_fast64_t regoff_t",
    "u8 uint8_t u_char Bytef Byte",
    "u16 uint16_t sa_family_t in_port_t u_short",
    "i8 int_least8_t int_fast8_t",
    "u32 uint32_t mode_t uid_t gid_t id_t socklen_t useconds_t in_addr_t u_int uInt pthread_key_t wint_t tcflag_t speed_t",
    "u64 uint64_t size_t rsize_t dev_t ino_t ino64_t nlink_t rlim_t rlim64_t fsblkcnt_t fsfilcnt_t uintptr_t uintmax_t",
    "u64 pthread_t u_long uLong uLongf nfds_t z_size_t wctype_t fsblkcnt64_t fsfilcnt64_t",
    "i32 pthread_once_t pthread_spinlock_t",
    "i64 z_off_t z_off64_t",
  ].flatMap((line) => {
    const [width = "", ...names] = line.split(" ");
    return names.map((name) => [name, width] as const);
  }),
);

type Token = { readonly kind: "word" | "mark"; readonly text: string };

const tokenPattern = /\s*(?:([A-Za-z_]\w*)|(\.\.\.|[*()[\]{}:,;])|(\d\w*)|(.))/gsy;

class PrototypeParser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  /** Types that the text defines: `struct point`, or the name of a typedef. */
  readonly #defined = new Map<string, CType>();
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#tokenize();
  }

  parse(): CPrototype {
    while (this.#parseDefinition());
    const returnType = this.#parsePointers(this.#parseSpecifiers(), 0);
    // `void (*signal(int sig, void (*handler)(int)))(int)`: the return type stands around the rest.
    const isWrapped = this.#accept("(") && this.#expect("*");
    const name = this.#takeWord();
    if (name === undefined) throw this.#wrong("the function's name is missing");
    this.#expect("(");
    const { parameters, isVariadic } = this.#parseParameters(1);
    const wrapped = isWrapped ? this.#parseWrapping(returnType) : returnType;
    this.#accept(";");
    if (this.#at < this.#tokens.length) throw this.#wrong(`\`${this.#peek()}\` is not expected`);
    return { name, returnType: wrapped, parameters, isVariadic };
  }

  /** A type defined for the prototype's sake. False where none is. */
  #parseDefinition(): boolean {
    if (this.#accept("typedef")) {
      const base = this.#parseSpecifiers();
      const { name, type } = this.#parseMember(base);
      const isUnnamed = type.kind === "aggregate" && !type.name.includes(" ");
      this.#defined.set(name, isUnnamed ? { ...type, name } : type);
      this.#expect(";");
      return true;
    }
    const [tag, , brace] = this.#tokens.slice(this.#at, this.#at + 3).map((token) => token.text);
    if ((tag !== "struct" && tag !== "union") || brace !== "{") return false;
    const start = this.#at;
    this.#parseSpecifiers();
    if (this.#accept(";")) return true;
    // The prototype's own return type, defined on the way.
    this.#at = start;
    return false;
  }

  /** After `struct` or `union`, where members follow. */
  #parseAggregate(isUnion: boolean, tag: string | undefined): CAggregate {
    const members: { name: string; type: CType }[] = [];
    this.#depth += 1;
    if (this.#depth > limits.typeDepthMax)
      throw this.#wrong(`it is deeper than typeDepthMax ${limits.typeDepthMax}`);
    while (!this.#accept("}")) {
      const base = this.#parseSpecifiers();
      do {
        const member = this.#parseMember(base);
        if (members.some((other) => other.name === member.name))
          throw this.#wrong(`it has two members \`${member.name}\``);
        members.push(member);
        if (members.length > limits.parameterCountMax)
          throw this.#wrong(
            `it has more members than parameterCountMax ${limits.parameterCountMax}`,
          );
      } while (this.#accept(","));
      if (this.#peek() === ":") throw this.#wrong("bit fields are not known here");
      this.#expect(";");
    }
    this.#depth -= 1;
    const word = isUnion ? "union" : "struct";
    const laid = layOutMembers(members, isUnion);
    if (typeof laid === "string") throw this.#wrong(laid);
    if (members.length === 0) throw this.#wrong(`a \`${word}\` has no members`);
    const name = tag === undefined ? word : `${word} ${tag}`;
    const aggregate: CAggregate = { kind: "aggregate", name, ...laid };
    if (tag !== undefined) this.#defined.set(name, aggregate);
    return aggregate;
  }

  #parseMember(base: { type: CType; isConst: boolean }): { name: string; type: CType } {
    const type = this.#parsePointers(base, 0);
    if (this.#accept("(")) {
      const pointer = this.#parseFunctionPointer(type, 1);
      if (pointer.name === undefined) throw this.#wrong("a member has no name");
      return { name: pointer.name, type: pointer.type };
    }
    const name = this.#takeWord();
    if (name === undefined) throw this.#wrong("a member has no name");
    if (!this.#accept("[")) return { name, type };
    const digits = this.#peek();
    const count = Number(digits);
    if (!Number.isInteger(count) || count < 1)
      throw this.#wrong(`\`${digits}\` is no number of elements`);
    this.#at += 1;
    this.#expect("]");
    if (this.#peek() === "[") throw this.#wrong("arrays of arrays are not known here");
    return { name, type: { kind: "array", element: type, count } };
  }

  #parseWrapping(returnType: CType): CType {
    this.#expect(")");
    this.#expect("(");
    const inner = this.#parseParameters(1);
    return { kind: "pointer", to: { kind: "function", returnType, ...inner }, isConst: false };
  }

  /** After `(`, up to and with `)`. */
  #parseParameters(depth: number): { parameters: CParameter[]; isVariadic: boolean } {
    if (depth > limits.typeDepthMax)
      throw this.#wrong(`it is deeper than typeDepthMax ${limits.typeDepthMax}`);
    const parameters: CParameter[] = [];
    if (this.#accept(")")) return { parameters, isVariadic: false };
    for (;;) {
      if (this.#accept("...")) {
        this.#expect(")");
        return { parameters, isVariadic: true };
      }
      const parameter = this.#parseParameter(depth);
      const isLast = this.#accept(")");
      if (parameter.type.kind === "void") {
        const isEmptyList = isLast && parameters.length === 0 && parameter.name === undefined;
        if (isEmptyList) return { parameters, isVariadic: false };
        throw this.#wrong("a parameter cannot be void");
      }
      parameters.push(parameter);
      if (parameters.length > limits.parameterCountMax) {
        throw this.#wrong(
          `it has more parameters than parameterCountMax ${limits.parameterCountMax}`,
        );
      }
      if (isLast) return { parameters, isVariadic: false };
      this.#expect(",");
    }
  }

  #parseParameter(depth: number): CParameter {
    const base = this.#parsePointers(this.#parseSpecifiers(), depth);
    if (this.#accept("(")) return this.#parseFunctionPointer(base, depth);
    const name = this.#takeWord();
    if (this.#accept("(")) {
      // `int compare(const void *, const void *)` as a parameter is a pointer too.
      const inner = this.#parseParameters(depth + 1);
      return { name, type: pointerTo({ kind: "function", returnType: base, ...inner }, false) };
    }
    return { name, type: this.#parseArray(base) };
  }

  #parseFunctionPointer(returnType: CType, depth: number): CParameter {
    this.#expect("*");
    let stars = 1;
    while (this.#accept("*") || this.#acceptQualifier()) stars += this.#previous() === "*" ? 1 : 0;
    if (stars > limits.typeDepthMax)
      throw this.#wrong(`it is deeper than typeDepthMax ${limits.typeDepthMax}`);
    const name = this.#takeWord();
    this.#expect(")");
    this.#expect("(");
    const inner = this.#parseParameters(depth + 1);
    let type: CType = { kind: "function", returnType, ...inner };
    for (let index = 0; index < stars; index += 1) type = pointerTo(type, false);
    return { name, type };
  }

  /** `[2]` behind a parameter's name makes it a pointer. */
  #parseArray(element: CType): CType {
    if (!this.#accept("[")) return element;
    while (!this.#accept("]")) this.#skip();
    if (this.#peek() === "[") throw this.#wrong("arrays of arrays are not known here");
    return pointerTo(element, false);
  }

  #parsePointers(specified: { type: CType; isConst: boolean }, depth: number): CType {
    let { type, isConst } = specified;
    for (let stars = depth; this.#accept("*"); stars += 1) {
      if (stars >= limits.typeDepthMax)
        throw this.#wrong(`it is deeper than typeDepthMax ${limits.typeDepthMax}`);
      type = pointerTo(type, isConst);
      isConst = false;
      // A const pointer is, to its reader, a pointer.
      while (this.#acceptQualifier());
    }
    return type;
  }

  #parseSpecifiers(): { type: CType; isConst: boolean } {
    const words: string[] = [];
    let isConst = false;
    for (;;) {
      if (this.#acceptQualifier()) {
        isConst ||= /const/.test(this.#previous());
        continue;
      }
      const word = this.#peekWord();
      if (word === undefined) break;
      const isTag = word === "struct" || word === "union" || word === "enum";
      // A second name after the type is that of the parameter.
      if (
        words.length > 0 &&
        !(typeWords.has(word) && words.every((other) => typeWords.has(other)))
      )
        break;
      this.#at += 1;
      if (!isTag) {
        words.push(word);
        continue;
      }
      const tag = this.#takeWord();
      if (word !== "enum" && this.#accept("{")) {
        const type = this.#parseAggregate(word === "union", tag);
        while (this.#acceptQualifier()) isConst ||= /const/.test(this.#previous());
        return { type, isConst };
      }
      if (tag === undefined) throw this.#wrong(`\`${word}\` has no name`);
      words.push(`${word} ${tag}`);
    }
    if (words.length === 0) throw this.#wrong("a type is missing");
    const type = this.#typeOf(words);
    return { type, isConst };
  }

  #typeOf(words: readonly string[]): CType {
    const name = words.join(" ");
    const known = this.#defined.get(name) ?? typeOfWords(words);
    if (known === undefined) throw this.#wrong(`\`${name}\` is no type`);
    return known;
  }

  #tokenize(): Token[] {
    const tokens: Token[] = [];
    for (const match of this.#text.trim().matchAll(tokenPattern)) {
      const [, word, mark, number, other] = match;
      if (other !== undefined) throw this.#wrong(`\`${other}\` does not belong here`);
      if (word !== undefined) tokens.push({ kind: "word", text: word });
      else tokens.push({ kind: "mark", text: mark ?? number ?? "" });
    }
    return tokens;
  }

  #peek(): string {
    return this.#tokens[this.#at]?.text ?? "the end";
  }

  #previous(): string {
    return this.#tokens[this.#at - 1]?.text ?? "";
  }

  #peekWord(): string | undefined {
    const token = this.#tokens[this.#at];
    return token?.kind === "word" ? token.text : undefined;
  }

  #takeWord(): string | undefined {
    const word = this.#peekWord();
    if (word !== undefined) this.#at += 1;
    return word;
  }

  #accept(text: string): boolean {
    const isNext = this.#tokens[this.#at]?.text === text;
    if (isNext) this.#at += 1;
    return isNext;
  }

  #acceptQualifier(): boolean {
    const word = this.#peekWord();
    if (word === undefined || !qualifiers.has(word)) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): boolean {
    if (this.#accept(text)) return true;
    throw this.#wrong(`\`${text}\` is missing before \`${this.#peek()}\``);
  }

  #skip(): void {
    if (this.#at >= this.#tokens.length) throw this.#wrong("`]` is missing");
    this.#at += 1;
  }

  #wrong(why: string): ToolError {
    return wrong(this.#text, why);
  }
}

function pointerTo(type: CType, isConst: boolean): CType {
  if (type.kind === "int" && type.name === "char") return { kind: "cstring", isConst };
  return { kind: "pointer", to: type, isConst };
}

function typeOfWords(words: readonly string[]): CType | undefined {
  const name = words.join(" ");
  const first = words[0] as string;
  if (name === "void") return { kind: "void" };
  if (name === "bool" || name === "_Bool") return { kind: "bool" };
  if (name === "float") return { kind: "float", widthBits: 32, name };
  if (name === "double") return { kind: "float", widthBits: 64, name };
  // Eighty bits on x86-64, kept in 16 bytes.
  if (name === "long double" || name === "double long")
    return { kind: "float", widthBits: 128, name: "long double" };
  if (typeWords.has(first)) return integerOfWords(words);
  const typedef = integerTypedefs.get(name);
  if (typedef !== undefined) {
    const widthBits = Number(typedef.slice(1)) as 8 | 16 | 32 | 64;
    return { kind: "int", widthBits, signed: typedef.startsWith("i"), name };
  }
  // An array of one on x86-64, of which a parameter has the address.
  if (/^(?:va_list|__builtin_va_list|__gnuc_va_list)$/.test(name))
    return { kind: "pointer", to: { kind: "named", name }, isConst: false };
  if (name.startsWith("enum ")) return { kind: "int", widthBits: 32, signed: false, name };
  return { kind: "named", name };
}

/** The C standard's integer types, their words in any order. */
function integerOfWords(words: readonly string[]): CType | undefined {
  const countOf = (word: string): number => words.filter((other) => other === word).length;
  const isUnsigned = countOf("unsigned") === 1;
  const longs = countOf("long");
  const allowed = ["char", "short", "int", "long", "signed", "unsigned", "__int128"];
  const isOnce = allowed.every((word) => countOf(word) <= (word === "long" ? 2 : 1));
  const kinds = countOf("char") + countOf("short") + Math.min(longs, 1) + countOf("__int128");
  const isClash =
    (isUnsigned && countOf("signed") > 0) ||
    kinds > 1 ||
    (countOf("char") > 0 && countOf("int") > 0);
  if (!isOnce || isClash || words.some((word) => !allowed.includes(word))) return undefined;
  const signText = isUnsigned ? "unsigned " : "";
  if (countOf("char") === 1) {
    // Plain char is signed on x86-64 and unsigned on arm64; text does not care.
    const name = isUnsigned ? "unsigned char" : countOf("signed") === 1 ? "signed char" : "char";
    return { kind: "int", widthBits: 8, signed: !isUnsigned, name };
  }
  if (countOf("short") === 1)
    return { kind: "int", widthBits: 16, signed: !isUnsigned, name: `${signText}short` };
  if (countOf("__int128") === 1)
    return { kind: "int", widthBits: 128, signed: !isUnsigned, name: `${signText}__int128` };
  if (longs > 0) {
    return {
      kind: "int",
      widthBits: 64,
      signed: !isUnsigned,
      name: `${signText}${longs === 2 ? "long long" : "long"}`,
    };
  }
  return { kind: "int", widthBits: 32, signed: !isUnsigned, name: `${signText}int` };
}

function wrong(text: string, why: string): ToolError {
  return new ToolError("usage", `cannot take \`${text}\` as a C prototype (${why})`, {
    details: { prototype: text },
    hint: "write it as in `ssize_t write(int fd, const void *buf, size_t count)`",
  });
}
