/**
 * What the engine keeps for one address space: its sites, its slots, its patch journal, its open
 * calls. A forked child starts with a copy of its parent's, as its memory did.
 */

import type { Arch, CodeWindow, Instruction, Plan, SlotTail, Strategy } from "../arch/arch.ts";
import { type Address, addOffset, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Mapping, Space } from "../machine/machine.ts";
import { CleanMemory } from "./clean-memory.ts";
import { Counters } from "./counters.ts";
import { Journal } from "./journal.ts";
import { planKept } from "./kept-plan.ts";
import { ReturnTracker } from "./return-tracker.ts";
import { type ExecutePlan, type Hooks, Site, type Slot } from "./site.ts";
import { Slots } from "./slots.ts";

/** What is at an address and whether it can be probed. */
export interface Inspection {
  readonly bytes: Uint8Array;
  readonly instruction: Instruction | undefined;
  readonly plan: Plan;
}

/** Undefined where no function is known. `end` is exclusive. */
export type FindFunction = (
  address: Address,
) => { readonly start: Address; readonly end: Address } | undefined;

const TEXT_CHUNK_BYTES = 65536;
/** Key of a site's escape among its slots. */
const ESCAPE = "escape";
const SLOT_KEYS: Readonly<Record<Strategy, Readonly<Record<SlotTail, string>>>> = {
  boost: { "jump-back": "boost:jump-back", trap: "boost:trap" },
  emulate: { "jump-back": "emulate:jump-back", trap: "emulate:trap" },
  step: { "jump-back": "step:jump-back", trap: "step:trap" },
};

export class Target {
  readonly space: Space;
  readonly arch: Arch;
  readonly memory: CleanMemory;
  readonly slots: Slots;
  readonly journal: Journal;
  readonly counters: Counters;
  readonly returns: ReturnTracker;
  readonly sites: Map<bigint, Site> = new Map();
  /** Where the function around an address starts and ends, for whoever knows. */
  findFunction: FindFunction | undefined;
  private readonly force: Strategy | undefined;
  private readonly warn: (message: string) => void;
  private mappings: readonly Mapping[] | undefined;
  private trap: Address | undefined;
  /** As far as it was asked for. */
  private shadowStack: boolean | undefined;

  constructor(
    space: Space,
    arch: Arch,
    force: Strategy | undefined,
    warn: (message: string) => void,
  ) {
    this.warn = warn;
    this.space = space;
    this.arch = arch;
    this.force = force;
    this.memory = new CleanMemory(space, arch.breakpoint.length);
    this.slots = new Slots(space, arch);
    this.journal = new Journal(space);
    this.counters = new Counters(space);
    this.returns = new ReturnTracker(this);
  }

  /** Forget the list of mappings: the target has mapped or unmapped something. */
  mappingsChanged(): void {
    this.mappings = undefined;
    if (this.shadowStack === false) this.shadowStack = undefined;
  }

  findMapping(address: bigint): Mapping | undefined {
    const find = (): Mapping | undefined =>
      this.mappings?.find((one) => address >= one.start && address < one.end);
    if (this.mappings === undefined) {
      this.mappings = this.space.mappings();
      return find();
    }
    const known = find();
    if (known !== undefined) return known;
    this.mappings = this.space.mappings();
    return find();
  }

  /**
   * Look at an address. functionStart, where known, is an instruction boundary at or before it,
   * from which decoding must arrive at the address (K-09).
   */
  inspect(address: Address, functionStart: Address | undefined): Inspection {
    const buffer = new Uint8Array(this.arch.instructionSizeMaxBytes);
    const bytes = buffer.subarray(0, this.memory.readSome(address, buffer));
    const refuse = (
      reason: Extract<Plan, { kind: "refuse" }>["reason"],
      detail: string,
    ): Inspection => ({ bytes, instruction: undefined, plan: { kind: "refuse", reason, detail } });
    if (this.slots.covers(address))
      return refuse("own-code", "this is code that trapline put there");
    const mapping = this.findMapping(address);
    if (mapping === undefined) return refuse("not-executable", "nothing is mapped there");
    if (!mapping.executable) {
      return refuse(
        "not-executable",
        `it is data${mapping.path === "" ? "" : ` of ${mapping.path}`}, not code`,
      );
    }
    if (bytes.length === 0) return refuse("not-executable", "the memory there cannot be read");
    const instruction = this.arch.decode(bytes, address);
    if (instruction === undefined)
      return refuse("undecodable", "the bytes there are no instruction");
    if (functionStart !== undefined && functionStart < address) {
      const start = this.boundaryBefore(functionStart, address);
      if (start !== undefined && start !== address) {
        return refuse(
          "not-boundary",
          `it is in the middle of the instruction at ${formatAddress(start)} (+${address - start})`,
        );
      }
    }
    return {
      bytes: instruction.bytes,
      instruction,
      plan: this.plan(instruction, { wantsPost: false }),
    };
  }

