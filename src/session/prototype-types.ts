/**
 * The types of a jprobe's arguments, worked out by the compiler from the text of the prototype:
 * `"ssize_t write(int fd, const void *buf, size_t n)"` gives `{ fd: number; buf: bigint; n: bigint
 * }`. What it does not understand (parameters without a name, pointers to functions, structures by
 * value) it takes as ArgumentValue; what a handler gets is decided at run time, by the same text.
 */

import type { ArgumentValue, JprobeArguments } from "./api.ts";

/** Which parameters are read as text: see JprobeHandlers.strings. */
export type Strings = boolean | readonly string[];

/** The arguments of a function by its prototype; of any, where the text is not a literal. */
export type PrototypeArguments<Text extends string, S extends Strings = false> = string extends Text
  ? JprobeArguments
  : Texts<ByParameters<ParametersIn<Text>>, S>;

/** What a type is read as, by its name; of any, where that is not a literal. */
export type TypeValue<Text extends string> = string extends Text
  ? ArgumentValue
  : ValueOf<Words<Text>> extends CharPointer
    ? bigint
    : ValueOf<Words<Text>>;

/** What a `char *` becomes: text where that is asked for, else an address. */
interface CharPointer {
  readonly pointsTo: "char";
}

type Texts<T, S extends Strings> = {
  [Key in keyof T]: T[Key] extends CharPointer
    ? S extends true
      ? string | undefined
      : S extends readonly (infer Name)[]
        ? Key extends Name
          ? string | undefined
          : bigint
        : S extends false
          ? bigint
          : bigint | string | undefined
    : T[Key];
};

/** From the first `(` to the last `)`; types defined before the prototype are not looked at. */
type ParametersIn<Text extends string> = Text extends `${string}}${string}`
  ? undefined
  : Text extends `${string}(${infer List}`
    ? List extends `${string}(${string}`
      ? undefined
      : List extends `${infer Inner})${string}`
        ? Inner
        : List
    : undefined;

type ByParameters<List extends string | undefined> = List extends string
  ? Collect<Split<List>>
  : JprobeArguments;

type Split<
  List extends string,
  Done extends string[] = [],
> = List extends `${infer One},${infer Rest}` ? Split<Rest, [...Done, One]> : [...Done, List];

/** Each parameter that has a name adds a property; any without makes them all unknown. */
type Collect<List extends string[], Done = unknown> = List extends [
  infer One extends string,
  ...infer Rest extends string[],
]
  ? One extends `${string}...${string}`
    ? Collect<Rest, Done>
    : Trim<One> extends "" | "void"
      ? Collect<Rest, Done>
      : Parameter<Words<One>> extends infer Named
        ? Named extends undefined
          ? JprobeArguments
          : Collect<Rest, Done & Named>
        : never
  : unknown extends Done
    ? Readonly<Record<never, never>>
    : Done;

type Blank = " " | "\n" | "\t";

type Trim<Text extends string> = Text extends `${Blank}${infer Rest}`
  ? Trim<Rest>
  : Text extends `${infer Rest}${Blank}`
    ? Trim<Rest>
    : Text;

type Qualifier = "const" | "volatile" | "restrict" | "__restrict" | "register" | "";

/** The words of a declaration, a `*` and what follows a `[` being words of their own. */
type Words<
  Text extends string,
  Done extends string[] = [],
> = Text extends `${infer Left}*${infer Right}`
  ? Words<Right, [...Words<Left, Done>, "*"]>
  : Text extends `${infer Left}[${string}`
    ? [...Words<Left, Done>, "[]"]
    : Text extends `${infer Left}${Blank}${infer Right}`
      ? Words<Right, Left extends Qualifier ? Done : [...Done, Left]>
      : Text extends Qualifier
        ? Done
        : [...Done, Text];

type Parameter<List extends string[]> = List extends [
  ...infer Type extends string[],
  infer Name extends string,
  "[]",
]
  ? Type extends []
    ? undefined
    : { [Key in Name]: ValueOf<[...Type, "*"]> }
  : List extends [...infer Type extends string[], infer Name extends string]
    ? Name extends "*"
      ? undefined
      : Type extends [] | ["struct"] | ["union"] | ["enum"]
        ? undefined
        : [Name, ...Type] extends [TypeWord, ...TypeWord[]]
          ? undefined
          : { [Key in Name]: ValueOf<Type> }
    : undefined;

/** Words that are types and never names. */
type TypeWord = "char" | "short" | "int" | "long" | "signed" | "unsigned" | "float" | "double";

type ValueOf<Type extends string[]> = Type extends [...infer Base extends string[], "*"]
  ? Base extends ["char"]
    ? CharPointer
    : bigint
  : Type[0] extends "enum"
    ? number
    : Type extends ["bool"] | ["_Bool"]
      ? boolean
      : "double" extends Type[number]
        ? number
        : "long" extends Type[number]
          ? bigint
          : Type[number] extends TypeWord | NarrowName
            ? number
            : Type extends [WideName]
              ? bigint
              : ArgumentValue;

type NarrowName =
  | `${"u" | ""}int${8 | 16 | 32}_t`
  | "mode_t"
  | "pid_t"
  | "uid_t"
  | "gid_t"
  | "socklen_t"
  | "clockid_t"
  | "wchar_t"
  | "wint_t";

type WideName =
  | `${"u" | ""}int${64 | "ptr" | "max"}_t`
  | "size_t"
  | "ssize_t"
  | "off_t"
  | "off64_t"
  | "loff_t"
  | "time_t"
  | "ptrdiff_t"
  | "dev_t"
  | "ino_t"
  | "pthread_t"
  | "__int128";
