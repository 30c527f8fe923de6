/** Spoils the answers of a scripted stub at random: bytes are changed, lost, doubled or made up. */

import type { Misbehaviour } from "./scripted-stub.ts";
import { frame } from "./scripted-stub.ts";

/** One answer in so many is spoiled. */
const SPOILED_EVERY = 12;

export function makeFuzz(seed: number): Misbehaviour {
  let state = (seed * 0x9e3779b1) >>> 0 || 1;
  const random = (limit: number): number => {
    // xorshift32.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  const byte = (): string => String.fromCharCode(random(256));
  return {
    send: (stub, answer) => {
      if (random(SPOILED_EVERY) !== 0) return false;
      const whole = frame(answer);
      const at = random(whole.length);
      switch (random(6)) {
        case 0: // one byte is another, with the checksum as it was
          stub.write(whole.slice(0, at) + byte() + whole.slice(at + 1));
          break;
        case 1: // one byte of the data is another
          stub.write(frame(answer.slice(0, at) + byte() + answer.slice(at + 1)));
          break;
        case 2: // it ends early
          stub.write(whole.slice(0, at));
          break;
        case 3: // a part of it comes twice
          stub.write(whole.slice(0, at) + whole.slice(random(at + 1)));
          break;
        case 4: // nothing of it is right
          stub.write(frame(Array.from({ length: random(40) }, byte).join("")));
          break;
        default: // another answer altogether
          stub.write(
            frame(["OK", "E01", "", "l", "m", "T05thread:p1.1;", "W00", "0*~"][random(8)]!),
          );
      }
      return true;
    },
  };
}
