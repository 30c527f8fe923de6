/**
 * The public types of probes that are not at a place of the user's choosing: sites that a program's
 * authors have marked. With api.ts they are all that a user of the library sees.
 */

import type { Address } from "../base/address.ts";
import type { Hit, Probe, ProbeOptions } from "./api.ts";

/** The site of a USDT probe that was hit. Valid only while its handler runs. */
export interface UsdtSite {
  readonly provider: string;
  readonly name: string;
  readonly argumentCount: number;
  /**
   * The n-th argument, from 0: with the sign and size that the program gave it, a float as a
   * number. Undefined where there is none, or it cannot be read.
   */
  arg(index: number): bigint | number | undefined;
  /** All of them. */
  readonly args: readonly (bigint | number | undefined)[];
}

export type UsdtHandler = (hit: Hit, site: UsdtSite) => void;

/** A site that a program's authors have marked for probing. */
export interface UsdtInfo {
  readonly module: string;
  readonly provider: string;
  readonly name: string;
  readonly address: Address;
  /** The count of those who listen, in the program's memory; undefined where it keeps none. */
  readonly semaphore: Address | undefined;
  readonly arguments: readonly UsdtArgumentInfo[];
}

export interface UsdtArgumentInfo {
  /** As the program's note has it, e.g. `-4@%edi`. */
  readonly text: string;
  readonly sizeBytes: 1 | 2 | 4 | 8;
  readonly isSigned: boolean;
  readonly isFloat: boolean;
}

/** What a session has besides probes at locations. */
export interface SessionProviders {
  /**
   * A probe on the sites that a program's authors have marked (USDT): `provider:name`,
   * `module:provider:name` or `/path:name`; globs are taken in each. While it is enabled, the
   * program's count of listeners is up.
   */
  usdt(where: string, handler: UsdtHandler, options?: ProbeOptions): Probe;
  /** The marked sites that match, by module, provider and name; all without a pattern. */
  usdtSites(pattern?: string): readonly UsdtInfo[];
}
