/** What a run of a script is started with: plain data. */

import type { OutputStream } from "../../report/script-writer.ts";
import type { Dialect } from "../../script/dialect.ts";
import type { HandlersOptions } from "../worker/handlers-worker.ts";
import type { Buffering } from "./byte-writer.ts";

export type ScriptTarget =
  | { readonly kind: "command"; readonly command: readonly string[] }
  | { readonly kind: "pid"; readonly pid: number }
  /** The kernel behind a GDB stub: see connect(). */
  | { readonly kind: "gdb"; readonly address: string; readonly kernelTimeoutMs: number };

/** A pass after which the program may be shown. */
export type DumpStage = "ast" | "types" | "ir" | "js";

export interface ScriptSettings {
  /** Name and text of the program, as messages give them. */
  readonly name: string;
  readonly text: string;
  readonly dialect: Dialect;
  readonly positionals: readonly string[];
  readonly named: readonly (readonly [string, string])[];
  readonly environment: Readonly<Record<string, string>>;
  readonly targets: readonly ScriptTarget[];
  readonly options: HandlersOptions;
  /** Where the output goes; errors go to standard error. */
  readonly fd: number;
  /** Gets both in place of the descriptors. */
  readonly onOutput?: ((bytes: Uint8Array, stream: OutputStream) => void) | undefined;
  readonly format: "text" | "json";
  readonly buffering: Buffering;
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
  readonly hasWarnings: boolean;
  /** How often -k was given. */
  readonly helperChecks: number;
  readonly isUnsafe: boolean;
  readonly isDryRun: boolean;
  /** Run the `test` probes, and nothing else. */
  readonly isTest: boolean;
  readonly isBench: boolean;
  readonly dumpStages: readonly DumpStage[];
  /** Print the probes of the program instead of running it. */
  readonly isListing: boolean;
  /** Print the probes that match, and nothing else. */
  readonly listPattern: string | undefined;
}

/** What came of a run. */
export interface ScriptOutcome {
  readonly exitCode: number;
  /** The reader of the output went away, which ended the run. */
  readonly isOutputClosed: boolean;
}
