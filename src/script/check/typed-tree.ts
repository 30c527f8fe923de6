/**
 * The checked tree: every expression has its type, every name is resolved, every conversion is
 * written out, and what C's operators mean for these operands is said. The checker makes it;
 * lowering turns it into IR without having to decide anything more about types.
 *
 * Integers: an operation takes and gives 64 bits. A value of a narrower type is already within it;
 * casts are written out wherever a value is stored in one.
 */

import type { Range } from "../source.ts";
import type { AttachPoint } from "../syntax/tree.ts";
import type { Aggregate, Field, IntType, Space, StackMode, Type } from "../types.ts";

export interface TypedProgram {
  readonly config: Config;
  readonly maps: readonly MapInfo[];
  /**
   * In the order of the text; a definition whose points differ in what `args` is, is here more
   * often.
   */
  readonly probes: readonly TypedProbe[];
}

/** Settings of a run: `config = { ... }` over the environment over the defaults. */
export interface Config {
  readonly strlenMax: number;
  readonly mapKeysMax: number;
  readonly probesMax: number;
  readonly stringTrailer: string;
  readonly printsMapsOnExit: boolean;
  readonly stackMode: StackMode;
  readonly catBytesMax: number;
  readonly missingProbes: "error" | "warn" | "ignore";
  readonly demanglesCpp: boolean;
}

export interface MapInfo {
  /** With its @. */
  readonly name: string;
  /** Empty for a scalar map. */
  readonly keyTypes: readonly Type[];
  /** Its key was written as one tuple, or is one value. */
  readonly valueType: Type;
  /** Of its own, by `let @m = ...`; undefined: that of the configuration. */
  readonly keysMax: number | undefined;
  /** Of `lruhash` and its like: the oldest key goes when a new one finds no room. */
  readonly isLru: boolean;
}

export type MapId = number; // index in TypedProgram.maps
export type VariableId = number; // index in TypedProbe.variables

export interface TypedProbe {
  readonly range: Range;
  readonly name: string | undefined;
  /** All of them have the same `args`. */
  readonly points: readonly AttachPoint[];
  readonly variables: readonly { readonly name: string; readonly type: Type }[];
  /** A predicate has become an `if` around all of it. */
  readonly body: readonly TypedStatement[];
}

export type TypedStatement =
  | { readonly kind: "expression"; readonly range: Range; readonly value: TypedExpression }
  | { readonly kind: "block"; readonly range: Range; readonly body: readonly TypedStatement[] }
  /** condition: of type bool, as everywhere. */
  | {
      readonly kind: "if";
      readonly range: Range;
      readonly condition: TypedExpression;
      readonly then: readonly TypedStatement[];
      readonly else: readonly TypedStatement[];
    }
  | {
      readonly kind: "unroll";
      readonly range: Range;
      readonly count: number;
      readonly body: readonly TypedStatement[];
    }
  | {
      readonly kind: "while";
      readonly range: Range;
      readonly condition: TypedExpression;
      readonly body: readonly TypedStatement[];
    }
  /** start and end are evaluated once; end is exclusive. */
  | {
      readonly kind: "forRange";
      readonly range: Range;
      readonly variable: VariableId;
      readonly start: TypedExpression;
      readonly end: TypedExpression;
      readonly body: readonly TypedStatement[];
    }
  /** The variable is a tuple of key and value; of a key of several parts a tuple of those. */
  | {
      readonly kind: "forMap";
      readonly range: Range;
      readonly variable: VariableId;
      readonly map: MapId;
      readonly body: readonly TypedStatement[];
    }
  | { readonly kind: "break" | "continue"; readonly range: Range }
  /** value: an int for `test` and `bench` probes. */
  | { readonly kind: "return"; readonly range: Range; readonly value: TypedExpression | undefined }
  | {
      readonly kind: "setVariable";
      readonly range: Range;
      readonly variable: VariableId;
      readonly value: TypedExpression;
    }
  | {
      readonly kind: "setMap";
      readonly range: Range;
      readonly map: MapId;
      readonly keys: readonly TypedExpression[];
      readonly value: TypedExpression;
    }
  /** `@m[k] = count()`; value is undefined for count. weight: of hist and lhist, where given. */
  | {
      readonly kind: "aggregate";
      readonly range: Range;
      readonly map: MapId;
      readonly keys: readonly TypedExpression[];
      readonly aggregate: Aggregate;
      readonly value: TypedExpression | undefined;
    };

