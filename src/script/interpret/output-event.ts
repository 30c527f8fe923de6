/**
 * What a program puts out, in order: what the report takes. Its shape is defined there, as the
 * report knows no scripts.
 */

import type { ScriptEvent } from "../../report/script-event.ts";

export type OutputEvent = ScriptEvent;
