/** System calls by number, against well-known ones. */

import assert from "node:assert/strict";
import test from "node:test";
import { SyscallNames } from "./syscall-names.ts";

test("system calls have the numbers of their CPU", () => {
  const names = new SyscallNames();
  const of = (number: bigint): (string | undefined)[] => [
    names.find(number, "x86_64"),
    names.find(number, "arm64"),
  ];
  assert.deepEqual(of(0n), ["read", "io_setup"]);
  assert.deepEqual(of(63n), ["uname", "read"]);
  assert.deepEqual(of(79n), ["getcwd", "newfstatat"]);
  assert.deepEqual(of(257n)[0], "openat");
  assert.deepEqual(of(435n), ["clone3", "clone3"]);
  assert.deepEqual(of(450n), ["set_mempolicy_home_node", "set_mempolicy_home_node"]);
  assert.deepEqual(of(462n), ["mseal", "mseal"]);
  assert.deepEqual(of(100_000n), [undefined, undefined]);
});
