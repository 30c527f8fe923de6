/**
 * A client that leaves its guest only as its process ends: by process.exit(), or because nothing is
 * left to do.
 */

import { toAddress } from "../../../src/base/address.ts";
import { buildBareGuest } from "./bare-guest.ts";
import { StubBench } from "./stub-bench.ts";

const { symbols } = buildBareGuest();
const at = (name: string): ReturnType<typeof toAddress> => toAddress(symbols.get(name) ?? 0n);
const room = [{ start: at("room"), sizeBytes: 65536 }];
const bench = new StubBench({ address: process.argv[2] ?? "", room });
const { space } = bench.machine;
const word = new Uint8Array(8);
while (word[0] !== 2) {
  bench.engine.turn(20);
  space.read(at("processors"), word);
}
const hooks = bench.probe(at("hot"));
bench.probe(at("hot_count"));
for (const processor of [0, 1]) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, 200n, true);
  space.write(toAddress(at("rounds") + BigInt(8 * processor)), bytes);
}
while (hooks.pres < 20) bench.engine.turn(100);
process.once("exit", () => {
  process.exitCode = bench.detach() ? 0 : 1;
});
if (process.argv[3] === "exit") process.exit();
