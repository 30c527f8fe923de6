/**
 * The memory that a timer's action means: that of the guest's kernel, or of the one process that is
 * probed. With several processes nobody knows which.
 */

import { toAddress } from "../../base/address.ts";
import type { SymbolPlace } from "../../script/interpret/host.ts";
import type { TargetView } from "../target-view.ts";
import { Names } from "./names.ts";
import type { OwnMemory } from "./own-firing.ts";
import { readByteText } from "./read-bytes.ts";
import type { Targets } from "./targets.ts";

export function createOwnMemory(targets: Targets): OwnMemory {
  const names = new Names();
  return {
    read(address: bigint, sizeBytes: number): Uint8Array | undefined {
      const view = findOnlyView(targets);
      const bytes = new Uint8Array(sizeBytes);
      if (view === undefined) return undefined;
      return view.target.memory.read(toAddress(BigInt.asUintN(64, address)), bytes)
        ? bytes
        : undefined;
    },
    readText(address: bigint, sizeBytesMax: number): string | undefined {
      const view = findOnlyView(targets);
      return view === undefined
        ? undefined
        : readByteText(view.target.memory, address, sizeBytesMax);
    },
    place(address: bigint): SymbolPlace | undefined {
      // Libraries come and go between two of these, and they are rare.
      const view = findOnlyView(targets);
      if (view === undefined) return undefined;
      names.forget(view);
      return names.place(view, address);
    },
    cpu: () => 0,
  };
}

function findOnlyView(targets: Targets): TargetView | undefined {
  const live = targets.sessions.filter((session) => session.live);
  const views = live.flatMap((session) => [...session.views]);
  return views.length === 1 ? views[0] : undefined;
}
