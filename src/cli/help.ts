/** The texts of --help. Options come from the tables that are parsed, so they cannot go stale. */

import type { CommandSpec } from "./arguments.ts";
import { EXIT_CODE_HELP } from "./exit-codes.ts";
import {
  CHECK_SPEC,
  DEMO_SPEC,
  INFO_SPEC,
  LIST_SPEC,
  RUN_SPEC,
  SCRIPT_SPEC,
  TRACE_SPEC,
  TYPES_SPEC,
  VM_SPEC,
} from "./specs.ts";

/** Text for `trapline --help`. */
export function formatMainHelp(): string {
  return MAIN_HELP;
}

/** Text for `trapline COMMAND --help`, or undefined for a command that there is not. */
export function findCommandHelp(name: string): string | undefined {
  const page = PAGES.find((candidate) => candidate.spec.name === name);
  if (page === undefined) return undefined;
  return `${page.head}\n\noptions:\n${formatOptions(page.spec)}\n\n${page.tail}\n`;
}

/**
 * A page on a terminal of so many columns: a line that is longer goes on below its own
 * explanation, or below its start, and not in the middle of a word.
 */
export function fitPage(page: string, columns: number): string {
  return page
    .split("\n")
    .map((line) => fitLine(line, columns))
    .join("\n");
}

function fitLine(line: string, columns: number): string {
  if (line.length <= columns) return line;
  // What an explanation starts behind: the last gap of two blanks or more.
  const gap = /^(.*\S {2,})\S/.exec(line)?.[1]?.length;
  const start = line.search(/\S/);
  const below = start === 0 ? 0 : start + 2;
  const indent = gap !== undefined && gap <= columns / 2 ? gap : below;
  const space = line.lastIndexOf(" ", columns);
  if (space <= indent) return line;
  const rest = " ".repeat(indent) + line.slice(space + 1);
  return `${line.slice(0, space).trimEnd()}\n${fitLine(rest, columns)}`;
}

/** Names of the commands, for near misses. */
export function commandNames(): readonly string[] {
  return [...PAGES.map((page) => page.spec.name), "help", "version"];
}

interface HelpPage {
  readonly spec: CommandSpec;
  readonly head: string;
  readonly tail: string;
}

/** Columns before the explanation of an option. */
const OPTION_COLUMNS = 32;

function formatOptions(spec: CommandSpec): string {
  const lines = spec.options.map((option) => {
    const short = option.short === undefined ? "    " : `-${option.short}, `;
    const value = option.value === undefined ? "" : ` ${option.value}`;
    const left = `  ${short}--${option.name}${value}`;
    const repeats = option.repeats ? " (repeatable)" : "";
    return `${left.padEnd(OPTION_COLUMNS - 1)} ${option.help}${repeats}`;
  });
  return lines.join("\n");
}

const WHERE_HELP = `WHERE is
  malloc                      a function, in any module
  libc:malloc                 in the module libc.so.6 (its version and suffix may be left out)
  /usr/lib/libz.so.1:inflate  in the module of that path
  'libc:mem*'                 every function that matches; * ? [..] work in the module too
  malloc+4, 0x401136          one instruction; its arrivals are shown, not its calls
  'malloc+*'                  every instruction of a function`;

const TARGET_HELP = `the target is one of
  -c 'ls -l /usr'             run this command; words and quotes as in a shell, but no shell is run
  -- ls -l /usr               the same, everything after -- is the command
  -p PID                      attach to a running process, and leave it running
  --gdb unix:gdb.sock         the kernel of a virtual machine, behind its GDB stub; also tcp:HOST:PORT`;

const ARGUMENT_HELP = `Words after the file are $1, $2, ...; behind -- also --NAME=VALUE for getopt("NAME"). BPFTRACE_MAX_STRLEN and
the like in the environment are settings of the same names in config = { max_strlen = 200 }.`;

const EXIT_HELP = `exit codes:\n${EXIT_CODE_HELP.join("\n")}`;

