/** The code by which a thread goes back without us. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { x86_64 } from "../../../arch/x86_64/x86_64.ts";
import { addOffset, toAddress } from "../../../base/address.ts";
import { ESCORT_CODE_BYTES, escortCode } from "./escort.ts";

test("the stack pointer leaves the thread's stack in the last instruction before rt_sigreturn", () => {
  const frame = toAddress(0x1234_5678_9abcn);
  const code = escortCode(frame);
  const texts: string[] = [];
  let at = toAddress(0x1000);
  for (let offset = 0; offset < code.length; ) {
    const instruction = x86_64.decode(code.subarray(offset), at);
    assert.ok(instruction !== undefined);
    texts.push(instruction.text);
    offset += instruction.sizeBytes;
    at = addOffset(at, instruction.sizeBytes);
  }
  assert.deepEqual(texts, ["syscall", "mov eax,0xf", "mov rsp,0x123456789abc", "syscall"]);
  assert.equal(code.length, ESCORT_CODE_BYTES);
});
