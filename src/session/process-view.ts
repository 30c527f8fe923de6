/**
 * One process of a session: its modules, its engine target, and the placing of probes in it. A
 * process gets a new view when it execs.
 */

import { type Address, formatAddress, toAddress } from "../base/address.ts";
import type { Engine } from "../engine/engine.ts";
import type { Inspection, Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import type { CPrototype } from "../symbols/c-prototype.ts";
import { findFileOffset } from "../symbols/elf-file.ts";
import { findPrototype } from "../symbols/libc-prototypes.ts";
import { watchJumps } from "./jump-watch.ts";
import { watchLoader } from "./loader-watch.ts";
import { type Location, Locator } from "./locate.ts";
import { findFunctionBounds } from "./modules.ts";
import { type LoadedModule, ProcessModules } from "./process-modules.ts";
import { walkStack } from "./stack-walk.ts";
import type { SymbolFiles } from "./symbol-files/symbol-files.ts";
import { findInstructions, type TargetView, wordReader } from "./target-view.ts";

export class ProcessView implements TargetView {
  readonly id: number;
  readonly target: Target;
  readonly modules: ProcessModules;
  readonly locator: Locator;
  /**
   * Set when the dynamic linker has told of its first complete set of libraries, or there is none
   * to wait for.
   */
  librariesReady = false;
  private readonly jumpModules: Set<LoadedModule> = new Set();
  /** No dynamic linker to watch, or none that can be. */
  isStatic = false;

  constructor(
    engine: Engine,
    target: Target,
    processId: number,
    files: SymbolFiles,
    warn: (message: string) => void,
  ) {
    this.id = processId;
    this.target = target;
    this.modules = new ProcessModules(target.space, processId, files, warn);
    target.findFunction = (address) => findFunctionBounds(this.modules, address);
    this.locator = new Locator(
      this.modules,
      wordReader(target),
      (resolver) => {
        // LIMIT: a resolver can be called only in a thread that is stopped anyway, with its library
        // relocated.
        if (!this.librariesReady || this.isStatic) return undefined;
        const thread = engine.findParked(target);
        const outcome = thread === undefined ? undefined : engine.call(thread, resolver, []);
        return outcome !== undefined && "value" in outcome ? toAddress(outcome.value) : undefined;
      },
      (start, end) => findInstructions(target, start, end),
    );
  }

  /** Watch for libraries. changed() gets the modules that are new, and those that are gone. */
  watch(changed: (fresh: readonly LoadedModule[], gone: readonly LoadedModule[]) => void): boolean {
    return watchLoader(this.target, this.modules, () => {
      this.librariesReady = true;
      this.target.mappingsChanged();
      const { fresh, gone } = this.modules.refresh();
      changed(fresh, gone);
    });
  }

  /** Return probes are here: see watchJumps(). */
  watchJumps(): void {
    watchJumps(this.target, this.modules, this.jumpModules);
  }

  /** What is at a location and how it would be probed. */
  inspect(location: Location): Inspection {
    const inspection = this.target.inspect(location.address, location.functionStart);
    if (inspection.plan.kind === "refuse") return inspection;
    const foreign = this.foreignBreakpoint(location.address, inspection);
    return foreign === undefined
      ? inspection
      : { ...inspection, plan: { kind: "refuse", reason: "foreign-breakpoint", detail: foreign } };
  }

  readStack(thread: Thread, depthMax: number): readonly Address[] {
    const { target, modules } = this;
    return walkStack({ thread, target, modules }, depthMax);
  }

  findPrototype(name: string): CPrototype | undefined {
    return findPrototype(name);
  }

  /**
   * A breakpoint in memory where the file has none is somebody else's; so is a call that the
   * kernel's own probes put there.
   */
  private foreignBreakpoint(address: Address, inspection: Inspection): string | undefined {
    const first = inspection.bytes[0];
    if (first !== 0xcc && first !== 0xe8) return undefined;
    const module = this.modules.find(address);
    const elf = module?.symbols?.elf;
    if (module === undefined || elf === undefined) return undefined;
    const fileOffset = findFileOffset(elf, module.toOffset(address));
    if (fileOffset === undefined) return undefined;
    const original = elf.source.read(fileOffset, 1)[0];
    if (original === first || original === undefined) return undefined;
    return `${formatAddress(address)} holds a breakpoint that is not in ${module.name}: another debugger or a kernel probe is there`;
  }
}
