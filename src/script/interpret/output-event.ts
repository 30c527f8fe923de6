/**
 * What a program puts out, in order, for the report to write as text or as JSON lines. Values carry
 * what is needed to show them.
 */

import type { Shown, ShownMap } from "../../report/shown.ts";
import type { Range } from "../source.ts";

export type OutputEvent =
  /** Bytes, one character each. */
  | { readonly kind: "printf" | "cat" | "join" | "time" | "system"; readonly text: string }
  | { readonly kind: "value"; readonly value: Shown }
  | { readonly kind: "map"; readonly map: ShownMap }
  /** `print(@m[k])`. */
  | { readonly kind: "mapValue"; readonly map: ShownMap }
  | { readonly kind: "errorf" | "warnf"; readonly text: string; readonly range: Range }
  /** Division by zero, a full map; told once for each place. */
  | { readonly kind: "runtimeWarning"; readonly message: string; readonly range: Range }
  /** A read that failed, or a map that was full (-k). */
  | {
      readonly kind: "helperError";
      readonly helper: string;
      readonly returnCode: number;
      readonly message: string;
      readonly range: Range;
    };
