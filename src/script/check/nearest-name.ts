/**
 * Hints for names that were not found.
 */

import { findNearestWord } from "../../base/nearest-word.ts";

export function didYouMean(asked: string, known: Iterable<string>): string | undefined {
  const name = findNearestWord(asked, known);
  return name === undefined ? undefined : `did you mean ${name}?`;
}
