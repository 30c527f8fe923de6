import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, toAddress } from "../../base/address.ts";
import { BREAKPOINT, encodeBranch, encodeLoadLiteral, encodeWords } from "./assemble.ts";
import { decode } from "./decode.ts";

function text(word: number | undefined, address: Address): string | undefined {
  return word === undefined ? undefined : decode(encodeWords([word]), address)?.text;
}

test("a branch reaches -128 MiB to 128 MiB less one instruction", () => {
  const rows: [bigint, bigint, string | undefined][] = [
    [0x10000000n, 0x10000000n, "b 0x10000000"],
    [0x10000000n, 0x17fffffcn, "b 0x17fffffc"],
    [0x10000000n, 0x18000000n, undefined],
    [0x10000000n, 0x8000000n, "b 0x8000000"],
    [0x10000000n, 0x7fffffcn, undefined],
    [0xffff800080000000n, 0xffff80007ffffffcn, "b 0xffff80007ffffffc"],
    [0xfffffffffffffffcn, 0x4n, "b 0x4"],
  ];
  for (const [from, to, expected] of rows) {
    assert.equal(text(encodeBranch(toAddress(from), toAddress(to)), toAddress(from)), expected);
  }
});

test("literals are loaded, and our breakpoint has a number of its own", () => {
  const at = toAddress(0x1000n);
  assert.equal(text(encodeLoadLiteral(30, 8), at), "ldr x30, 0x1008");
  assert.equal(text(BREAKPOINT, at), "brk #0x544c");
});
