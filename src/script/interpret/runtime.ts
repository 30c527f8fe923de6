/**
 * What generated code calls for all that is not worth a line of its own at each place: reads that
 * may fail, output, warnings, functions. One for each run of a program.
 */

import { limits } from "../../base/limits.ts";
import { compileFormat, type FormatArgument } from "../../report/printf-format.ts";
import type { Config, MapInfo } from "../check/typed-tree.ts";
import type { Dialect } from "../dialect.ts";
import type { Range } from "../source.ts";
import type { Space, StackMode, Type } from "../types.ts";
import { makeAggregate } from "./aggregates.ts";
import type { Firing, Run } from "./host.ts";
import { type Key, MapStore } from "./maps.ts";
import { NO_TRAILER, type Trailer, toShown, withTrailer } from "./shown-values.ts";
import { bytesOfInteger, bytesOfText, type SymbolValue, type Value } from "./values.ts";

export interface RuntimeOptions {
  readonly dialect: Dialect;
  /** Tell of full maps and missing keys as helperErrors: -k of 0.17. */
  readonly reportsMapFailures: boolean;
  /** Tell of reads that fail: -k, in 0.17 -kk. */
  readonly reportsReadFailures: boolean;
}

const E2BIG = 7;
const ENOENT = 2;
const EFAULT = 14;
const JOIN_COUNT_MAX = 16;

export class Runtime {
  readonly run: Run;
  readonly config: Config;
  readonly options: RuntimeOptions;
  readonly maps: readonly MapStore[];
  readonly trailer: Trailer;
  readonly startNs: bigint;
  /** Loops that were ended for their length. */
  loopsEnded = 0;
  /** The places of the program that can tell something, by the numbers generated code has. */
  readonly sites: Range[] = [];
  readonly #warned = new Set<number>();

  constructor(run: Run, config: Config, maps: readonly MapInfo[], options: RuntimeOptions) {
    this.run = run;
    this.config = config;
    this.options = options;
    this.trailer =
      options.dialect === "head"
        ? { text: config.stringTrailer, fromLength: config.strlenMax - 1 }
        : NO_TRAILER;
    this.maps = maps.map((info) => this.#makeMap(info));
    this.startNs = run.nowNs("monotonic");
  }

  #makeMap(info: MapInfo): MapStore {
    const type = info.valueType;
    const { dialect } = this.options;
    const makeState = () =>
      type.kind === "aggregate" ? makeAggregate(type.aggregate, dialect) : undefined;
    return new MapStore(info, info.keysMax ?? this.config.mapKeysMax, makeState, {
      full: (site) => this.#mapFull(site),
    });
  }

  site(range: Range): number {
    this.sites.push(range);
    return this.sites.length - 1;
  }

  // Warnings.

  #warnOnce(site: number, message: string): void {
    const range = this.sites[site];
    if (this.#warned.has(site) || range === undefined) return;
    this.#warned.add(site);
    this.run.emit({ kind: "runtimeWarning", message, range });
  }

