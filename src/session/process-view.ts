/**
 * One process of a session: its modules, its engine target, and the placing of probes in it. A
 * process gets a new view when it execs.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, addOffset, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Engine } from "../engine/engine.ts";
import { type Inspection, refusal, type Target } from "../engine/target.ts";
import { findFileOffset } from "../symbols/elf-file.ts";
import { watchJumps } from "./jump-watch.ts";
import { watchLoader } from "./loader-watch.ts";
import { type Location, Locator } from "./locate.ts";
import type { BaseProbe } from "./probe.ts";
import { type LoadedModule, ProcessModules } from "./process-modules.ts";
import type { SymbolFiles } from "./symbol-files/symbol-files.ts";

export class ProcessView {
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
    target.findFunction = (address) => {
      const module = this.modules.find(address);
      const bounds = module?.symbols?.functionBounds(module.toOffset(address));
      if (module === undefined || bounds === undefined) return undefined;
      return { start: module.toAddress(bounds.start), end: module.toAddress(bounds.end) };
    };
    const word = new Uint8Array(8);
    this.locator = new Locator(
      this.modules,
      (address) =>
        target.space.read(address, word)
          ? new DataView(word.buffer).getBigUint64(0, true)
          : undefined,
      (resolver) => {
        // LIMIT: a resolver can be called only in a thread that is stopped anyway, with its library
        // relocated.
        if (!this.librariesReady || this.isStatic) return undefined;
        const thread = engine.findParked(target);
        const outcome = thread === undefined ? undefined : engine.call(thread, resolver, []);
        return outcome !== undefined && "value" in outcome ? toAddress(outcome.value) : undefined;
      },
      (start, end) => this.findInstructions(start, end),
    );
  }

  private findInstructions(start: Address, end: Address): readonly Address[] {
    const { arch, memory } = this.target;
    const text = new Uint8Array(Math.min(Number(end - start), limits.functionSizeBytesMax));
    const bytes = text.subarray(0, memory.readSome(start, text));
    const starts = [...arch.boundaries(bytes, start)];
    const last = starts.at(-1);
    const next =
      last === undefined ? start : addOffset(last, sizeAt(arch, bytes, Number(last - start), last));
    // What cannot be decoded is to be told of, and so is what cannot be read.
    if (next < end) starts.push(next);
    return starts;
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

  /** Put a probe at a location. False when it was there. Throws ToolError probe.refused. */
  place(probe: BaseProbe, location: Location): boolean {
    const sites = probe.armed.get(this.target) ?? new Map();
    if (sites.has(location.address)) return false;
    const known = this.target.sites.get(location.address);
    if (known?.armed !== true) {
      const inspection = this.inspect(location);
      if (inspection.plan.kind === "refuse") throw refusal(location.address, inspection);
    }
    const site = this.target.site(location.address, location.functionStart);
    site.label ??= location;
    const choice = probe.choiceAt(this.target, site);
    if (choice !== undefined && choice.mechanism === undefined) {
      throw refusal(location.address, {
        bytes: site.instruction.bytes,
        instruction: site.instruction,
        plan: { kind: "refuse", reason: "shadow-stack", detail: choice.why },
      });
    }
    this.target.addHooks(site, probe);
    sites.set(location.address, site);
    probe.armed.set(this.target, sites);
    return true;
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

  /** Symbols and module of an address, as text. */
  describe(address: bigint): string {
    const location = this.locator.describe(toAddress(address));
    if (location.symbol !== undefined) {
      const offset = location.symbolOffset === 0 ? "" : `+0x${location.symbolOffset.toString(16)}`;
      return `${location.symbol}${offset} (${location.module})`;
    }
    if (location.module !== undefined) {
      const module = this.modules.find(address);
      return `${location.module}+0x${(address - (module?.start ?? 0n)).toString(16)}`;
    }
    return formatAddress(address);
  }
}

function sizeAt(arch: Arch, bytes: Uint8Array, offsetBytes: number, address: Address): number {
  return arch.decode(bytes.subarray(offsetBytes), address)?.sizeBytes ?? 0;
}

/** The error for a probe that found nothing, when it may be that its module has still to come. */
export function isAbsence(error: unknown): boolean {
  return (
    error instanceof ToolError &&
    (error.code === "module.unknown" || error.code === "symbol.unknown")
  );
}