interface Typed {
  readonly range: Range;
  readonly type: Type;
}

export type TypedExpression = Typed &
  (
    | { readonly kind: "int"; readonly value: bigint } // of the type's own range, signed if it is
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "string"; readonly value: string } // one character for each byte
    | { readonly kind: "variable"; readonly variable: VariableId }
    /** 0, "" or zeros where there is no such key. */
    | { readonly kind: "getMap"; readonly map: MapId; readonly keys: readonly TypedExpression[] }
    /** An aggregate read as an integer. */
    | {
        readonly kind: "readAggregate";
        readonly map: MapId;
        readonly keys: readonly TypedExpression[];
      }
    | { readonly kind: "hasKey"; readonly map: MapId; readonly keys: readonly TypedExpression[] }
    | { readonly kind: "deleteKey"; readonly map: MapId; readonly keys: readonly TypedExpression[] }
    | { readonly kind: "mapLength"; readonly map: MapId }
    | TypedBuiltin
    | { readonly kind: "unary"; readonly op: "-" | "~"; readonly operand: TypedExpression }
    /** Of a bool. */
    | { readonly kind: "not"; readonly operand: TypedExpression }
    | {
        readonly kind: "arithmetic";
        /** Division and remainder are of unsigned numbers; shifts to the right are logical. */
        readonly op: "+" | "-" | "*" | "/" | "%" | "<<" | ">>" | "&" | "|" | "^";
        readonly left: TypedExpression;
        readonly right: TypedExpression;
      }
    /** of: what both sides are; ints are compared by 64 bits. */
    | {
        readonly kind: "compare";
        readonly op: "==" | "!=" | "<" | "<=" | ">" | ">=";
        readonly of: "signed" | "unsigned" | "string" | "bytes" | "bool";
        readonly left: TypedExpression;
        readonly right: TypedExpression;
      }
    | {
        readonly kind: "logical";
        readonly op: "&&" | "||";
        readonly left: TypedExpression;
        readonly right: TypedExpression;
      }
    | {
        readonly kind: "ternary";
        readonly condition: TypedExpression;
        readonly then: TypedExpression;
        readonly else: TypedExpression;
      }
    /**
     * Binds a value so that it is used twice and evaluated once (`a ?: b`, `@m[k]++` by a macro).
     */
    | {
        readonly kind: "let";
        readonly variable: VariableId;
        readonly value: TypedExpression;
        readonly in: TypedExpression;
      }
    | {
        readonly kind: "increment";
        readonly delta: 1n | -1n; // of a pointer: as many bytes as what it points to has
        readonly isPrefix: boolean;
        readonly target:
          | { readonly kind: "variable"; readonly variable: VariableId }
          | {
              readonly kind: "map";
              readonly map: MapId;
              readonly keys: readonly TypedExpression[];
            };
      }
    /**
     * To `type`: an int cut to its width and sign, a bool as 0 or 1, anything to a bool, a pointer
     * from or to an int, bytes as an int or ints as bytes, a string cut or as bytes.
     */
    | { readonly kind: "cast"; readonly value: TypedExpression }
    /**
     * What is at an address, of this type: an int, pointer or bool; the bytes of an array or
     * struct; a string (char array) up to its NUL. bits: of a bit-field, counted from the address.
     */
    | {
        readonly kind: "load";
        readonly address: TypedExpression;
        readonly space: Space;
        readonly bits: { readonly offset: number; readonly count: number } | undefined;
      }
    /** The same out of a struct or array that we have as bytes. */
    | {
        readonly kind: "extract";
        readonly value: TypedExpression;
        readonly offsetBytes: TypedExpression;
        readonly bits: { readonly offset: number; readonly count: number } | undefined;
      }
    | { readonly kind: "tuple"; readonly elements: readonly TypedExpression[] } // also of a record
    | { readonly kind: "element"; readonly value: TypedExpression; readonly index: number }
    /** One byte of a string, or of a buffer. */
    | { readonly kind: "byteAt"; readonly value: TypedExpression; readonly index: TypedExpression }
    | TypedCall
    | {
        readonly kind: "blockExpression";
        readonly body: readonly TypedStatement[];
        readonly value: TypedExpression | undefined;
      }
  );

