/**
 * Programs on which bpftrace 0.17 is wrong, with the reason: trapline does not copy these, so they
 * may differ, and are counted apart. Each program stands here as it stands in its file.
 */

import type { Program } from "./programs.ts";

const DEFECTS: ReadonlyMap<string, string> = new Map([
  [
    "@[strerror(2)] = 1",
    "a text of strerror() as a key ends it with `invalid mapkey argument type`",
  ],
  [
    'uprobe:TARGET:add { printf("%d\\n", *(int32*)uaddr("counter")) }',
    "uaddr() does not know where a position-independent program has been loaded",
  ],
  [
    "usdt:TARGET:trial:first { @ = hist(arg1) }",
    "hist() takes values from 2^31 on for ones below 2^32",
  ],
  [
    'uprobe:TARGET:inner { printf("%s", ustack) }',
    "the caller of a function that is at its start is left out, and those of main",
  ],
  [
    "print(-(int8)5); $b = (int16)5; print(~$b); $c = -$b; print($c); @ = -$b",
    "a narrow value that - or ~ gave is shown as if it had no sign, unless something is done to it",
  ],
  ...[
    "uprobe:TARGET:site { @n = count() } usdt:TARGET:trial:second { print(@n) }",
    "uprobe:TARGET:site { @a[arg0 % 3] = sum(arg1) } uprobe:TARGET:last { print(@a, 2); clear(@a) }",
  ].map((text): [string, string] => [text, "maps are printed later than print() is called"]),
  ["BPFTRACE_STRLEN=abc -e 'BEGIN { exit() }'", "it does not say what the value is; ours does"],
  ...[
    "uprobe:TARGET:inner { @[ustack(1)] = count() }",
    "uprobe:TARGET:add { @[func] = count() } uprobe:TARGET:fact { @[func] = count() }",
    "uprobe:TARGET:gree* { @[func] = count() }",
  ].map((text): [string, string] => [text, "names are looked for when the target has gone"]),
  [
    "print((int64)(uint8)-1); print((uint64)(int8)-1)",
    "a wider cast extends by its own sign, and not by that of the value",
  ],
]);

/** Wrong programs of which we say it in other words, and why. */
const OTHER_WORDS: ReadonlyMap<string, string> = new Map([
  ["BEGIN { @x = delete(@y); }", "both are wrong with it"],
  ['BEGIN { kaddr("no_such_sym"); }', "ours has its place in the program"],
  ['kprobe:vfs_read { reg("zz"); }', "which architecture it will be is not known yet"],
  ["BEGIN { $a = 1; $a->x; }", "0.17 names the type that `*$a` would have"],
  ["BEGIN { print(sizeof(struct nope)); }", "0.17 takes the name for a constant"],
  ['BEGIN { while ("a") { } }', "0.17 makes a program that the kernel refuses"],
  ["uprobe:/bin/sh:main { print(retval); }", "0.17 first looks for debug information"],
  ["BEGIN { $x = 99999999999999999999; }", "0.17 says `stoull`"],
  [
    "BEGIN { print(sizeof(uint16)); print(offsetof(struct A, x)); }",
    "later versions have offsetof(), which is worth saying",
  ],
]);

/** The reason why a program may differ, if there is one. */
export function findDefect(program: Program): string | undefined {
  return (program.kind === "wrong" ? OTHER_WORDS : DEFECTS).get(program.text);
}
