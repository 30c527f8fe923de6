/**
 * Settings: what the environment says (`BPFTRACE_MAX_STRLEN`), over what the script says
 * (`config = { max_strlen = 200 }`), over the defaults of the dialect.
 */

import type { Diagnostics } from "../diagnostics.ts";
import type { Dialect } from "../dialect.ts";
import type { Range } from "../source.ts";
import type { ConfigEntry, Expression } from "../syntax/tree.ts";
import type { StackMode } from "../types.ts";
import { didYouMean } from "./nearest-name.ts";
import type { Config } from "./typed-tree.ts";

type Mutable = { -readonly [Key in keyof Config]: Config[Key] };

/** Settings that mean nothing to us, accepted so that scripts run. */
const IGNORED: readonly string[] = [
  "cache_user_symbols",
  "lazy_symbolication",
  "license",
  "log_size",
  "max_bpf_progs",
  "on_stack_limit",
  "perf_rb_pages",
  "show_debug_info",
  "max_type_res_iterations",
  "use_blazesym",
  "probe_inline",
  "symbol_source",
  "max_ast_nodes",
  "unstable_import",
  "unstable_map_decl",
  "unstable_macro",
  "unstable_tseries",
  "unstable_addr",
  "unstable_fn",
];

const STACK_MODES: readonly string[] = ["bpftrace", "perf", "raw", "build_id"];

/** Reads one value into the settings; the text says what was expected when it is none. */
type Setter = (config: Mutable, text: string) => string | undefined;

const SETTERS: ReadonlyMap<string, Setter> = new Map<string, Setter>([
  ["max_strlen", number((config, value) => (config.strlenMax = value))],
  ["max_map_keys", number((config, value) => (config.mapKeysMax = value))],
  ["max_probes", number((config, value) => (config.probesMax = value))],
  ["max_cat_bytes", number((config, value) => (config.catBytesMax = value))],
  ["print_maps_on_exit", flag((config, value) => (config.printsMapsOnExit = value))],
  ["cpp_demangle", flag((config, value) => (config.demanglesCpp = value))],
  [
    "str_trunc_trailer",
    (config, text) => {
      config.stringTrailer = text;
      return undefined;
    },
  ],
  [
    "stack_mode",
    (config, text) => {
      if (!STACK_MODES.includes(text)) return `one of ${STACK_MODES.join(", ")}`;
      config.stackMode = text as StackMode;
      return undefined;
    },
  ],
  [
    "missing_probes",
    (config, text) => {
      if (text !== "error" && text !== "warn" && text !== "ignore") return "error, warn or ignore";
      config.missingProbes = text;
      return undefined;
    },
  ],
]);

/** The names that 0.17 has in its environment, as ours. */
const OLD_NAMES: ReadonlyMap<string, string> = new Map([
  ["STRLEN", "max_strlen"],
  ["MAP_KEYS_MAX", "max_map_keys"],
  ["CAT_BYTES_MAX", "max_cat_bytes"],
  ["STACK_MODE", "stack_mode"],
]);

/** The largest string of 0.17, which had it on a stack of 512 bytes. */
const OLD_STRLEN_MAX = 200;

export function defaultConfig(dialect: Dialect): Config {
  const isOld = dialect === "0.17";
  return {
    strlenMax: isOld ? 64 : 1024,
    mapKeysMax: 4096,
    probesMax: isOld ? 512 : 1024,
    stringTrailer: isOld ? "" : "..",
    printsMapsOnExit: true,
    stackMode: "bpftrace",
    catBytesMax: 10240,
    missingProbes: isOld ? "warn" : "error",
    demanglesCpp: true,
  };
}

/** No place in the program. */
const ENVIRONMENT: Range = { source: { name: "", text: "" }, start: 0, end: 0 };

export function checkConfig(
  entries: readonly ConfigEntry[],
  environment: ReadonlyMap<string, string>,
  dialect: Dialect,
  diagnostics: Diagnostics,
): Config {
  const config: Mutable = { ...defaultConfig(dialect) };
  for (const entry of entries) setEntry(config, entry, diagnostics);
  for (const [name, text] of environment) {
    if (!name.startsWith("BPFTRACE_")) continue;
    setVariable(config, name, text, dialect, diagnostics);
  }
  return config;
}

function setEntry(config: Mutable, entry: ConfigEntry, diagnostics: Diagnostics): void {
  const name = entry.name.toLowerCase().replace(/^bpftrace_/, "");
  const setter = SETTERS.get(name);
  if (setter === undefined) {
    if (IGNORED.includes(name)) return;
    const hint = didYouMean(name, [...SETTERS.keys(), ...IGNORED]);
    diagnostics.error(entry.range, `Unrecognized config variable: ${entry.name}`, hint);
    return;
  }
  const text = textOf(entry.value);
  const expected = text === undefined ? "a literal" : setter(config, text);
  if (expected === undefined) return;
  diagnostics.error(entry.value.range, `Invalid value for ${name}: ${expected} expected`);
}

function setVariable(
  config: Mutable,
  variable: string,
  text: string,
  dialect: Dialect,
  diagnostics: Diagnostics,
): void {
  const range = ENVIRONMENT;
  const short = variable.slice("BPFTRACE_".length);
  if (short === "NO_CPP_DEMANGLE") {
    config.demanglesCpp = text !== "1";
    return;
  }
  const name = OLD_NAMES.get(short) ?? short.toLowerCase();
  const setter = SETTERS.get(name);
  // Others may be of another version, or for bpftrace itself.
  if (setter === undefined) return;
  const expected = setter(config, text);
  if (expected !== undefined) {
    diagnostics.error(range, `'${variable}' must be ${expected}, not ${JSON.stringify(text)}`);
  }
  if (dialect === "0.17" && config.strlenMax > OLD_STRLEN_MAX) {
    diagnostics.error(
      range,
      `'BPFTRACE_STRLEN' ${config.strlenMax} exceeds the current maximum of ${OLD_STRLEN_MAX} bytes.`,
      "leave --compat 0.17 out: strings may be of any length then",
    );
    config.strlenMax = OLD_STRLEN_MAX;
  }
}

/** A setting's value as text: `perf` needs no quotes. */
function textOf(value: Expression): string | undefined {
  switch (value.kind) {
    case "int":
      return String(value.value);
    case "string":
      return value.value;
    case "bool":
      return String(value.value);
    case "identifier":
      return value.name;
    default:
      return undefined;
  }
}

function number(set: (config: Mutable, value: number) => void): Setter {
  return (config, text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1) return "a positive integer";
    set(config, value);
    return undefined;
  };
}

function flag(set: (config: Mutable, value: boolean) => void): Setter {
  return (config, text) => {
    if (!["0", "1", "true", "false"].includes(text)) return "true or false";
    set(config, text === "1" || text === "true");
    return undefined;
  };
}
