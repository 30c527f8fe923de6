/**
 * Probes on system calls: by name or number, at their start and their end. All calls of the target
 * stop while one such probe is enabled, as the kernel has no choice among them to offer.
 */

import { ToolError } from "../../base/errors.ts";
import { readSystemCalls, type SystemCalls } from "../../base/system-calls.ts";
import type { CallHooks, CallStops } from "../../engine/call-stops.ts";
import type { CallBegin, CallEnd, Thread } from "../../machine/machine.ts";
import { isGlob, matchesGlob, parseGlob } from "../../symbols/glob.ts";
import type { ProbeOptions } from "../api.ts";
import type { SyscallEnd, SyscallEntry, SyscallFilter, SyscallHandlers } from "../provider-api.ts";
import { type Provider, type ProviderHost, ProviderProbe } from "./provider-probe.ts";

/** Names that begin with as many characters of one that is none are offered for it. */
const NEAR_CHARS = 4;
const ERRNO_MAX = 4095n;

export class SyscallProbe extends ProviderProbe {
  readonly kind = "syscall";
  /** Undefined for all of them, also those without a name. */
  readonly numbers: ReadonlySet<number> | undefined;
  private readonly handlers: SyscallHandlers;
  private readonly provider: Provider<SyscallProbe>;
  private readonly table: SystemCalls;

  constructor(
    host: ProviderHost,
    provider: Provider<SyscallProbe>,
    table: SystemCalls,
    filter: SyscallFilter,
    handlers: SyscallHandlers,
    options: ProbeOptions,
  ) {
    const parts = Array.isArray(filter) ? filter : [filter];
    super(host, parts.join(","), { disabled: options.disabled ?? false });
    this.provider = provider;
    this.table = table;
    this.handlers = handlers;
    this.numbers = parts.includes("*") ? undefined : new Set(findNumbers(table, parts));
  }

  protected changed(): void {
    this.provider.changed(this);
  }

  protected removed(): void {
    this.provider.removed(this);
  }

  wants(number: number): boolean {
    return this.enabled && (this.numbers?.has(number) ?? true);
  }

  begun(thread: Thread, call: CallBegin): void {
    const { enter } = this.handlers;
    this.hits++;
    if (enter === undefined) return;
    const { table } = this;
    const entry: SyscallEntry = {
      number: call.number,
      name: table.nameOf(call.number),
      args: call.args,
      get named(): Readonly<Record<string, bigint>> {
        const names = table.findByNumber(call.number)?.parameters ?? [];
        return Object.fromEntries(names.map((name, at) => [name, call.args[at] as bigint]));
      },
    };
    this.run("enter", thread, (hit) => enter(hit, entry));
  }

  ended(thread: Thread, call: CallEnd): void {
    const { exit } = this.handlers;
    if (exit === undefined) return;
    const { number, result, isPartial } = call;
    const isError = result < 0n && result >= -ERRNO_MAX;
    const end: SyscallEnd = {
      number,
      name: this.table.nameOf(number),
      result,
      errno: isError ? Number(-result) : undefined,
      isPartial,
    };
    this.run("exit", thread, (hit) => exit(hit, end));
  }
}

/** @throws ToolError symbol.unknown */
function findNumbers(table: SystemCalls, filter: readonly (string | number)[]): number[] {
  const numbers: number[] = [];
  for (const part of filter) {
    if (typeof part === "number") {
      numbers.push(part);
      continue;
    }
    const glob = isGlob(part) ? parseGlob(part) : undefined;
    const found = table.all.filter(({ name }) =>
      glob === undefined ? name === part : matchesGlob(glob, name),
    );
    if (found.length === 0) {
      const start = part.slice(0, NEAR_CHARS);
      const near = table.all.filter(({ name }) => name.startsWith(start));
      throw new ToolError("symbol.unknown", `no system call ${part}`, {
        details: { where: part, suggestions: near.map(({ name }) => name) },
      });
    }
    numbers.push(...found.map(({ number }) => number));
  }
  return numbers;
}

/** The probes on system calls of a session. */
export class SyscallProbes implements CallHooks, Provider<SyscallProbe> {
  readonly registered: Set<SyscallProbe> = new Set();
  private readonly host: ProviderHost;
  private readonly callStops: CallStops;
  private readonly table: SystemCalls;
  private isInUse = false;

  constructor(host: ProviderHost, callStops: CallStops, cpu: "x86_64" | "arm64") {
    this.host = host;
    this.callStops = callStops;
    this.table = readSystemCalls(cpu);
  }

  /** @throws ToolError symbol.unknown, machine.unsupported */
  add(filter: SyscallFilter, handlers: SyscallHandlers, options: ProbeOptions): SyscallProbe {
    if (!this.callStops.isAvailable) {
      throw new ToolError("machine.unsupported", "system calls cannot be probed in a kernel", {
        hint: "probe the kernel's functions instead",
      });
    }
    const probe = new SyscallProbe(this.host, this, this.table, filter, handlers, options);
    this.registered.add(probe);
    this.changed();
    return probe;
  }

  changed(): void {
    const isWanted = [...this.registered].some((probe) => probe.enabled);
    if (isWanted === this.isInUse) return;
    this.isInUse = isWanted;
    this.callStops.use(isWanted ? this : undefined);
  }

  removed(probe: SyscallProbe): void {
    this.registered.delete(probe);
    this.changed();
  }

  begun(thread: Thread, call: CallBegin): void {
    for (const probe of [...this.registered]) {
      if (thread.live && probe.wants(call.number)) probe.begun(thread, call);
    }
  }

  ended(thread: Thread, call: CallEnd): void {
    for (const probe of [...this.registered]) {
      if (thread.live && probe.wants(call.number)) probe.ended(thread, call);
    }
  }
}