  /**
   * The last boundary at or before the address when decoding from start; undefined when decoding
   * breaks off on the way.
   */
  private boundaryBefore(start: Address, address: Address): Address | undefined {
    const sizeBytes = Number(address - start) + this.arch.instructionSizeMaxBytes;
    if (sizeBytes > TEXT_CHUNK_BYTES * 16) return undefined;
    const text = new Uint8Array(sizeBytes);
    const count = this.memory.readSome(start, text);
    const boundaries = this.arch.boundaries(text.subarray(0, count), start);
    for (let back = 0; back < this.arch.instructionSizeMaxBytes; back++) {
      const candidate = addOffset(address, -back);
      if (candidate < start) return undefined;
      if (boundaries.has(candidate)) {
        // Where decoding broke off before the address, nothing is known of it.
        const there = this.arch.decode(text.subarray(Number(candidate - start), count), candidate);
        if (there === undefined || candidate + BigInt(there.sizeBytes) <= address) return undefined;
        return candidate;
      }
    }
    return undefined;
  }

  /** The site at an address, made if need be. Throws ToolError probe.refused. */
  site(address: Address, functionStart: Address | undefined): Site {
    const known = this.sites.get(address);
    if (known !== undefined && (known.armed || this.stillThere(known))) return known;
    const inspection = this.inspect(address, functionStart);
    const { plan, instruction } = inspection;
    if (plan.kind === "refuse" || instruction === undefined) {
      throw refusal(address, inspection);
    }
    const postPlan = this.plan(instruction, { wantsPost: true });
    const make = (chosen: ExecutePlan): Site =>
      new Site(address, instruction, chosen, postPlan.kind === "execute" ? postPlan : undefined);
    let site = make(plan);
    try {
      this.prepareSlots(site);
    } catch (error) {
      // What can be emulated, or stepped in its place, needs no room.
      const strategy = plan.allowed.includes("emulate") ? "emulate" : "step";
      const isStuck = strategy === "step" && this.space.breakpoints === undefined;
      if (this.force !== undefined || isStuck) throw error;
      site = make({ ...plan, strategy, why: "no room for a copy" });
    }
    this.sites.set(address, site);
    return site;
  }

  private plan(instruction: Instruction, how: { readonly wantsPost: boolean }): Plan {
    this.shadowStack ??= this.space.hasShadowStack();
    const context = {
      force: this.force,
      ...how,
      shadowStack: this.shadowStack,
      surroundings: this.readSurroundings(instruction.address),
    };
    const { breakpoints } = this.space;
    return breakpoints === undefined
      ? this.arch.plan(instruction, context)
      : planKept(this.arch, instruction, context, breakpoints);
  }

  private readSurroundings(address: Address): CodeWindow | undefined {
    const { surroundingsSizeBytes, instructionSizeMaxBytes } = this.arch;
    if (surroundingsSizeBytes === 0) return undefined;
    const known = this.findFunction?.(address);
    const mapping = this.findMapping(address);
    const low = address - BigInt(surroundingsSizeBytes);
    const high = address + BigInt(instructionSizeMaxBytes + surroundingsSizeBytes);
    let first = 0n;
    for (const bound of [low, mapping?.start, known?.start]) {
      if (bound !== undefined && bound > first) first = bound;
    }
    const start = toAddress(first);
    const end = known !== undefined && known.end > address && known.end < high ? known.end : high;
    const text = new Uint8Array(Number(end - start));
    return { start, bytes: text.subarray(0, this.memory.readSome(start, text)) };
  }

  /** Whether the program has a shadow stack by now. */
  hasShadowStack(): boolean {
    if (this.shadowStack !== true) this.shadowStack = this.space.hasShadowStack();
    return this.shadowStack;
  }

  /**
   * Whether a site was planned before the program turned its shadow stack on, which a C library
   * does behind its loader's last word on libraries, and cannot be executed like that any more.
   * Asked at each hit, answered once for a site.
   */
  isOutdated(site: Site): boolean {
    if (site.isPlanChecked) return false;
    site.isPlanChecked = true;
    return (
      this.hasShadowStack() && this.plan(site.instruction, { wantsPost: false }).kind === "refuse"
    );
  }

  private prepareSlots(site: Site): void {
    if (site.plan.strategy === "boost") this.slot(site, "boost", "jump-back");
    else if (site.plan.strategy !== "step" || this.space.breakpoints !== undefined) return;
    else this.slot(site, "step", "trap");
  }

