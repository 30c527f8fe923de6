/**
 * What firings ask of the kind of target that was hit: processes by proc(5), kernels by their own
 * memory.
 */

import type { Space } from "../../script/types.ts";
import type { HitThread } from "../api.ts";
import type { HitView } from "../hit-view.ts";
import type { Names } from "./names.ts";

export interface FiringHost {
  readonly archName: string;
  readonly names: Names;
  readonly facts: TargetFacts;
  /** Which of the two stacks hits are on. */
  readonly stackSpace: Space;
}

export interface TargetFacts {
  /** At most 15 bytes, one character each. */
  comm(thread: HitThread): string;
  cpu(thread: HitThread): number;
  /** By the builtin's name; 0 for what is not known here. */
  number(name: string, hit: HitView): bigint;
  text(name: string, hit: HitView): string;
  /** Of a `struct path *` of a kernel. */
  path(address: bigint, hit: HitView): string | undefined;
  /** Of a kernel's current task; empty where the user stack is the one that hits are on. */
  userStack(hit: HitView, depthMax: number): readonly bigint[];
  signal(thread: HitThread, signal: number, toThread: boolean): boolean;
}
