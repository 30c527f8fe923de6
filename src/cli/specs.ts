/** The options of each command, as tables for the parser and for --help. */

import type { CommandSpec, OptionSpec } from "./arguments.ts";

const HELP: OptionSpec = { name: "help", short: "h", help: "show this" };

const STUB_FILE: readonly OptionSpec[] = [
  {
    name: "kernel",
    value: "FILE",
    help: "what runs behind the stub: an ELF file or a System.map (Linux in QEMU needs none)",
  },
  {
    name: "slide",
    value: "BYTES",
    help: "how far FILE's addresses were moved, e.g. 0x1c00000; else it is found",
  },
];

const TARGET: readonly OptionSpec[] = [
  {
    name: "command",
    short: "c",
    value: "CMD",
    help: "run this command, given as one word: -c 'ls -l /usr' (no shell is run)",
  },
  { name: "pid", short: "p", value: "PID", help: "attach to this process" },
  {
    name: "gdb",
    value: "ADDRESS",
    help: "the kernel behind this GDB stub: unix:PATH, tcp:HOST:PORT, a serial device",
  },
  ...STUB_FILE,
];

const STUB: readonly OptionSpec[] = TARGET.filter(({ name }) =>
  ["gdb", "kernel", "slide"].includes(name),
);

const SESSION: readonly OptionSpec[] = [
  { name: "follow-forks", short: "f", help: "also probe the child processes" },
  {
    name: "strategy",
    value: "HOW",
    help: "execute probed instructions only by: boost, emulate, step",
  },
  {
    name: "return-mechanism",
    value: "HOW",
    help: "how returns are caught: auto (the default), site, trampoline",
  },
  {
    name: "seccomp",
    value: "HOW",
    help: "probes that need memory behind a seccomp filter: refuse (the default), or trust it",
  },
  { name: "pin", help: "keep tracer and target on one CPU; faster on one hot thread in a VM" },
];

const EXIT_STATUS: OptionSpec = {
  name: "exit-status",
  value: "WHICH",
  help: "exit as the command did (command, the default) or with 0 (zero)",
};

const COLOR: OptionSpec = {
  name: "color",
  value: "WHEN",
  help: "auto (the default: on a terminal, unless NO_COLOR is set), always, never",
};

const QUIET: OptionSpec = { name: "quiet", short: "q", help: "no summary and no warnings" };

const TRACING: readonly OptionSpec[] = [
  {
    name: "count",
    short: "n",
    help: "no lines; at the end a table of calls and time per function",
  },
  { name: "json", short: "j", help: "one JSON object a line" },
  { name: "output", short: "o", value: "FILE", help: "write the trace to FILE" },
  { name: "limit", short: "l", value: "N", help: "stop tracing after N calls" },
  { name: "duration", short: "d", value: "SECONDS", help: "stop tracing after this time" },
  { name: "depth", value: "N", help: "show only N levels of nested calls" },
  {
    name: "no-return",
    help: "entries only: no return values and durations; about twice as fast",
  },
  {
    name: "proto",
    value: "C",
    repeats: true,
    help: "arguments of a function, e.g. --proto 'int f(const char *path, long size)'",
  },
  { name: "strings", help: "show text behind arguments of unknown type" },
  { name: "max-strings", value: "N", help: "characters shown of a string (48)" },
  { name: "pending", help: "where nothing matches yet, wait for a library that does" },
  ...SESSION,
  EXIT_STATUS,
  COLOR,
  { name: "stats", help: "at the end: hits, misses and strategy per probe" },
  QUIET,
  HELP,
];

export const TRACE_SPEC: CommandSpec = {
  name: "trace",
  takesCommand: true,
  options: [...TARGET, ...TRACING],
};

export const VM_SPEC: CommandSpec = {
  name: "vm",
  takesCommand: true,
  options: [...STUB_FILE, ...TRACING],
};

export const INFO_SPEC: CommandSpec = {
  name: "info",
  takesCommand: false,
  options: [...STUB, { name: "json", short: "j", help: "one JSON object" }, HELP],
};

export const TYPES_SPEC: CommandSpec = {
  name: "types",
  takesCommand: false,
  options: [...STUB, { name: "output", short: "o", value: "FILE", help: "write to FILE" }, HELP],
};

export const RUN_SPEC: CommandSpec = {
  name: "run",
  takesCommand: true,
  options: [...TARGET, ...SESSION, EXIT_STATUS, QUIET, HELP],
};

const INSPECT: readonly OptionSpec[] = [
  ...TARGET,
  { name: "json", short: "j", help: "one JSON object a line" },
];

export const LIST_SPEC: CommandSpec = {
  name: "list",
  takesCommand: true,
  options: [...INSPECT, HELP],
};

export const CHECK_SPEC: CommandSpec = {
  name: "check",
  takesCommand: true,
  options: [
    ...INSPECT,
    { name: "strategy", value: "HOW", help: "whether this one serves: boost, emulate, step" },
    HELP,
  ],
};

/** bpftrace's own options, and ours behind them. */
export const SCRIPT_SPEC: CommandSpec = {
  name: "script",
  takesCommand: true,
  options: [
    { name: "expression", short: "e", value: "PROGRAM", help: "run this program" },
    {
      name: "list",
      short: "l",
      help: "print the probes that match a pattern, or those of a program; with -v their arguments",
    },
    {
      name: "command",
      short: "c",
      value: "CMD",
      help: "run this command (no shell is run), and end with it",
    },
    { name: "pid", short: "p", value: "PID", repeats: true, help: "attach to this process" },
    {
      name: "name",
      value: "NAME",
      repeats: true,
      help: "attach to every process of that name that we may trace",
    },
    {
      name: "gdb",
      value: "ADDRESS",
      help: "the kernel behind this GDB stub: unix:PATH, tcp:HOST:PORT, a serial device",
    },
    { name: "output", short: "o", value: "FILE", help: "write the output to FILE" },
    { name: "format", short: "f", value: "FORMAT", help: "text (the default) or json" },
    {
      name: "buffering",
      short: "B",
      value: "MODE",
      help: "of the output: line (the default), full, none",
    },
    { name: "quiet", short: "q", help: "no banner" },
    { name: "verbose", short: "v", help: "tell more: warnings of every location, loops cut off" },
    { name: "checks", short: "k", help: "tell of memory that cannot be read; see --compat" },
    {
      name: "dump",
      short: "d",
      value: "STAGE",
      repeats: true,
      help: "print the program after a pass and do not run it: ast, types, ir, js",
    },
    {
      name: "unsafe",
      help: "allow system(), signal(), override() and writes to the target's memory",
    },
    { name: "dry-run", help: "put the probes on, and end" },
    { name: "test", help: "run the test probes of the program" },
    { name: "bench", help: "run the bench probes of the program" },
    { name: "info", help: "what this installation can do" },
    { name: "no-warnings", help: "no warnings" },
    {
      name: "compat",
      value: "VERSION",
      help: "the language and output of an older bpftrace: 0.17; head is the default",
    },
    { name: "include-dir", short: "I", value: "DIR", repeats: true, help: "accepted, not needed" },
    { name: "include", value: "FILE", repeats: true, help: "accepted, not needed" },
    { name: "usdt-file-activation", help: "accepted, not needed" },
    { name: "no-follow-forks", help: "leave the children of processes alone" },
    ...SESSION.filter((option) => option.name !== "follow-forks"),
    HELP,
  ],
};

export const DEMO_SPEC: CommandSpec = { name: "demo", takesCommand: false, options: [COLOR, HELP] };
