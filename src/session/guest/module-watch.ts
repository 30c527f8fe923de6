/**
 * Learns of modules that a guest loads and unloads, by probes of ours on the kernel's functions for
 * that. They cost a stop for each module; they are set only when somebody waits for one, or has a
 * probe in one.
 */

import type { Address } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import type { Hooks } from "../../engine/site.ts";
import type { Module } from "../modules.ts";
import type { GuestView } from "./guest-view.ts";

/** At its entry a module is in the kernel's list, and none of its code has run. */
const LOADED = "do_init_module";
/** At its entry a module's code will not run any more, and is still mapped. */
const UNLOADED = "free_module";

export class ModuleWatch {
  private readonly view: GuestView;
  private readonly changed: (fresh: readonly Module[], gone: readonly Module[]) => void;
  private isStarted = false;

  constructor(
    view: GuestView,
    changed: (fresh: readonly Module[], gone: readonly Module[]) => void,
  ) {
    this.view = view;
    this.changed = changed;
  }

  /** @throws ToolError symbol.unknown, probe.refused */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    this.view.isToldOfModules = true;
    this.watch(LOADED, () => this.look());
    this.watch(UNLOADED, (module) => this.unloading(module));
    // Some may have come before anybody watched.
    this.look();
  }

  private look(): void {
    const fresh = this.view.refreshModules();
    if (fresh.length > 0) this.changed(fresh, []);
  }

  private unloading(address: bigint): void {
    const gone = this.view.removeModule(address);
    if (gone !== undefined) this.changed([], [gone]);
  }

  private watch(name: string, arrived: (firstArgument: bigint) => void): void {
    const { target, modules } = this.view;
    const [symbol] = modules.kernel.symbols.findByName(name);
    if (symbol === undefined) {
      throw new ToolError("symbol.unknown", `the kernel has no function ${name}`, {
        hint: "modules that are loaded later cannot be waited for",
      });
    }
    const address: Address = modules.kernel.toAddress(symbol.address);
    const [register] = target.arch.convention.argumentRegisters;
    const hooks: Hooks = {
      enabled: true,
      wantsPost: false,
      wantsFault: false,
      pre: (thread) => {
        arrived(thread.registers[register as number] ?? 0n);
        return false;
      },
      post: () => {},
      fault: () => false,
      miss: () => {},
    };
    target.addHooks(target.site(address, address), hooks);
  }
}
