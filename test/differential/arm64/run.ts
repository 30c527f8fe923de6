/**
 * One word, run unprobed and probed in every way that its plan allows. What the engine does at a
 * hit is done here with the arch's own functions: relocate and execute the copy, mend what a step
 * or a fault left of it, or emulate and go on behind.
 */

import type { Instruction, Plan, Strategy } from "../../../src/arch/arch.ts";
import { arm64 } from "../../../src/arch/arm64/arm64.ts";
import { encodeWords } from "../../../src/arch/arm64/assemble.ts";
import { formOf } from "../../../src/arch/arm64/decode.ts";
import { PC } from "../../../src/arch/arm64/registers.ts";
import { type Address, addOffset } from "../../../src/base/address.ts";
import { Random } from "../random.ts";
import { compareResults } from "./compare.ts";
import { choosePlace, makeState, patchAt, type State } from "./states.ts";
import type { Job, Patch, Result } from "./wire.ts";

const SIGTRAP = 5;

/** A word to be run, and where it is from. */
export interface Task {
  readonly word: number;
  readonly source: string;
  /** Of its place and state. */
  readonly seed: number;
}

/** One way to execute the word, probed. */
export interface Way {
  readonly name: string;
  /** Undefined where the engine would run the original in its place. */
  readonly job: Job | undefined;
  /** What the engine makes of how the job ended. */
  settle(result: Result): Result;
  /** Nobody sees what an escape shows at a fault. */
  readonly isEscape: boolean;
}

/** All that is to be run for a word. */
export interface Trial {
  readonly task: Task;
  readonly instruction: Instruction | undefined;
  readonly plan: Plan | undefined;
  readonly unprobed: Job | undefined;
  readonly ways: readonly Way[];
}

/** Prepare a word's runs; without any where it is not allocated or refused. */
export function prepare(task: Task): Trial {
  const random = new Random(task.seed);
  const place = choosePlace(random);
  const instruction = arm64.decode(encodeWords([task.word]), place.site);
  const none = { task, instruction, unprobed: undefined, ways: [] };
  if (instruction === undefined) return { ...none, plan: undefined };
  const plan = planFor(instruction, false);
  if (plan.kind === "refuse") return { ...none, plan };
  const state = makeState(formOf(instruction), place, random);
  const ways = plan.allowed.map((strategy) => makeWay(instruction, state, strategy, false));
  const postPlan = planFor(instruction, true);
  if (postPlan.kind === "execute" && postPlan.allowed.includes("boost")) {
    ways.push(makeWay(instruction, state, "boost", true));
  }
  const orphaned = makeEscape(instruction, state);
  if (orphaned !== undefined) ways.push(orphaned);
  return { ...none, plan, unprobed: runInPlace(instruction, state), ways };
}

function planFor(instruction: Instruction, wantsPost: boolean): Plan {
  return arm64.plan(instruction, {
    force: undefined,
    wantsPost,
    shadowStack: false,
    surroundings: undefined,
  });
}

/** Differences by way; undefined when there was nothing to compare with. */
export function judgeTrial(
  trial: Trial,
  unprobed: Result | undefined,
  results: ReadonlyMap<Way, Result | undefined>,
): readonly { readonly way: Way; readonly differences: readonly string[] }[] {
  const { instruction } = trial;
  if (instruction === undefined || unprobed === undefined) return [];
  return trial.ways.map((way) => {
    if (way.job === undefined) return { way, differences: [] };
    const result = results.get(way);
    if (result === undefined) return { way, differences: ["the process was lost"] };
    const settled = way.settle(result);
    return { way, differences: compareResults(instruction, unprobed, settled, way.isEscape) };
  });
}

