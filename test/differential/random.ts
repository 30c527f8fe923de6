/** Random numbers of a seed, the same everywhere (xorshift32). */

export class Random {
  private state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not start alike.
    this.state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ (seed >>> 13)) >>> 0 || 1;
    for (let round = 0; round < 8; round++) this.next();
  }

  /** 32 unsigned bits. */
  next(): number {
    let state = this.state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.state = state >>> 0;
    return this.state;
  }

  /** From 0, below the limit. */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** True once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** 64 unsigned bits. */
  word(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }

  /** Fill with 32-bit words. */
  fill(words: Uint32Array): void {
    for (let index = 0; index < words.length; index++) words[index] = this.next();
  }

  shuffle<T>(items: T[]): T[] {
    for (let index = items.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      [items[index], items[other]] = [items[other] as T, items[index] as T];
    }
    return items;
  }
}