const MAIN_HELP = `trapline: probes in running machine code

  trapline trace 'libc:open*' malloc -- ls -l /usr     see calls with arguments, results and times
  trapline trace --count 'libc:mem*' -p 1234           count and time them
  trapline run probes.ts -- ./program                  your own handlers, in TypeScript
  trapline -e 'uprobe:libc:malloc { @[arg0] = count(); }' -c ls     a script, as bpftrace's are
  trapline malloc-sizes -c ls                          a script of the gallery (tools), by its name
  trapline list 'libc:mem*'                            what can be probed
  trapline check 'libc:malloc+4'                       how a probe there is executed, or why not
  trapline vm vfs_read -- qemu-system-x86_64 ...       start a virtual machine and see calls in its kernel
  trapline demo                                        see it at work on programs of this machine

commands:
  trace     a line per call of the functions you name
  run       run a module of handlers: export default (session) => { session.kprobe(...) }
  script    run a script in bpftrace's language; the word itself may be left out
  list      functions that can be probed
  check     the instruction at a location, and how it would be probed
  vm        start QEMU, wait for its kernel, and trace that
  info      what is behind a GDB stub
  types     the types of a kernel, for TypeScript
  demo      a tour of half a minute
  help      this, or: trapline help COMMAND

  --version   the version          --help   this; after a command: its options and examples

${TARGET_HELP}

Ctrl-C detaches and prints the summary; the target goes on, unless it is a command of -c that ends by the
terminal's own Ctrl-C, as it would have untraced. No root is needed for processes of your own,
and no kernel support beyond ptrace.

${EXIT_HELP}

  TRAPLINE_DEBUG=1 shows stack traces of errors.
`;

