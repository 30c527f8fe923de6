/**
 * The public API of Trapline: probes in running machine code. `launch` or `attach` give a Session;
 * its probes take plain synchronous handlers.
 */

export type { RefusalReason, Strategy } from "./arch/arch.ts";
export type { Address } from "./base/address.ts";
export { formatAddress, toAddress } from "./base/address.ts";
export { BugError, type ErrorCode, ToolError } from "./base/errors.ts";
export type * from "./session/api.ts";
export { attach, launch } from "./session/session.ts";
