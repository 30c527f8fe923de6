/** What the engine's side of a space refuses to probe, each with its reason (K-09). */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RefusalReason } from "../arch/arch.ts";
import { x86_64 } from "../arch/x86_64/x86_64.ts";
import { toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { FakeMachine, type FakeSpace } from "../machine/fake/fake-machine.ts";
import type { Hooks } from "./site.ts";
import { Target } from "./target.ts";

const TEXT = toAddress(0x401000n);
const DATA = toAddress(0x700000n);
const REGION = 0x500000n;
// mov eax,1 | mov rax,[rip+0x7fffffff] | no instruction
const CODE = Uint8Array.of(0xb8, 1, 0, 0, 0, 0x48, 0x8b, 0x05, 0xff, 0xff, 0xff, 0x7f, 0x06);
const LOAD = toAddress(TEXT + 5n);
const NOTHING = toAddress(TEXT + 12n);

function makeTarget(): { readonly space: FakeSpace; readonly target: Target } {
  const machine = new FakeMachine(x86_64);
  const space = machine.makeSpace(100, REGION);
  space.map(TEXT, CODE, 0x1000, "rx");
  space.map(DATA, new Uint8Array(0), 0x1000, "rw");
  machine.makeThread(100, space);
  return { space, target: new Target(space, x86_64, undefined, assert.fail) };
}

function assertRefused(action: () => unknown, reason: RefusalReason): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.code, "probe.refused");
    assert.equal(error.details["reason"], reason);
    assert.ok(error.message.endsWith(`[${reason}]`), error.message);
    return true;
  });
}

function makeHooks(enabled: boolean): Hooks & { enabled: boolean } {
  return {
    enabled,
    wantsPost: false,
    wantsFault: false,
    pre: () => false,
    post: () => {},
    fault: () => false,
    miss: () => {},
  };
}

test("data, and where nothing is mapped", () => {
  const { target } = makeTarget();
  assertRefused(() => target.site(DATA, undefined), "not-executable");
  assertRefused(() => target.site(toAddress(0x1234n), undefined), "not-executable");
});

test("the middle of an instruction", () => {
  const { target } = makeTarget();
  assertRefused(() => target.site(toAddress(TEXT + 1n), TEXT), "not-boundary");
});

test("bytes that are no instruction", () => {
  const { target } = makeTarget();
  assertRefused(() => target.site(NOTHING, undefined), "undecodable");
});

test("an operand that no slot reaches", () => {
  // The region lies behind the text, so the distance would have to grow.
  const { target, space } = makeTarget();
  space.nextRegion = 0x300000n;
  assertRefused(() => target.site(LOAD, undefined), "out-of-reach");
  assert.deepEqual([...target.sites.keys()], []);
});

test("a target that gives no memory", () => {
  const { target, space } = makeTarget();
  space.nextRegion = undefined;
  assertRefused(() => target.site(TEXT, undefined), "no-slot");
});

test("our own code", () => {
  const { target } = makeTarget();
  target.site(TEXT, undefined);
  assertRefused(() => target.site(toAddress(REGION), undefined), "own-code");
});

test("code that was replaced while its probe was disabled", () => {
  const { target, space } = makeTarget();
  const site = target.site(TEXT, undefined);
  const hooks = makeHooks(false);
  target.addHooks(site, hooks);
  assert.ok(space.write(TEXT, Uint8Array.of(0xb9)));
  hooks.enabled = true;
  assertRefused(() => target.refresh(site), "text-changed");
  assert.equal(site.armed, false);
});
