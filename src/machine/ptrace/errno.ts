/**
 * Error numbers as text, from Node's own table, which
 * has the names of errno(3).
 */

import { getSystemErrorName } from "node:util";

/** `EPERM (1)`-like text for a positive errno. */
export function errnoText(code: number): string {
  try {
    return getSystemErrorName(-code);
  } catch {
    return `error ${code}`;
  }
}
