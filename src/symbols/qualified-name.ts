/**
 * Takes demangled C++ and Rust names apart, so that `ns::f` finds `ns::f(int)` and
 * `ns::f<char>(char)`. Not a parser of C++: it follows brackets and knows `operator`, which is
 * enough for the text that demanglers print (they leave return types out).
 */

/** A name in the parts that are compared. All are without the spaces that do not matter. */
export interface QualifiedName {
  /** With template arguments and ABI tags: `ns::Box<int>::get[abi:v2]`. */
  readonly full: string;
  /** Without them: `ns::Box::get`. */
  readonly plain: string;
  /** `(int,char const*)`; undefined when the name has no parameter list. */
  readonly parameters: string | undefined;
}

/** Whether text written by a user can only be a name of C++ or Rust, not a plain symbol. */
export function looksQualified(text: string): boolean {
  return (
    text.includes("::") || text.includes("(") || text.includes("<") || /\boperator\b/.test(text)
  );
}

/** Take a demangled name, or what a user wrote for one, apart. */
export function parseQualifiedName(text: string): QualifiedName {
  const normal = normalize(text);
  const parametersAt = findParameters(normal);
  const parametersEnd = parametersAt < 0 ? -1 : findClose(normal, parametersAt);
  const full = parametersAt < 0 ? normal : normal.slice(0, parametersAt);
  return {
    full,
    plain: stripArguments(full),
    parameters: parametersAt < 0 ? undefined : normal.slice(parametersAt, parametersEnd + 1),
  };
}

/**
 * Whether the name that a user wrote stands for the function: without parameters for all overloads,
 * without template arguments for all instances.
 */
export function namesFunction(asked: QualifiedName, found: QualifiedName): boolean {
  if (asked.parameters !== undefined && asked.parameters !== found.parameters) return false;
  return asked.full === found.full || (asked.full === asked.plain && asked.full === found.plain);
}

/** Identifiers of the function's path that its mangled name must contain too, the last first. */
export function requiredWords(literals: readonly string[]): string[] {
  const words = literals.flatMap((literal) => literal.match(/[A-Za-z0-9_]+/g) ?? []);
  return words.filter((word) => !unmangledWords.some((known) => known.includes(word))).reverse();
}

/**
 * Words of demangled names that are abbreviated in mangled ones; any part of one may be missing
 * there.
 */
const unmangledWords: readonly string[] = [
  ...[
    "std",
    "string",
    "basic_string",
    "allocator",
    "char_traits",
    "basic_istream",
    "basic_ostream",
    "basic_iostream",
  ],
  ...[
    "operator",
    "new",
    "delete",
    "const",
    "volatile",
    "anonymous",
    "namespace",
    "closure",
    "lambda",
    "shim",
    "impl",
    "as",
  ],
  ...[
    "unsigned",
    "signed",
    "long",
    "short",
    "int",
    "char",
    "bool",
    "float",
    "double",
    "void",
    "wchar_t",
    "char8_t",
  ],
  ...[
    "char16_t",
    "char32_t",
    "decltype",
    "auto",
    "nullptr_t",
    "__int128",
    "__float128",
    "usize",
    "isize",
    "str",
    "dyn",
    "mut",
  ],
  ...[
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "f32",
    "f64",
    "co_await",
    "unnamed",
    "type",
  ],
];

const stringText = "std::basic_string<char,std::char_traits<char>,std::allocator<char>>";

/**
 * One spelling for what has several: spaces, `const` before or after its type, `(void)`, the
 * standard string.
 */
function normalize(text: string): string {
  let normal = text.replace(/ \[clone [^\]]*\]/g, "").trim();
  normal = moveConst(normal);
  normal = normal.replace(/\s+/g, " ").replace(/ ?([^\w ]) ?/g, "$1");
  normal = normal.replaceAll("__cxx11::", "").replaceAll(`${stringText}const`, "std::string const");
  normal = normal.replaceAll(stringText, "std::string");
  normal = normal
    .replace(/\(void\)/g, "()")
    .replace(/\bunsigned(?! (?:char|short|int|long)\b)(?=\W|$)/g, "unsigned int");
  return normal.startsWith("::") ? normal.slice(2) : normal;
}