const PAGES: readonly HelpPage[] = [
  {
    spec: TRACE_SPEC,
    head: `trapline trace WHERE... (-c CMD | -p PID | -- CMD...)

A line per call: time of entry in seconds (of the return, where a call that holds others is closed), thread
where there are several, name, arguments, return value and <duration>, indented by nesting. "= ?" is a call that
never returned: exit, exec, longjmp, an exception.

${WHERE_HELP}

${TARGET_HELP}

The trace goes to standard error when trapline runs the command, since standard output is the command's own; to
standard output with -p; with -o to a file. The summary and warnings go to standard error, unless JSON does.

Arguments of the usual libc functions are known, those of others are told by --proto; else the first four
argument registers are shown. After --limit or --duration the probes are taken out; a command is waited for.`,
    tail: `examples:
  trapline trace 'libc:open*' 'libc:malloc' -c 'ls -l /usr'
  trapline trace --count 'libc:str*' 'libc:mem*' -- python3 -c 'print(1)'
  trapline trace --limit 20 'uv_*' -p "$(pgrep -n node)"
  trapline trace --json -o calls.jsonl 'libz:*' -- ./program
  trapline trace --proto 'int parse(const char *text, unsigned flags)' parse -- ./program

fields of --json (one object a call, written when it ends):
  call         counts entries from 1
  ts           entry, ns of the monotonic clock (integers beyond 2^53 are decimal text, everywhere)
  pid, tid, function, module
  depth        traced calls around this one in its thread
  args, ret    integers as numbers, pointers as "0x..", strings as {"address", "text"} with "cut": true when
               shortened, null for what cannot be shown
  duration_ns  null when no return was seen
  returned     whether a return was seen
with --count: function, module, calls, returns, total_ns, mean_ns, min_ns, max_ns

${EXIT_HELP}`,
  },
  {
    spec: RUN_SPEC,
    head: `trapline run FILE (-c CMD | -p PID | -- CMD...)

Runs a module of handlers, TypeScript or JavaScript, on a process. Nothing has to be installed beside it:
"trapline" in its imports is this installation.

  import type { Session } from "trapline";

  export default function (session: Session) {
    const probe = session.kretprobe("libc:malloc", {
      entry(hit, call) { call.data = hit.arg(0); },
      handler(hit, call) { console.log("malloc", call.data, "gave", hit.returnValue); },
    });
    return () => console.log(probe.hits, "calls");   // runs at the end; or export function end() {}
  }

The default export runs before the target's first instruction (with -c: its libraries are loaded, their
constructors have not run). Handlers are plain synchronous functions. A jprobe's handler gets the function's
arguments by name: session.jprobe("libc:write", ({ fd, buf, count }) => ...), or with { prototype, handler }.

${TARGET_HELP}`,
    tail: EXIT_HELP,
  },
  {
    spec: SCRIPT_SPEC,
    head: `trapline FILE.bt [ARGUMENT...] [-c CMD | -p PID... | --name NAME | --gdb ADDRESS]
trapline -e 'PROGRAM' ...
trapline - < FILE
trapline -l [PATTERN]

Runs a script in the language of bpftrace (that of August 2026; --compat 0.17 for that of an older one). No root
and no BPF are needed: processes are probed by ptrace, kernels from outside, by their GDB stub.

  #!/usr/bin/env trapline        as the first line makes a script a command of its own

A name such as malloc-sizes or tools/malloc-sizes.bt is, where there is no such file, a script of the gallery,
which comes with the package (its folder tools; README.md says what each of them tells).

Probes:
  begin, end, interval:s:1, self:signal:SIGUSR1
  uprobe:libc:malloc, uretprobe:./program:parse*, uprobe:/usr/lib/libz.so.1:inflate+4, uprobe:main
  usdt:./program:provider:name, tracepoint:syscalls:sys_enter_openat, profile:hz:99, watchpoint:ADDRESS:8:w
  kprobe:vfs_read, kretprobe, fentry, fexit            with --gdb
  docs/language.md has the language, and what of it is served where

Different from bpftrace, whose uprobes are of a file, in whatever process: here they are of the processes named
(-c, -p, which may be repeated, --name), and of the children these come to have. Without a file it is the program
itself that is meant. Everything is printed in order, and printed maps are what they were at that moment.`,
    tail: `examples:
  trapline -e 'uprobe:libc:malloc { @bytes = hist(arg0); }' -c 'ls -l /usr'
  trapline -e 'uretprobe:bash:readline { printf("%s\n", str(retval)); }' --name bash
  trapline -e 'interval:s:1 { print(@); clear(@) } uprobe:libc:write { @[pid] = count() }' -p 12 -p 34
  trapline -l 'uprobe:libz:*'
  trapline -lv 'uprobe:libc:open*'

${ARGUMENT_HELP}

exit codes: 0 done, also after Ctrl-C; N of exit(N); 1 the program is wrong, or a target is not there;
255 no such file, or a probe cannot be put on. The exit code of the command of -c is not passed on.`,
  },
  {
    spec: LIST_SPEC,
    head: `trapline list WHERE... [-c CMD | -p PID | -- CMD...]

Functions that can be probed: address, size in bytes, module:name. With -p they are those of the process, with -c
those of the program and its libraries as loaded (it is not run). Otherwise the file on disk is read: a library
('libz:*', './my.so:*'), a program ('bash:*read*'), libc when no module is named; addresses are the file's own.

${WHERE_HELP}`,
    tail: `examples:
  trapline list 'libc:mem*'
  trapline list 'node:*Http*' --json
  trapline list '*' -p 1234

${EXIT_HELP}`,
  },
  {
    spec: CHECK_SPEC,
    head: `trapline check WHERE... [-c CMD | -p PID | -- CMD...]

The instruction at a location, how a probe would execute it, and why not faster; or why it is refused:
  boost     a copy elsewhere and a jump back: one stop a hit
  emulate   done in TypeScript
  step      a copy, single-stepped and mended: two stops a hit
Without -c or -p the module is loaded into a process for the purpose, and none of its code runs. The exit code
is 1 when a location is refused.

${WHERE_HELP}`,
    tail: `examples:
  trapline check 'libc:malloc+4'
  trapline check --strategy emulate malloc -p 1234
  trapline check 0x401136 -- ./program

${EXIT_HELP}`,
  },
  {
    spec: VM_SPEC,
    head: `trapline vm WHERE... -- qemu-system-x86_64 ...

Starts QEMU with a GDB stub of its own on a private socket, waits for the guest's Linux kernel, and traces it as
trace does: a line per call, with the task that made it. Nothing is needed in the guest, which may be of any
distribution, with KASLR on; symbols and types are those in its memory. When QEMU ends so does the trace.

WHERE is a function of the kernel or of a module: vfs_read, ext4:ext4_file_open, 'tcp_v4_*', vfs_read+0x1a.

A hit stops the whole guest for about a millisecond under QEMU's software emulation.`,
    tail: `examples:
  trapline vm do_sys_openat2 -- qemu-system-x86_64 -nographic -kernel vmlinuz -initrd initrd.gz -append console=ttyS0
  trapline vm --count 'vfs_*' -o calls.txt -- qemu-system-aarch64 -M virt -cpu cortex-a72 -kernel Image

${EXIT_HELP}`,
  },
  {
    spec: INFO_SPEC,
    head: `trapline info --gdb ADDRESS

What was found behind a GDB stub: the kernel's version and build-id, where its code is, how many symbols and
types it has, how its memory is read. The guest goes on.`,
    tail: EXIT_HELP,
  },
  {
    spec: TYPES_SPEC,
    head: `trapline types (FILE | --gdb ADDRESS) [FUNCTION...] [-o kernel.d.ts]

Declarations for TypeScript of a kernel's functions and structures, by its own types (BTF): of a vmlinux, of
/sys/kernel/btf/vmlinux, or of the guest behind a stub. With names, only of those functions.`,
    tail: `examples:
  trapline types /sys/kernel/btf/vmlinux -o kernel.d.ts
  trapline types --gdb unix:gdb.sock vfs_read vfs_write

${EXIT_HELP}`,
  },
  {
    spec: DEMO_SPEC,
    head: `trapline demo

Shows in under a minute what trapline is for, on programs of this machine. Each scene prints the command it
runs, so that you can go on from there.`,
    tail: EXIT_HELP,
  },
];
