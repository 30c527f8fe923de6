/**
 * What a session keeps of a target behind a stub, whatever is known of that: a Linux kernel that
 * was found in memory (guest-view.ts), or code whose file was named (image-view.ts).
 */

import type { Thread } from "../../machine/machine.ts";
import type { Btf } from "../../symbols/btf.ts";
import type { GuestInfo, HitThread } from "../api.ts";
import type { Module, ModuleList } from "../modules.ts";
import type { TargetView } from "../target-view.ts";

export interface StubView extends TargetView {
  readonly modules: ModuleList;
  /** Types of the target's functions, where they are known. */
  readonly types: Btf | undefined;
  /** What it is, and where that is known from. */
  readonly info: Omit<GuestInfo, "arch" | "cpuCount" | "openedInMs">;
  /** Look for modules that have come and gone. Gives those that are new. */
  lookAtModules(): readonly Module[];
  /** Who runs on a stopped thread of the stub. */
  describeThread(thread: Thread): HitThread;
}