function makeWay(
  instruction: Instruction,
  state: State,
  strategy: Strategy,
  wantsPost: boolean,
): Way {
  const name = wantsPost ? `${strategy} with a post handler` : strategy;
  if (strategy === "emulate") return emulated(instruction, state, name);
  const tail = strategy === "step" || wantsPost ? "trap" : "jump-back";
  const slot = arm64.relocate(instruction, state.slot, { strategy, tail });
  // A step ends behind the copy, whatever is there.
  if (slot.kind === "relocated" && strategy === "step") slot.bytes.set(arm64.breakpoint, 4);
  // The engine puts the probe out of the way then.
  const job = slot.kind === "relocated" ? runInSlot(state, slot.bytes) : undefined;
  return { name, job, isEscape: false, settle: (result) => settle(instruction, state, result) };
}

function emulated(instruction: Instruction, state: State, name: string): Way {
  const registers = state.registers.slice();
  const vectors = state.vectors.slice();
  const extended = {
    saveExtended: () => vectors.slice(),
    restoreExtended: (image: Uint8Array) => vectors.set(image),
  };
  const memory = {
    read: (address: Address, target: Uint8Array) => readCode(instruction, state, address, target),
    write: () => false,
  };
  const outcome = arm64.emulate(instruction, registers, memory, extended);
  if (outcome === "fault") return { ...makeWay(instruction, state, "step", false), name };
  const job = { ...runInPlace(instruction, state), registers, vectors };
  return { name, job, isEscape: false, settle: (result) => result };
}

function makeEscape(instruction: Instruction, state: State): Way | undefined {
  const slot = arm64.escape(instruction, state.slot);
  if (slot?.kind !== "relocated") return undefined;
  // The breakpoint is taken out by then, or is met again with the same outcome.
  const job = runInSlot(state, slot.bytes, instruction.bytes);
  return {
    name: "escape",
    job,
    isEscape: true,
    settle: (result) => settle(instruction, state, result),
  };
}

function runInPlace(instruction: Instruction, state: State): Job {
  return { ...state, patches: patches(state, patchAt(state.site, instruction.bytes)) };
}

function runInSlot(state: State, bytes: Uint8Array, atSite = arm64.breakpoint): Job {
  const registers = state.registers.slice();
  registers[PC] = state.slot;
  const site = patchAt(state.site, atSite);
  return { ...state, registers, patches: [...patches(state, site), patchAt(state.slot, bytes)] };
}

function patches({ literal }: State, site: Patch): readonly Patch[] {
  // The instruction lies over its literal, should they overlap.
  return literal === undefined ? [site] : [literal, site];
}

/** Code as the program has it; nothing else is read by what is emulated. */
function readCode(
  instruction: Instruction,
  state: State,
  address: Address,
  target: Uint8Array,
): boolean {
  const found = patches(state, patchAt(state.site, instruction.bytes));
  return target.every((_, index) => {
    const at = addOffset(address, index);
    const byte = found
      .map((patch) => patch.bytes[Number(BigInt.asIntN(64, at - patch.address))])
      .findLast((value) => value !== undefined);
    target[index] = byte ?? 0;
    return byte !== undefined;
  });
}

/** As the engine does when a copy has been stepped, has reached its trap, or has faulted. */
function settle(instruction: Instruction, state: State, result: Result): Result {
  const { slot, site } = state;
  const settled = { ...result, registers: result.registers.slice() };
  const { registers } = settled;
  const before = state.registers.slice();
  before[PC] = slot;
  const pc = registers[PC] as bigint;
  if (pc === slot) {
    arm64.afterFault(before, registers);
    registers[PC] = site;
    if (settled.address === slot) settled.address = site;
    if (settled.faultAddress === slot) settled.faultAddress = site;
    return settled;
  }
  const memory = { read: () => false, write: () => false };
  arm64.afterStep(instruction, slot, before, registers, memory);
  if (result.signal === SIGTRAP && pc !== registers[PC]) {
    settled.address = registers[PC] as bigint;
    if (settled.faultAddress === pc) settled.faultAddress = settled.address;
  }
  return settled;
}
