/**
 * What the checker knows while it walks: the program's maps and settings, and a probe's variables.
 * The program is walked several times, as a type may be decided by a later probe; what is found is
 * kept between the walks, and only the last one tells of mistakes.
 */

import type { Diagnostics } from "../diagnostics.ts";
import type { Dialect } from "../dialect.ts";
import type { Range } from "../source.ts";
import type { AttachPoint, Provider } from "../syntax/tree.ts";
import type { Space, Type } from "../types.ts";
import type { NamedTypes } from "./named-types.ts";
import { joinTypes, sameType } from "./type-rules.ts";
import type { ArgumentList, Config, MapId, TypeWorld, VariableId } from "./typed-tree.ts";

export interface CheckOptions {
  readonly dialect: Dialect;
  readonly world: TypeWorld;
  /** `$1` and on. */
  readonly positionals: readonly string[];
  /** `--name=value` behind `--`, for getopt(). */
  readonly named: ReadonlyMap<string, string>;
  /** --unsafe: what changes the target is allowed. */
  readonly isUnsafe: boolean;
  /** BPFTRACE_* by their full names. */
  readonly environment: ReadonlyMap<string, string>;
}

/** A map while its types are being found. */
export interface MapScope {
  readonly id: MapId;
  readonly name: string;
  keyTypes: readonly Type[] | undefined;
  valueType: Type | undefined;
  /** Something stores in it, though of what type may not be known yet. */
  isStored: boolean;
}

export interface VariableScope {
  readonly id: VariableId;
  readonly name: string;
  type: Type | undefined;
  /** By `let $x: T`: it does not widen. */
  isFixed: boolean;
}

export class ProgramScope {
  readonly options: CheckOptions;
  readonly dialect: Dialect;
  readonly types: NamedTypes;
  readonly config: Config;
  readonly maps: MapScope[] = [];
  /** Whether this walk found something new. */
  isChanged = false;
  /** The last walk, which tells of mistakes. */
  isFinal = false;
  readonly #diagnostics: Diagnostics;
  readonly #mapsByName: Map<string, MapScope> = new Map();
  /** Messages that were told, so that a probe checked twice tells once. */
  readonly #told: Set<string> = new Set();
  /** Reads of maps whose type was not found, though something stores in them. */
  readonly #unresolved: { readonly range: Range; readonly message: string }[] = [];
  #errorCount = 0;
  #lost: Range | undefined;

  constructor(options: CheckOptions, types: NamedTypes, config: Config, diagnostics: Diagnostics) {
    this.options = options;
    this.dialect = options.dialect;
    this.types = types;
    this.config = config;
    this.#diagnostics = diagnostics;
  }

  get world(): TypeWorld {
    return this.options.world;
  }

  get isOld(): boolean {
    return this.dialect === "0.17";
  }