/** A value of the hit, the thread, the machine or the run. */
export interface TypedBuiltin {
  readonly kind: "builtin";
  readonly name: BuiltinName;
  /** Of arg0, arg1, ...: the number. */
  readonly index: number;
}

export type BuiltinName =
  | "arg"
  | "sarg"
  | "retval"
  | "pid"
  | "tid"
  | "uid"
  | "gid"
  | "ppid"
  | "leader_tid"
  | "cpu"
  | "numaid"
  | "ncpus"
  | "comm"
  | "pcomm"
  | "leader_comm"
  | "username"
  | "cgroup"
  | "nsecs"
  | "elapsed"
  | "jiffies"
  | "rand"
  | "curtask"
  | "cpid"
  | "func"
  | "probe"
  | "probetype"
  | "usermode"
  | "ctx"
  /** The field of `args` at this index of the point's fields; see TypeWorld.findArguments. */
  | "args";

/**
 * A function of the language. `operands` are evaluated in order; `options` hold what had to be
 * known beforehand (formats, names, sizes). The table of functions is in check/functions.ts.
 */
export interface TypedCall {
  readonly kind: "call";
  readonly name: string;
  readonly operands: readonly TypedExpression[];
  readonly options: CallOptions;
}

export interface CallOptions {
  /** Of printf, system, cat, errorf, ...: the format, one character for each byte. */
  readonly format?: string;
  /** Of print, clear, zero, len: the map that is meant. */
  readonly map?: MapId;
  /** Of print(@m, top, div). */
  readonly top?: number;
  readonly div?: number;
  /** Of str, buf, stacks: an upper bound in bytes or frames. */
  readonly countMax?: number;
  /** Of reg, kaddr, uaddr, nsecs, time, strftime, signal, cgroupid: a text known beforehand. */
  readonly text?: string;
  readonly space?: Space;
  readonly mode?: StackMode;
}

/** What the checker and attaching know of `args` at a point. */
export interface ArgumentList {
  /** In order. `retval` of fexit is a field of that name at the end; elsewhere it has no type. */
  readonly fields: readonly ArgumentField[];
}

export interface ArgumentField {
  readonly name: string;
  readonly type: Type;
  /** Where it is found at a hit. */
  readonly from: /** The n-th argument by the calling convention. */
    | { readonly kind: "argument"; readonly index: number }
    | { readonly kind: "return" }
    /** In a record that the hit gives the address of (tracepoints). */
    | { readonly kind: "record"; readonly field: Field }
    /** The n-th argument of a syscall. */
    | { readonly kind: "syscall"; readonly index: number }
    /** By an expression of a usdt note; its index. */
    | { readonly kind: "note"; readonly index: number };
}

/**
 * Types and constants from outside the script: debug information, the kernel's, a table of known
 * ones.
 */
export interface TypeWorld {
  /** Of a probe at this point, once found; undefined where `args` is not known there. */
  findArguments(point: AttachPoint): ArgumentList | undefined;
  /** `struct file`, `union u`, `enum e`, or a name alone for a typedef. */
  findType(name: string, kind: "struct" | "union" | "enum" | "typedef"): Type | undefined;
  /** A constant of an enum, or one that headers define (AF_INET). */
  findConstant(name: string): { readonly value: bigint; readonly type: IntType } | undefined;
  /** Address and size of a symbol, for kaddr() and uaddr(). */
  findSymbol(
    name: string,
    space: Space,
    point: AttachPoint | undefined,
  ): { readonly address: bigint; readonly sizeBytes: number } | undefined;
  /** The task structure of a guest's kernel, for curtask. */
  readonly taskType: Type | undefined;
  readonly pointerSizeBytes: 8;
}
