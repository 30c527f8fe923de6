/**
 * What a session keeps of one target of the engine, a process or a kernel: its modules and names,
 * and the placing of probes in it.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, addOffset, formatAddress, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import { type Inspection, refusal, type Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import type { CPrototype } from "../symbols/c-prototype.ts";
import type { Location, Locator } from "./locate.ts";
import type { ModuleList } from "./modules.ts";
import type { BaseProbe } from "./probe.ts";

export interface TargetView {
  /** Process id; of a kernel, 0. */
  readonly id: number;
  readonly target: Target;
  readonly modules: ModuleList;
  readonly locator: Locator;
  /** What is at a location and how it would be probed. */
  inspect(location: Location): Inspection;
  /** The return addresses on a stopped thread's stack, the innermost first. */
  readStack(thread: Thread, depthMax: number): readonly Address[];
  /** What is known of a function's parameters without being told. */
  findPrototype(name: string): CPrototype | undefined;
}

/** Put a probe at a location. False when it was there. Throws ToolError probe.refused. */
export function placeProbe(view: TargetView, probe: BaseProbe, location: Location): boolean {
  const { target } = view;
  const sites = probe.armed.get(target) ?? new Map();
  if (sites.has(location.address)) return false;
  if (target.sites.get(location.address)?.armed !== true) {
    const inspection = view.inspect(location);
    if (inspection.plan.kind === "refuse") throw refusal(location.address, inspection);
  }
  const site = target.site(location.address, location.functionStart);
  site.label ??= location;
  const choice = probe.choiceAt(target, site);
  if (choice !== undefined && choice.mechanism === undefined) {
    throw refusal(location.address, {
      bytes: site.instruction.bytes,
      instruction: site.instruction,
      plan: { kind: "refuse", reason: "shadow-stack", detail: choice.why },
    });
  }
  target.addHooks(site, probe);
  sites.set(location.address, site);
  probe.armed.set(target, sites);
  return true;
}

/** Symbol and module of an address, as text; plain hex where nothing is known. */
export function describeAddress({ locator, modules }: TargetView, address: bigint): string {
  const location = locator.describe(toAddress(address));
  if (location.symbol !== undefined) {
    const offset = location.symbolOffset === 0 ? "" : `+0x${location.symbolOffset.toString(16)}`;
    return `${location.symbol}${offset} (${location.module})`;
  }
  if (location.module !== undefined) {
    const module = modules.find(address);
    return `${location.module}+0x${(address - (module?.start ?? 0n)).toString(16)}`;
  }
  return formatAddress(address);
}

/** Starts of the instructions from start to end, and of what is none, where decoding breaks off. */
export function findInstructions(target: Target, start: Address, end: Address): readonly Address[] {
  const { arch, memory } = target;
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

function sizeAt(arch: Arch, bytes: Uint8Array, offsetBytes: number, address: Address): number {
  return arch.decode(bytes.subarray(offsetBytes), address)?.sizeBytes ?? 0;
}

/** A word of the target's memory. */
export function wordReader(target: Target): (address: Address) => bigint | undefined {
  const word = new Uint8Array(8);
  const view = new DataView(word.buffer);
  return (address) => (target.space.read(address, word) ? view.getBigUint64(0, true) : undefined);
}
