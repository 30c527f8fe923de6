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
  ...[
    "uprobe:TARGET:add { @[func] = count() } uprobe:TARGET:fact { @[func] = count() }",
    "uprobe:TARGET:gree* { @[func] = count() }",
  ].map((text): [string, string] => [text, "names are looked for when the target has gone"]),
  [
    "print((int64)(uint8)-1); print((uint64)(int8)-1)",
    "a wider cast extends by its own sign, and not by that of the value",
  ],
]);

/** The reason, if there is one. */
export function findDefect(program: Program): string | undefined {
  return DEFECTS.get(program.text);
}
