import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes } from "../../../test/support/x86-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { encodeJump, encodeLoadRcx } from "./assemble.ts";
import { decode } from "./decode.ts";

test("a jump is 5 bytes within ±2 GiB and 14 beyond", () => {
  const rows: [bigint, bigint, string][] = [
    [0x1000n, 0x1000n, "e9 fb ff ff ff"],
    [0x1000n, 0x80001004n, "e9 ff ff ff 7f"],
    [0x1000n, 0x80001005n, "ff 25 00 00 00 00 05 10 00 80 00 00 00 00"],
    [0x80001000n, 0x1005n, "e9 00 00 00 80"],
    [0x80001000n, 0x1004n, "ff 25 00 00 00 00 04 10 00 00 00 00 00 00"],
    [0xffffffff81000000n, 0xffffffffc0000000n, "e9 fb ff ff 3e"],
    [0x1000n, 0xffffffffc0000000n, "e9 fb ef ff bf"],
  ];
  for (const [from, to, expected] of rows) {
    assert.equal(formatBytes(encodeJump(toAddress(from), toAddress(to))), expected);
  }
});

test("rcx is loaded with all 64 bits", () => {
  const insn = decode(encodeLoadRcx(0x1122334455667788n), toAddress(0n));
  assert.equal(insn?.text, "mov rcx,0x1122334455667788");
});
