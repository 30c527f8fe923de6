/**
 * The tree of a program as it was written: no types, nothing resolved. Every node has its range.
 * The parser makes it; expanding (macros, imports, parameters of the command line) makes another
 * of it without those; the checker reads that one.
 */

import type { Range } from "../source.ts";

export interface Program {
  readonly range: Range;
  /** Headers that the script names: none is read, as types come from the target. */
  readonly includes: readonly { readonly range: Range; readonly path: string }[];
  /** The C definitions at the head of the script, after preprocessing. */
  readonly definitions: readonly CDefinition[];
  readonly config: readonly ConfigEntry[];
  readonly imports: readonly Import[];
  readonly mapDeclarations: readonly MapDeclaration[];
  readonly macros: readonly Macro[];
  readonly functions: readonly FunctionDefinition[];
  readonly probes: readonly ProbeDefinition[];
}

export interface ConfigEntry {
  readonly range: Range;
  readonly name: string;
  readonly value: Expression;
}

export interface Import {
  readonly range: Range;
  readonly path: string;
}

/** `let @m = lruhash(100);` */
export interface MapDeclaration {
  readonly range: Range;
  /** With its @. */
  readonly map: string;
  readonly storage: string;
  readonly keysMax: bigint;
}

/** `macro name($a, b, @c) { ...; value }`; a parameter keeps its $ or @. */
export interface Macro {
  readonly range: Range;
  readonly name: string;
  readonly parameters: readonly { readonly range: Range; readonly name: string }[];
  readonly body: Block;
  /** What it gives: an expression behind the statements, without `;`. */
  readonly value: Expression | undefined;
}

/** `fn name($x : T) : T { ... }` */
export interface FunctionDefinition {
  readonly range: Range;
  readonly name: string;
  readonly parameters: readonly {
    readonly range: Range;
    readonly name: string;
    readonly type: TypeName;
  }[];
  readonly returns: TypeName;
  readonly body: Block;
}

export interface ProbeDefinition {
  readonly range: Range;
  readonly name: string | undefined;
  readonly points: readonly AttachPoint[];
  readonly predicate: Expression | undefined;
  readonly body: Block;
}

/**
 * `uprobe:libc:mal*`: what stands before the first colon, by its long name, and the parts after.
 */
export interface AttachPoint {
  readonly range: Range;
  /** As written, positional parameters in their place: what `probe` gives is made of it. */
  readonly text: string;
  /** The long, present-day name: `uprobe`, `fentry`, `begin`, ... */
  readonly provider: Provider;
  /** Parts between colons; a quoted one without its quotes. */
  readonly parts: readonly AttachPart[];
}

export interface AttachPart {
  readonly text: string;
  readonly range: Range;
  /** In quotes: no wildcards in it. */
  readonly isQuoted: boolean;
  /** Behind the quotes: the `+4` of `"f(int)"+4`. Without quotes it is in the text. */
  readonly suffix?: string;
}

export type Provider =
  | "begin"
  | "end"
  | "self"
  | "test"
  | "bench"
  | "kprobe"
  | "kretprobe"
  | "uprobe"
  | "uretprobe"
  | "usdt"
  | "tracepoint"
  | "rawtracepoint"
  | "fentry"
  | "fexit"
  | "profile"
  | "interval"
  | "software"
  | "hardware"
  | "iter"
  | "watchpoint"
  | "asyncwatchpoint";

export interface Block {
  readonly kind: "block";
  readonly range: Range;
  readonly statements: readonly Statement[];
}

export type Statement =
  | { readonly kind: "expression"; readonly range: Range; readonly value: Expression }
  | Block
  | {
      readonly kind: "if";
      readonly range: Range;
      /** `if comptime`. */
      readonly isComptime: boolean;
      readonly condition: Expression;
      readonly then: Block;
      readonly else: Block | undefined;
    }
  | {
      readonly kind: "unroll";
      readonly range: Range;
      readonly count: Expression;
      readonly body: Block;
    }
  | {
      readonly kind: "while";
      readonly range: Range;
      readonly condition: Expression;
      readonly body: Block;
    }
  | {
      readonly kind: "for";
      readonly range: Range;
      /** With its $. */
      readonly variable: string;
      readonly over: ForOver;
      readonly body: Block;
    }
  | { readonly kind: "break" | "continue"; readonly range: Range }
  | { readonly kind: "return"; readonly range: Range; readonly value: Expression | undefined }
  /** `let $x: T = value` in its forms. */
  | {
      readonly kind: "let";
      readonly range: Range;
      readonly variable: string;
      readonly type: TypeName | undefined;
      readonly value: Expression | undefined;
    }
  /**
   * `$x = v`, `@m[k] += v`: op without its =, undefined for a plain one. The target is a variable,
   * a map, or the identifier `_`, which drops the value.
   */
  | {
      readonly kind: "assign";
      readonly range: Range;
      readonly target: Expression;
      readonly op: BinaryOp | undefined;
      readonly value: Expression;
    };

export type ForOver =
  | { readonly kind: "map"; readonly range: Range; readonly map: string }
  | {
      readonly kind: "range";
      readonly range: Range;
      readonly start: Expression;
      /** Exclusive. */
      readonly end: Expression;
    };

export type BinaryOp =
  | "+"
  | "-"
  | "*"
  | "/"
  | "%"
  | "<<"
  | ">>"
  | "&"
  | "|"
  | "^"
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "&&"
  | "||";

