/**
 * The array that the main thread of the command and the thread of a run share: how often the user
 * wished to stop, and which signals came that the script listens for.
 */

/** Words of the array. */
export const StopWord = {
  /** How often the run was asked to stop. */
  RaisedCount: 0,
  /** Set once the main thread listens for what the script listens for. */
  IsListening: 1,
  /** Of signal N, this plus N: how often it came. */
  SignalCounts: 2,
  Count: 67,
} as const;

export function createStopWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(StopWord.Count * Int32Array.BYTES_PER_ELEMENT);
}