  /**
   * What a step of the site's instruction in its own place starts from; undefined where breakpoints
   * are in memory, so that a copy is stepped.
   */
  inPlace(site: Site): Slot | undefined {
    if (this.space.breakpoints === undefined) return undefined;
    const { address: start, instruction } = site;
    return { start, site, tail: "trap", copySizeBytes: instruction.sizeBytes };
  }

  /** Whether memory still holds the instruction that the site was made for. */
  stillThere(site: Site): boolean {
    const bytes = new Uint8Array(site.instruction.sizeBytes);
    return (
      this.memory.read(site.address, bytes) &&
      bytes.every((byte, index) => byte === site.instruction.bytes[index])
    );
  }

  /** Add hooks, newest first, and put the breakpoint in. */
  addHooks(site: Site, hooks: Hooks): void {
    const before = site.hooks;
    const isFirst = (one: Hooks): boolean => hooks.runsFirst !== true && one.runsFirst === true;
    site.hooks = [...before.filter(isFirst), hooks, ...before.filter((one) => !isFirst(one))];
    try {
      this.refresh(site);
    } catch (error) {
      // Left there, they would run when another probe arms the site.
      site.hooks = before;
      throw error;
    }
  }

  removeHooks(site: Site, hooks: Hooks): void {
    site.hooks = site.hooks.filter((other) => other !== hooks);
    this.refresh(site);
  }

  /** Make memory agree with whether any hook is enabled (K-06). */
  refresh(site: Site): void {
    const wanted = site.wanted;
    if (wanted === site.armed) return;
    if (wanted) {
      // Disarmed, the text was the program's to change, and our copies of it may be of no use now.
      if (!this.stillThere(site)) {
        // A process that has ended, with its end still to be reported, has no code any more.
        if (this.space.mappings().length === 0) return;
        throw new ToolError(
          "probe.refused",
          `cannot probe ${formatAddress(site.address)}: its code has changed since the probe was placed [text-changed]`,
          {
            details: { address: site.address, reason: "text-changed" },
            hint: "unregister the probe and place it anew",
          },
        );
      }
      const original = this.protect(site);
      if (!this.journal.patch(site.address, original, this.arch.breakpoint)) {
        this.space.lifeline?.disarmed(site.address);
        throw new ToolError(
          "memory.fault",
          `cannot write a breakpoint at ${formatAddress(site.address)}`,
          {
            details: { address: site.address },
          },
        );
      }
      site.armed = true;
      this.memory.armed(site);
    } else {
      this.journal.restore(site.address);
      this.space.lifeline?.disarmed(site.address);
      site.armed = false;
      this.memory.disarmed(site);
    }
  }

  /** Before a breakpoint is written: what it overwrites, and a way on for when we are gone. */
  private protect(site: Site): Uint8Array {
    const original = site.instruction.bytes.slice(0, this.arch.breakpoint.length);
    const { lifeline } = this.space;
    lifeline?.arming(site.address, original, this.findEscape(site)?.start);
    const warning = lifeline?.takeWarning();
    if (warning !== undefined) this.warn(warning);
    return original;
  }

  private findEscape(site: Site): Slot | undefined {
    if (site.plan.strategy === "boost") return this.trySlot(site, "boost", "jump-back");
    const known = site.slots.get(ESCAPE);
    if (known !== undefined) return known;
    const start = this.slots.take(site.address);
    if (start === undefined) return undefined;
    const code = this.arch.escape(site.instruction, start);
    if (code?.kind !== "relocated" || !this.space.write(start, code.bytes)) return undefined;
    const slot: Slot = { start, site, tail: "jump-back", copySizeBytes: code.copySizeBytes };
    this.slots.own(slot);
    site.slots.set(ESCAPE, slot);
    return slot;
  }

  /** Code was unmapped: what was patched in it is gone, and nothing returns there. */
  forget(start: Address, end: Address): void {
    for (const site of this.sites.values()) {
      if (site.address < start || site.address >= end) continue;
      this.sites.delete(site.address);
      this.journal.forget(site.address);
      this.space.lifeline?.forget(site.address);
      if (site.armed) this.memory.disarmed(site);
      site.armed = false;
    }
    this.returns.forget(start, end);
    this.counters.forget(start, end);
    this.mappingsChanged();
  }

  /**
   * The copy of a site's instruction with the given tail; undefined when there is no room in reach.
   */
  findSlot(site: Site, strategy: Strategy, tail: SlotTail): Slot | undefined {
    return site.slots.get(slotKey(strategy, tail));
  }