  #helperFailed(helper: string, errno: number, message: string, site: number): void {
    const range = this.sites[site];
    if (range === undefined) return;
    this.run.emit({ kind: "helperError", helper, returnCode: -errno, message, range });
  }

  #mapFull(site: number): void {
    if (this.options.dialect === "head") {
      this.#warnOnce(
        site,
        "Map full; can't update element. Try increasing max_map_keys config or manually setting" +
          " the max entries in a map declaration e.g. `let @a = hash(5000)`",
      );
    } else if (this.options.reportsMapFailures) {
      this.#helperFailed("map_update_elem", E2BIG, "Argument list too long", site);
    }
  }

  /** True where there was such a key. */
  deleteKey(map: MapStore, key: Key, site: number): boolean {
    const isThere = map.table.delete(key);
    if (!isThere && this.options.reportsMapFailures && this.options.dialect === "0.17") {
      this.#helperFailed("map_delete_elem", ENOENT, "No such file or directory", site);
    }
    return isThere;
  }

  divisorIsZero(site: number): void {
    this.#warnOnce(
      site,
      "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used as" +
        " the result.",
    );
  }

  loopTooLong(site: number): void {
    this.loopsEnded++;
    this.#warnOnce(
      site,
      `Loop ended after ${limits.scriptLoopRoundsMax} rounds of this action, and the action with it`,
    );
  }

  readFailed(helper: string, site: number): void {
    this.#helperFailed(helper, EFAULT, "Bad address", site);
  }

  // Reads of the machine. What fails is undefined, and what stands for it is put in its place by
  // the code that asked.

  readBytes(
    firing: Firing,
    address: bigint,
    count: bigint,
    sizeBytesMax: number,
    space: Space,
  ): Uint8Array | undefined {
    const sizeBytes = Math.min(lengthOf(count, sizeBytesMax), limits.scriptReadSizeBytesMax);
    return sizeBytes === 0 ? new Uint8Array(0) : firing.readBytes(address, sizeBytes, space);
  }

  readString(
    firing: Firing,
    address: bigint,
    count: bigint,
    lengthMax: number,
    space: Space,
  ): string | undefined {
    const length = Math.min(lengthOf(count, lengthMax), limits.scriptReadSizeBytesMax);
    return length === 0 ? "" : firing.readString(address, length, space);
  }

  /** As argv: pointers up to a null one. */
  readStrings(
    firing: Firing,
    address: bigint,
    lengthMax: number,
    space: Space,
    between: string,
  ): string {
    const texts: string[] = [];
    for (let index = 0; index < JOIN_COUNT_MAX; index++) {
      const pointer = firing.readUnsigned(address + BigInt(index * 8), 8, space);
      if (pointer === undefined || pointer === 0n) break;
      texts.push(firing.readString(pointer, lengthMax, space) ?? "");
    }
    return texts.join(between);
  }

  stack(firing: Firing, space: Space, mode: StackMode, count: bigint): Value {
    return { kind: "stack", frames: firing.stack(space, mode, lengthOf(count, 1024)) };
  }

  symbol(firing: Firing, address: bigint, space: Space): SymbolValue {
    return { kind: "symbol", address, name: firing.symbol(address, space).name };
  }

  clock(name: string): bigint {
    switch (name) {
      case "elapsed":
        return this.run.nowNs("monotonic") - this.startNs;
      case "monotonic":
      case "tai":
        return this.run.nowNs(name);
      default:
        return this.run.nowNs("boot");
    }
  }

  // Output.

  printValue(value: Value, type: Type): void {
    this.run.emit({ kind: "value", value: toShown(value, type, this.trailer) });
  }

  printMap(map: MapStore, top: number, div: number): void {
    const isFilled = this.options.dialect === "head";
    this.run.emit({ kind: "map", map: map.show(this.trailer, top, div, isFilled) });
  }

  printMapValue(map: MapStore, key: Key, keys: readonly Value[], top: number, div: number): void {
    const shown = map.showOne(key, keys, this.trailer, top, div);
    this.run.emit({ kind: "mapValue", map: shown });
  }

  /** A value as a format takes it; integers and whole strings go as they are. */
  argument(value: Value, type: Type): FormatArgument {
    if (typeof value === "string" && type.kind === "string") {
      return withTrailer(value, this.trailer);
    }
    return toShown(value, type, this.trailer);
  }

  formatter(format: string): (args: readonly FormatArgument[]) => string {
    return compileFormat(format, this.options.dialect).format;
  }

  output(name: string, text: string, site: number): void {
    const range = this.sites[site];
    switch (name) {
      case "errorf":
      case "warnf":
        if (range !== undefined) this.run.emit({ kind: name, text, range });
        return;
      case "cat":
        return this.#cat(text, site);
      case "join":
        return this.run.emit({ kind: "join", text: `${text}\n` });
      case "time":
        return this.run.emit({
          kind: "time",
          text: this.run.formatTime(text, this.run.nowNs("wall")),
        });
      default:
        return this.run.emit({ kind: "printf", text });
    }
  }

  #cat(path: string, site: number): void {
    const file = this.run.readFile(path, this.config.catBytesMax);
    if ("text" in file) return this.run.emit({ kind: "cat", text: file.text });
    this.#warnOnce(site, `cannot read ${path}: ${file.why}`);
  }

  // Deeds.

  write(firing: Firing, address: bigint, value: Value, sizeBytes: number): boolean {
    return firing.write(address, bytesToWrite(value, sizeBytes));
  }

  // What the world knows.

  ask(name: string, operands: readonly Value[], text: string): Value {
    const [first] = operands;
    switch (name) {
      case "cgroup_path":
        return this.run.cgroupPath(first as bigint, text);
      case "cgroupid":
        return this.run.cgroupId(text);
      case "syscall_name":
        return this.run.syscallName(first as bigint) ?? `${first}`;
      default:
        return this.#wallTime(first as bigint, text);
    }
  }

  /** strftime: its operand is by the clock that counts from boot. */
  #wallTime(bootNs: bigint, format: string): string {
    const offsetNs = this.run.nowNs("wall") - this.run.nowNs("boot");
    return this.run.formatTime(format, bootNs + offsetNs);
  }
}

function lengthOf(count: bigint, lengthMax: number): number {
  if (count <= 0n) return 0;
  return count > BigInt(lengthMax) ? lengthMax : Number(count);
}

function bytesToWrite(value: Value, sizeBytes: number): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return bytesOfText(value, value.length + 1);
  if (typeof value === "boolean") return bytesOfInteger(value ? 1n : 0n, 1);
  return bytesOfInteger(value as bigint, sizeBytes);
}
