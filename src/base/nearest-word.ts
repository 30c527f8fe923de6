/**
 * What somebody may have meant who wrote a word that is none: the nearest of the known ones, by the
 * slips (a letter too many, missing, wrong, or two swapped) that lie between. Case is no slip.
 */

/** A longer word costs too much to compare with all others, and slips in it are rare. */
const WORD_CHARS_MAX = 64;

/** The nearest of some words, when it differs by a slip or two (three, of a long one). */
export function findNearestWord(typed: string, words: Iterable<string>): string | undefined {
  // Any letter is near any other; and of a short word nothing is left when two are changed.
  if (typed.length < 2 || typed.length > WORD_CHARS_MAX) return undefined;
  const editsMax = typed.length < 4 ? 1 : typed.length < 9 ? 2 : 3;
  const asked = toFoldedCodes(typed);
  let nearest: string | undefined;
  let least = editsMax + 1;
  for (const word of words) {
    if (word === typed || Math.abs(word.length - typed.length) >= least) continue;
    const codes = toFoldedCodes(word);
    const edits = countEdits(asked, codes, 0, codes.length, least - 1);
    if (edits >= least) continue;
    nearest = word;
    least = edits;
  }
  return nearest;
}

/**
 * Edits (insert, delete, replace, swap of neighbours) that make one name of the other; above the
 * maximum it is only known to be.
 * @param asked folded by foldCode  @param text of which `size` units from `start` are the name
 */
export function countEdits(
  asked: Uint8Array | Uint16Array,
  text: Uint8Array | Uint16Array,
  start: number,
  size: number,
  editsMax: number,
): number {
  let before = new Uint8Array(size + 1);
  let previous = Uint8Array.from({ length: size + 1 }, (_, index) => Math.min(index, 255));
  let current = new Uint8Array(size + 1);
  for (let row = 1; row <= asked.length; row += 1) {
    current[0] = row;
    let least = row;
    for (let column = 1; column <= size; column += 1) {
      const code = foldCode(text[start + column - 1] as number);
      const isSame = asked[row - 1] === code;
      let edits = Math.min(
        (previous[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (previous[column - 1] as number) + (isSame ? 0 : 1),
      );
      const isSwap =
        row > 1 &&
        column > 1 &&
        asked[row - 2] === code &&
        asked[row - 1] === foldCode(text[start + column - 2] as number);
      if (isSwap) edits = Math.min(edits, (before[column - 2] as number) + 1);
      current[column] = edits;
      if (edits < least) least = edits;
    }
    if (least > editsMax) return least;
    [before, previous, current] = [previous, current, before];
  }
  return previous[size] as number;
}

/** A capital letter of ASCII as a small one. */
export function foldCode(code: number): number {
  return code >= 0x41 && code <= 0x5a ? code + 32 : code;
}

function toFoldedCodes(word: string): Uint16Array {
  return Uint16Array.from(word, (char) => foldCode(char.charCodeAt(0)));
}
