/** Random numbers of a seed, the same everywhere. */

export interface Random {
  readonly seed: number;
  /** A whole number from 0, below the limit. */
  below(limit: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** mulberry32. */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { seed, below, pick: (choices) => choices[below(choices.length)] as never };
}
