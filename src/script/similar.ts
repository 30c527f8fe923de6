/**
 * What somebody may have meant who wrote a name that is none.
 */

const NAME_CHARS_MAX = 64;

/** The nearest of some names, when it differs by a slip or two; undefined otherwise. */
export function findSimilar(name: string, among: Iterable<string>): string | undefined {
  let best: string | undefined;
  // Of a short name nothing much is left when two of its letters are changed.
  let bestCost = name.length < 4 ? 2 : 3;
  for (const candidate of among) {
    if (Math.abs(candidate.length - name.length) >= bestCost) continue;
    const cost = countEdits(name.toLowerCase(), candidate.toLowerCase());
    if (cost >= bestCost) continue;
    best = candidate;
    bestCost = cost;
  }
  return best;
}

/** Letters to put in, take out or replace. */
function countEdits(from: string, to: string): number {
  if (from.length > NAME_CHARS_MAX || to.length > NAME_CHARS_MAX) return NAME_CHARS_MAX;
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