export type Expression =
  /**
   * value: unsigned, below 2 ** 64. suffix: what stood behind it: `u`, `ll`, or a duration's `ms`,
   * whose value is as it was written: `5ms` has 5.
   */
  | {
      readonly kind: "int";
      readonly range: Range;
      readonly value: bigint;
      readonly suffix: string;
    }
  /** value: escapes done; one character for each byte. */
  | { readonly kind: "string"; readonly range: Range; readonly value: string }
  | { readonly kind: "bool"; readonly range: Range; readonly value: boolean }
  /** A name alone: a builtin, a constant, a macro's parameter. */
  | { readonly kind: "identifier"; readonly range: Range; readonly name: string }
  /** With its $. */
  | { readonly kind: "variable"; readonly range: Range; readonly name: string }
  /** With its @; without a key for a scalar map. `@m[a, b]` has two keys, `@m[(a, b)]` one. */
  | {
      readonly kind: "map";
      readonly range: Range;
      readonly name: string;
      readonly keys: readonly Expression[] | undefined;
    }
  /** `$1`; 0 stands for `$#`. */
  | { readonly kind: "positional"; readonly range: Range; readonly index: number }
  | {
      readonly kind: "unary";
      readonly range: Range;
      readonly op: "!" | "~" | "-" | "+" | "*" | "&";
      readonly operand: Expression;
    }
  | {
      readonly kind: "increment";
      readonly range: Range;
      readonly op: "++" | "--";
      readonly isPrefix: boolean;
      readonly target: Expression;
    }
  | {
      readonly kind: "binary";
      readonly range: Range;
      readonly op: BinaryOp;
      readonly left: Expression;
      readonly right: Expression;
    }
  /** `a ?: b` has no `then`. */
  | {
      readonly kind: "ternary";
      readonly range: Range;
      readonly condition: Expression;
      readonly then: Expression | undefined;
      readonly else: Expression;
    }
  | {
      readonly kind: "cast";
      readonly range: Range;
      readonly type: TypeName;
      readonly value: Expression;
    }
  /** `a.b`, `a->b`; a tuple's `.0` has the name "0". */
  | {
      readonly kind: "field";
      readonly range: Range;
      readonly value: Expression;
      readonly name: string;
      readonly isArrow: boolean;
    }
  | {
      readonly kind: "index";
      readonly range: Range;
      readonly value: Expression;
      readonly index: Expression;
    }
  | { readonly kind: "tuple"; readonly range: Range; readonly elements: readonly Expression[] }
  | {
      readonly kind: "record";
      readonly range: Range;
      readonly fields: readonly { readonly name: string; readonly value: Expression }[];
    }
  | {
      readonly kind: "call";
      readonly range: Range;
      readonly name: string;
      readonly arguments: readonly Expression[];
    }
  /** `sizeof(T)`, `sizeof(e)`. */
  | { readonly kind: "sizeof"; readonly range: Range; readonly of: TypeName | Expression }
  | {
      readonly kind: "offsetof";
      readonly range: Range;
      readonly of: TypeName | Expression;
      readonly path: readonly string[];
    }
  /**
   * `typeof(e)` where an expression stands, for comparing; also a type as an argument: `struct x`.
   */
  | { readonly kind: "typeof"; readonly range: Range; readonly of: TypeName | Expression }
  /** `{ ...; value }` where an expression stands; value is undefined for one that gives nothing. */
  | {
      readonly kind: "blockExpression";
      readonly range: Range;
      readonly statements: readonly Statement[];
      readonly value: Expression | undefined;
    };

/** A type as it is written: `uint8`, `struct file *`, `string[16]`, `int32[4]`, `typeof($x)`. */
export interface TypeName {
  readonly kind: "type";
  readonly range: Range;
  readonly base:
    | { readonly kind: "named"; readonly name: string }
    | { readonly kind: "struct" | "union" | "enum"; readonly name: string }
    | { readonly kind: "tuple"; readonly elements: readonly TypeName[] }
    | { readonly kind: "typeof"; readonly value: Expression };
  readonly pointerDepth: number;
  /** Sizes of arrays, outermost first; of `string[16]` and `buffer[16]` the one size. */
  readonly counts: readonly bigint[];
}

/** A definition in C at the head of a script. */
export type CDefinition =
  | {
      readonly kind: "struct" | "union";
      readonly range: Range;
      readonly name: string;
      readonly isPacked: boolean;
      readonly fields: readonly CField[];
    }
  | {
      readonly kind: "enum";
      readonly range: Range;
      /** Empty for one without a name. */
      readonly name: string;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | {
      readonly kind: "typedef";
      readonly range: Range;
      readonly name: string;
      readonly type: CTypeName;
    };

export interface CField {
  readonly range: Range;
  /** Empty for a nameless struct or union. */
  readonly name: string;
  readonly type: CTypeName;
  /** 0 for all that is no bit-field. */
  readonly bitFieldBits: number;
}

/** A type in a C definition; `base` of a struct that is defined in place holds its fields. */
export interface CTypeName {
  readonly base:
    | { readonly kind: "named"; readonly name: string }
    | { readonly kind: "struct" | "union" | "enum"; readonly name: string }
    | {
        readonly kind: "inline";
        readonly isUnion: boolean;
        readonly name: string;
        readonly isPacked: boolean;
        readonly fields: readonly CField[];
      }
    /** A pointer to a function. */
    | { readonly kind: "function" };
  readonly pointerDepth: number;
  /** Outermost first; 0 for one without a size. */
  readonly counts: readonly bigint[];
}