  error(range: Range, message: string, hint?: string): undefined {
    if (!this.isFinal || this.#isTold(range, message)) return undefined;
    this.#errorCount += 1;
    this.#diagnostics.error(range, message, hint);
    return undefined;
  }

  warning(range: Range, message: string, hint?: string): void {
    if (!this.isFinal || this.#isTold(range, message)) return;
    this.#diagnostics.warning(range, message, hint);
  }

  /** A mistake only if there is no other that would explain it. */
  errorUnlessOthers(range: Range, message: string): undefined {
    if (this.isFinal) this.#unresolved.push({ range, message });
    return undefined;
  }

  /** An expression has no type in the last walk: some error must say why. */
  noteLost(range: Range): void {
    if (this.isFinal) this.#lost ??= range;
  }

  finish(): void {
    if (this.#errorCount > 0) return;
    for (const { range, message } of this.#unresolved) this.error(range, message);
    // No program is executed that is not wholly understood.
    if (this.#errorCount === 0 && this.#lost !== undefined) {
      this.error(this.#lost, "The type of this expression cannot be found out");
    }
  }

  getMap(name: string): MapScope {
    const known = this.#mapsByName.get(name);
    if (known !== undefined) return known;
    const map: MapScope = {
      id: this.maps.length,
      name,
      keyTypes: undefined,
      valueType: undefined,
      isStored: false,
    };
    this.#mapsByName.set(name, map);
    this.maps.push(map);
    return map;
  }

  #isTold(range: Range, message: string): boolean {
    const key = `${range.source.name}:${range.start}:${range.end}:${message}`;
    if (this.#told.has(key)) return true;
    this.#told.add(key);
    return false;
  }
}

export class ProbeScope {
  readonly program: ProgramScope;
  readonly points: readonly AttachPoint[];
  readonly args: ArgumentList | undefined;
  readonly variables: VariableScope[] = [];
  /** Loops around what is being walked. */
  loopDepth = 0;
  /** Where they are used behind their block. */
  readonly hoisted: Map<string, Range> = new Map();
  /** Names that had an assignment in this walk, in whatever block. */
  readonly #assigned: Set<string> = new Set();
  readonly #byNode: Map<object, VariableScope> = new Map();
  readonly #byName: Map<string, VariableScope> = new Map();
  #blocks: Map<string, VariableScope>[] = [new Map()];

  constructor(
    program: ProgramScope,
    points: readonly AttachPoint[],
    args: ArgumentList | undefined,
  ) {
    this.program = program;
    this.points = points;
    this.args = args;
  }

  get provider(): Provider {
    return this.points[0]?.provider ?? "begin";
  }

  /** Whose memory an address is in when nothing else says it. */
  get space(): Space {
    return this.points.every(isUserPoint) ? "user" : "kernel";
  }

  startWalk(): void {
    this.#blocks = [new Map()];
    this.#assigned.clear();
    this.loopDepth = 0;
  }

  /** Variables of a block end with it; in the old dialect all are the probe's. */
  inBlock<T>(walk: () => T): T {
    if (this.program.isOld) return walk();
    this.#blocks.push(new Map());
    try {
      return walk();
    } finally {
      this.#blocks.pop();
    }
  }

  findVariable(name: string): VariableScope | undefined {
    for (let index = this.#blocks.length - 1; index >= 0; index -= 1) {
      const found = this.#blocks[index]?.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  isInThisBlock(name: string): boolean {
    return this.#blocks.at(-1)?.has(name) ?? false;
  }

  visibleNames(): readonly string[] {
    return this.#blocks.flatMap((block) => [...block.keys()]);
  }

  /**
   * A name that is assigned in a block and used behind it becomes one of the whole probe, as in
   * bpftrace before 0.22.  @returns whether it did
   */
  hoist(name: string, range: Range): boolean {
    if (this.program.isOld || !this.#assigned.has(name) || this.hoisted.has(name)) return false;
    this.hoisted.set(name, range);
    this.program.isChanged = true;
    return true;
  }

  /** One that a first assignment makes. */
  declareAssigned(name: string, node: object): VariableScope {
    this.#assigned.add(name);
    if (!this.hoisted.has(name)) return this.declare(name, node);
    const variable = this.#byName.get(name) ?? this.#make(name);
    this.#byName.set(name, variable);
    this.#blocks[0]?.set(name, variable);
    return variable;
  }

  /** A new variable of the innermost block; the same one for the same node in every walk. */
  declare(name: string, node: object): VariableScope {
    const { isOld } = this.program;
    const known = isOld ? this.#byName.get(name) : this.#byNode.get(node);
    const variable = known ?? this.#make(name);
    this.#byNode.set(node, variable);
    this.#byName.set(name, variable);
    this.#blocks.at(-1)?.set(name, variable);
    return variable;
  }

  /** One that the checker itself needs; no script can write its name. */
  temporary(node: object, type: Type): VariableScope {
    const known = this.#byNode.get(node);
    const variable = known ?? this.#make(`$.${this.variables.length}`);
    this.#byNode.set(node, variable);
    variable.type = type;
    return variable;
  }

  /** What is stored in a variable becomes part of its type.  @returns undefined: it cannot be */
  widen(variable: VariableScope, type: Type): Type | undefined {
    if (variable.type === undefined) {
      variable.type = type;
      this.program.isChanged = true;
      return type;
    }
    const joined = joinTypes(variable.type, type);
    // 0.17 takes any pointer for one, and keeps what the first pointed to.
    const isPointer = variable.type.kind === "pointer" && type.kind === "pointer";
    if (joined === undefined) {
      return this.program.isOld && isPointer ? variable.type : undefined;
    }
    // Integers of the old dialect stay what the first value was.
    const isKept = variable.isFixed || (this.program.isOld && variable.type.kind === "int");
    if (isKept) return variable.type;
    if (!sameType(joined, variable.type)) {
      variable.type = joined;
      this.program.isChanged = true;
    }
    return variable.type;
  }

  #make(name: string): VariableScope {
    const id = this.variables.length;
    const variable: VariableScope = { id, name, type: undefined, isFixed: false };
    this.variables.push(variable);
    return variable;
  }
}

const USER_PROVIDERS: readonly Provider[] = ["uprobe", "uretprobe", "usdt"];

/** The pointers of system calls are the process' own. */
function isUserPoint(point: AttachPoint): boolean {
  if (USER_PROVIDERS.includes(point.provider)) return true;
  return point.provider === "tracepoint" && point.parts[0]?.text === "syscalls";
}
