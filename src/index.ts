/**
 * The public API of Trapline: probes in running machine code. `launch` or `attach` give a Session,
 * `connect` one on a kernel behind a GDB stub; its probes take plain synchronous handlers.
 * `runHandlers` runs a module of handlers in a thread of its own, `runScript` a script.
 */

export type { RefusalReason, Strategy } from "./arch/arch.ts";
export type { Address } from "./base/address.ts";
export { formatAddress, toAddress } from "./base/address.ts";
export { BugError, type ErrorCode, ToolError } from "./base/errors.ts";
export type * from "./session/api.ts";
export { connect } from "./session/guest/guest-session.ts";
export type * from "./session/provider-api.ts";
export { runScript, type ScriptOptions } from "./session/script/run-script.ts";
export type { ScriptOutcome } from "./session/script/settings.ts";
export { attach, launch } from "./session/session.ts";
export {
  type HandlersContext,
  type HandlersEnd,
  type HandlersOptions,
  type HandlersOutcome,
  type HandlersRequest,
  type HandlersSetup,
  type HandlersSignal,
  type HandlersTarget,
  runHandlers,
} from "./session/worker/handlers-worker.ts";
