/**
 * Hints for names that were not found.
 */

import { findSimilar } from "../similar.ts";

export function didYouMean(asked: string, known: Iterable<string>): string | undefined {
  // Any letter is near any other.
  if (asked.length < 2) return undefined;
  const others = [...known].filter((name) => name !== asked);
  const name = findSimilar(asked, others);
  return name === undefined ? undefined : `did you mean ${name}?`;
}