  /** As findSlot, made if need be. Throws ToolError probe.refused. */
  slot(site: Site, strategy: Strategy, tail: SlotTail): Slot {
    const known = this.findSlot(site, strategy, tail);
    if (known !== undefined) return known;
    const start = this.slots.take(site.address);
    if (start === undefined)
      throw slotRefusal(
        site,
        "no-slot",
        this.space.whyNoRoom ?? "the target gave no executable memory within reach",
      );
    const relocation = this.arch.relocate(site.instruction, start, { strategy, tail });
    if (relocation.kind === "out-of-reach") {
      throw slotRefusal(
        site,
        "out-of-reach",
        "its operand cannot be reached from any slot we can get",
      );
    }
    if (!this.space.write(start, relocation.bytes))
      throw slotRefusal(site, "no-slot", "its slot cannot be written");
    const slot: Slot = { start, site, tail, copySizeBytes: relocation.copySizeBytes };
    this.slots.own(slot);
    site.slots.set(slotKey(strategy, tail), slot);
    return slot;
  }

  /** As slot(), with undefined where it would throw: for use at a hit. */
  trySlot(site: Site, strategy: Strategy, tail: SlotTail): Slot | undefined {
    try {
      return this.slot(site, strategy, tail);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      return undefined;
    }
  }

  /**
   * An address that holds nothing but a breakpoint of ours: where calls made for handlers return
   * to, and the trampoline.
   */
  trapAddress(near: Address): Address | undefined {
    if (this.trap === undefined) {
      const start = this.slots.take(near);
      if (start === undefined || !this.putTrap(start)) return undefined;
      this.trap = start;
      this.space.lifeline?.trampoline(start);
    }
    return this.trap;
  }

  /** Put a breakpoint into room of ours. */
  putTrap(address: Address): boolean {
    if (this.space.breakpoints === undefined) {
      return this.space.write(address, this.arch.breakpoint);
    }
    // The journal takes it out again, as memory that is given back does not.
    return this.journal.patch(address, new Uint8Array(0), this.arch.breakpoint);
  }

  get knownTrap(): Address | undefined {
    return this.trap;
  }

  /**
   * The engine's side of a forked child, whose memory is a copy of this one as it was when the fork
   * was made. What was patched since then, here, is made to agree there.
   */
  fork(space: Space): Target {
    const child = new Target(space, this.arch, this.force, this.warn);
    this.slots.copyTo(child.slots);
    this.counters.copyTo(child.counters);
    this.space.lifeline?.copyTo(space);
    if (this.trap !== undefined && child.slots.covers(this.trap)) child.trap = this.trap;
    for (const site of this.sites.values()) {
      const copy = new Site(site.address, site.instruction, site.plan, site.postPlan);
      copy.label = site.label;
      for (const [key, slot] of site.slots) {
        if (!child.slots.covers(slot.start)) continue;
        const twin: Slot = { ...slot, site: copy };
        copy.slots.set(key, twin);
        child.slots.own(twin);
      }
      child.sites.set(copy.address, copy);
      child.adoptPatch(copy, site.armed);
      copy.hooks = site.hooks.filter((hooks) => !hooks.isOfSpace);
    }
    return child;
  }

  /** Take over a site whose breakpoint is, or is not, in this memory, which is a copy. */
  private adoptPatch(site: Site, wanted: boolean): void {
    const { breakpoint } = this.arch;
    const original = site.instruction.bytes.slice(0, breakpoint.length);
    const now = new Uint8Array(breakpoint.length);
    if (!this.space.read(site.address, now)) return;
    const isPatched = isSameBytes(now, breakpoint);
    if (isPatched && !wanted && !isSameBytes(original, breakpoint)) {
      this.space.write(site.address, original);
    }
    if (!wanted) return;
    this.protect(site);
    if (isPatched) this.journal.adopt(site.address, original, breakpoint);
    else if (!this.journal.patch(site.address, original, breakpoint)) return;
    site.armed = true;
    this.memory.armed(site);
  }
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** One of a few constants: a string made at each hit would have to be hashed at each, too. */
function slotKey(strategy: Strategy, tail: SlotTail): string {
  return SLOT_KEYS[strategy][tail];
}

function slotRefusal(site: Site, reason: "no-slot" | "out-of-reach", detail: string): ToolError {
  return refusal(site.address, {
    bytes: site.instruction.bytes,
    instruction: site.instruction,
    plan: { kind: "refuse", reason, detail },
  });
}

/** The error for an address that cannot be probed. */
export function refusal(address: Address, inspection: Inspection): ToolError {
  const { plan, instruction } = inspection;
  const reason = plan.kind === "refuse" ? plan.reason : "unsupported";
  const detail = plan.kind === "refuse" ? plan.detail : "";
  const text = instruction === undefined ? "" : ` (${instruction.text})`;
  return new ToolError(
    "probe.refused",
    `cannot probe ${formatAddress(address)}${text}: ${detail} [${reason}]`,
    {
      details: { address, reason, instruction: instruction?.text },
    },
  );
}
