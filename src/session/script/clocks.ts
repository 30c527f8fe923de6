/**
 * The clocks of a script. Node tells the monotonic one cheaply; the others differ from it by what
 * changes seldom (a suspend, a step of the wall clock), so that difference is measured once in a
 * while.
 */

import { clockGettime } from "../../machine/ptrace/libc.ts";

export type ClockName = "monotonic" | "boot" | "tai" | "wall";

/** Numbers of clock_gettime(2). */
const CLOCK_IDS: Readonly<Record<ClockName, number>> = { wall: 0, monotonic: 1, boot: 7, tai: 11 };
const MEASURE_EVERY_NS = 1_000_000_000n;
/** The narrowest of these tells the difference best: a preemption makes it wide. */
const MEASURE_ROUNDS = 3;

export class Clocks {
  readonly #offsets = new Map<ClockName, { offsetNs: bigint; measuredNs: bigint }>();
  readonly #spec = new BigInt64Array(2);

  nowNs(clock: ClockName): bigint {
    const monotonicNs = process.hrtime.bigint();
    if (clock === "monotonic") return monotonicNs;
    const known = this.#offsets.get(clock);
    if (known !== undefined && monotonicNs - known.measuredNs < MEASURE_EVERY_NS) {
      return monotonicNs + known.offsetNs;
    }
    const offsetNs = this.#measure(clock);
    this.#offsets.set(clock, { offsetNs, measuredNs: monotonicNs });
    return process.hrtime.bigint() + offsetNs;
  }

  #measure(clock: ClockName): bigint {
    let best: { widthNs: bigint; offsetNs: bigint } | undefined;
    for (let round = 0; round < MEASURE_ROUNDS; round++) {
      const before = process.hrtime.bigint();
      clockGettime(CLOCK_IDS[clock], this.#spec);
      const widthNs = process.hrtime.bigint() - before;
      const nowNs = (this.#spec[0] as bigint) * 1_000_000_000n + (this.#spec[1] as bigint);
      if (best === undefined || widthNs < best.widthNs) {
        best = { widthNs, offsetNs: nowNs - before - widthNs / 2n };
      }
    }
    return best?.offsetNs ?? 0n;
  }
}
