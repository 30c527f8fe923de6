import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, toAddress } from "../../../base/address.ts";
import type { Region } from "../../machine.ts";
import type { PtraceSpace } from "../space.ts";
import type { Guardian } from "./guardian.ts";
import { PtraceLifeline } from "./lifeline.ts";
import { TABLE_OFFSET } from "./orphan-handler.ts";

const START = 0x7000_0000_0000n;
/** Regions never touch, so that a write past the end of one is seen. */
const DISTANCE = 1n << 32n;
const SHIFT_OFFSET = 8;

/** Memory that gives as many regions as it is told to, and fails a write outside of them. */
class SmallSpace {
  readonly id = process.pid;
  readonly live = true;
  readonly regions: { readonly start: bigint; readonly bytes: Uint8Array }[] = [];
  readonly released: bigint[] = [];
  private readonly regionsMax: number;

  constructor(regionsMax: number) {
    this.regionsMax = regionsMax;
  }

  allocateOwn(_near: Address, _reachBytes: number, sizeBytes: number): Region | undefined {
    if (this.regions.length >= this.regionsMax) return undefined;
    const start = START + BigInt(this.regions.length) * DISTANCE;
    this.regions.push({ start, bytes: new Uint8Array(sizeBytes) });
    return { start: toAddress(start), sizeBytes };
  }

  releaseOwn({ start }: Region): boolean {
    this.released.push(start);
    return true;
  }

  call(): bigint {
    return 0n;
  }

  write(address: Address, bytes: Uint8Array): boolean {
    const region = this.regionOf(address);
    const offset = Number(address - region.start);
    assert.ok(offset + bytes.length <= region.bytes.length, "a write past the end of a region");
    region.bytes.set(bytes, offset);
    return true;
  }

  word(address: bigint): bigint {
    const region = this.regionOf(address);
    return new DataView(region.bytes.buffer).getBigUint64(Number(address - region.start), true);
  }

  private regionOf(address: bigint): { readonly start: bigint; readonly bytes: Uint8Array } {
    const region = this.regions.find(
      ({ start, bytes }) => address >= start && address < start + BigInt(bytes.length),
    );
    assert.ok(region !== undefined, `an access outside of all regions: 0x${address.toString(16)}`);
    return region;
  }
}

const NO_GUARDIAN = { add: () => {}, delete: () => {}, forget: () => {} };

function lifelineOf(space: SmallSpace): PtraceLifeline {
  return new PtraceLifeline(space as unknown as PtraceSpace, NO_GUARDIAN as unknown as Guardian);
}

/** As the handler in the target looks an escape up. */
function search(space: SmallSpace, key: bigint): bigint | undefined {
  const table = space.word(START + BigInt(TABLE_OFFSET));
  const shift = space.word(START + BigInt(TABLE_OFFSET + SHIFT_OFFSET));
  const hash = BigInt.asUintN(64, key * 0x9e37_79b9_7f4a_7c15n) >> shift;
  for (let at = table + hash * 16n; ; at += 16n) {
    const found = space.word(at);
    if (found === key) return space.word(at + 8n);
    if (found === 0n) return undefined;
  }
}

function arm(lifeline: PtraceLifeline, count: number): void {
  for (let index = 0; index < count; index++) {
    const site = toAddress(0x40_0000 + index * 5);
    lifeline.arming(site, Uint8Array.of(0x55), toAddress(site + 0x1000n));
  }
}

function countFound(space: SmallSpace, count: number): number {
  let found = 0;
  for (let index = 0; index < count; index++) {
    const site = BigInt(0x40_0000 + index * 5);
    const wayOn = search(space, site);
    if (wayOn === undefined) continue;
    assert.equal(wayOn, site + 0x1000n);
    found++;
  }
  return found;
}

test("the table of escapes grows as long as there is memory", () => {
  const space = new SmallSpace(8);
  arm(lifelineOf(space), 5000);
  assert.equal(countFound(space, 5000), 5000);
  // Each table but the last was given back; the first lies in the lifeline's own region.
  assert.equal(space.regions.length - space.released.length, 2);
});

test("with no memory for a larger table, what is in the last one stays right", () => {
  for (const regionsMax of [1, 2]) {
    const space = new SmallSpace(regionsMax);
    arm(lifelineOf(space), 5000);
    const found = countFound(space, 5000);
    assert.equal(found, regionsMax === 1 ? 256 : 1024);
    assert.deepEqual(space.released, []);
  }
});

test("with no memory at all there is no lifeline, and nothing is written", () => {
  const space = new SmallSpace(0);
  arm(lifelineOf(space), 10);
  assert.equal(space.regions.length, 0);
});

test("that there is no lifeline is told once, with the reason", () => {
  const lifeline = lifelineOf(new SmallSpace(0));
  assert.equal(lifeline.takeWarning(), undefined, "nothing was armed yet");
  arm(lifeline, 2);
  assert.match(lifeline.takeWarning() ?? "", /^process \d+ has no handler .*\(it gave no memory\)/);
  assert.equal(lifeline.takeWarning(), undefined);
  const whole = lifelineOf(new SmallSpace(8));
  arm(whole, 2);
  assert.equal(whole.takeWarning(), undefined);
});
