/**
 * What a script puts out, in order, as the report takes it to write text or JSON lines. Values
 * carry all that is needed to show them. Texts are strings of bytes, one character each.
 */

import type { Shown, ShownMap } from "./shown.ts";

/** The part of a script that an event comes from; by shape a Range of script/source.ts. */
export interface EventPlace {
  readonly source: { readonly name: string; readonly text: string };
  /** Offset in UTF-16 units. */
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export type ScriptEvent =
  | { readonly kind: "printf" | "cat" | "join" | "time" | "system"; readonly text: string }
  | { readonly kind: "value"; readonly value: Shown }
  | { readonly kind: "map"; readonly map: ShownMap }
  /** `print(@m[k])`. */
  | { readonly kind: "mapValue"; readonly map: ShownMap }
  | { readonly kind: "errorf" | "warnf"; readonly text: string; readonly range: EventPlace }
  /** Division by zero, a full map; told once for each place. */
  | { readonly kind: "runtimeWarning"; readonly message: string; readonly range: EventPlace }
  /** A read that failed, or a map that was full (-k). */
  | {
      readonly kind: "helperError";
      readonly helper: string;
      readonly returnCode: number;
      readonly message: string;
      readonly range: EventPlace;
    };