/** `const char*` to `char const*`, as demanglers print it. */
function moveConst(text: string): string {
  let result = text;
  for (let round = 0; round < 64; round += 1) {
    const match = /(?<=[(<,]\s*)const ((?:(?:unsigned|signed|long|short) )*[\w:]+)/.exec(result);
    if (match === null) return result;
    const start = match.index;
    let end = start + match[0].length;
    if (result[end] === "<") end = findClose(result, end) + 1;
    if (end === 0) return result;
    result = `${result.slice(0, start)}${result.slice(start + 6, end)} const${result.slice(end)}`;
  }
  return result;
}

/**
 * Index of the `(` of the function's own parameters; -1 without. A list followed by `::` belongs to
 * a function around it.
 */
function findParameters(text: string): number {
  let at = 0;
  while (at < text.length) {
    const operatorEnd = findOperatorEnd(text, at);
    if (operatorEnd > at) {
      at = operatorEnd;
      continue;
    }
    const char = text[at] as string;
    if (char === "(") {
      const close = findClose(text, at);
      if (close < 0) return -1;
      const isInner = /^(?:const|volatile|&|&&| )*::/.test(text.slice(close + 1, close + 32));
      if (!isInner && text.slice(at, close + 1) !== "(anonymous namespace)") return at;
      at = close + 1;
    } else if (char === "<" || char === "[" || char === "{") {
      const close = findClose(text, at);
      if (close < 0) return -1;
      at = close + 1;
    } else {
      at += 1;
    }
  }
  return -1;
}

/**
 * Without template arguments, turbofish and ABI tags. A leading `<T as Trait>` of Rust stays: it is
 * no argument list.
 */
function stripArguments(text: string): string {
  let result = "";
  let at = 0;
  while (at < text.length) {
    const operatorEnd = findOperatorEnd(text, at);
    if (operatorEnd > at) {
      result += text.slice(at, operatorEnd);
      at = operatorEnd;
      continue;
    }
    const char = text[at] as string;
    const isArguments = char === "<" && result !== "";
    if (isArguments || text.startsWith("[abi:", at)) {
      const close = findClose(text, at);
      if (close < 0) return result + text.slice(at);
      if (isArguments && result.endsWith("::")) result = result.slice(0, -2);
      at = close + 1;
    } else {
      result += char;
      at += 1;
    }
  }
  return result;
}

const operatorText =
  /^operator(?:\(\)|\[\]|<=>|->\*|->|<<=|>>=|<<|>>|<=|>=|\+\+|--|&&|\|\||[-+*/%^&|=!]=|[-+*/%^&|~!=<>,]| (?:new|delete)(?:\[\])?|"" ?\w+)/;

/**
 * End of an `operator…` token that starts at `at`; `at` itself when none does. Conversions
 * (`operator int`) need no care.
 */
function findOperatorEnd(text: string, at: number): number {
  if (text[at] !== "o" || !text.startsWith("operator", at)) return at;
  if (at > 0 && /\w/.test(text[at - 1] as string)) return at;
  return at + (operatorText.exec(text.slice(at, at + 64))?.[0].length ?? 0);
}

/** Index of the bracket that closes the one at `open`; -1 when none does. */
function findClose(text: string, open: number): number {
  const stack: string[] = [];
  for (let at = open; at < text.length; at += 1) {
    const operatorEnd = findOperatorEnd(text, at);
    if (operatorEnd > at) {
      at = operatorEnd - 1;
      continue;
    }
    const char = text[at] as string;
    const closer = closers.get(char);
    if (closer !== undefined) {
      stack.push(closer);
    } else if (char === ">") {
      // Not the arrow of `fn() -> T`, nor a comparison inside parentheses.
      if (stack.at(-1) === ">" && text[at - 1] !== "-") stack.pop();
    } else if (char === ")" || char === "]" || char === "}") {
      while (stack.length > 0 && stack.at(-1) === ">") stack.pop();
      if (stack.pop() !== char) return -1;
    }
    if (stack.length === 0) return at;
  }
  return -1;
}

const closers: ReadonlyMap<string, string> = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
  ["<", ">"],
]);
