/** What clients of the bare guest begin with: it is up, and two places of its loop are probed. */

import { type Address, toAddress } from "../../../src/base/address.ts";
import { buildBareGuest } from "./bare-guest.ts";
import { type CountingHooks, StubBench } from "./stub-bench.ts";

const PROCESSORS = 2;
const WORD_BYTES = 8;

export interface ProbingClient {
  readonly bench: StubBench;
  /** Of the hotter place. */
  readonly hooks: CountingHooks;
}

/**
 * Open the guest behind a stub, probe it, and have it begin.
 * @param rounds how often each processor goes round.
 */
export function startProbing(address: string, rounds: bigint): ProbingClient {
  const { symbols } = buildBareGuest();
  const at = (name: string): Address => toAddress(symbols.get(name) ?? 0n);
  const bench = new StubBench({ address, room: [{ start: at("room"), sizeBytes: 65536 }] });
  const { space } = bench.machine;
  const word = new Uint8Array(WORD_BYTES);
  while (word[0] !== PROCESSORS) {
    bench.engine.turn(20);
    space.read(at("processors"), word);
  }
  const hooks = bench.probe(at("hot"));
  bench.probe(at("hot_count"));
  new DataView(word.buffer).setBigUint64(0, rounds, true);
  for (let processor = 0; processor < PROCESSORS; processor++) {
    space.write(toAddress(at("rounds") + BigInt(WORD_BYTES * processor)), word);
  }
  return { bench, hooks };
}
