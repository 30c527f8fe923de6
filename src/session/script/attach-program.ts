/**
 * The probes of a program on their targets: functions by sessions, timers and signals by our own
 * loop, the begin and the end by whoever runs the program.
 */

import { constants } from "node:os";
import { assertNever, ToolError } from "../../base/errors.ts";
import type { Config, TypeWorld } from "../../script/check/typed-tree.ts";
import { Diagnostics } from "../../script/diagnostics.ts";
import type { Executable, ExecutableProbe } from "../../script/interpret/compile.ts";
import type { Firing } from "../../script/interpret/host.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import type { Probe, SessionEvent } from "../api.ts";
import type { HitView } from "../hit-view.ts";
import { SymbolFiles } from "../symbol-files/symbol-files.ts";
import { type AttachHost, attachPoint } from "./attach.ts";
import { attachGuestPoint, type TracepointHit } from "./attach-guest-points.ts";
import { attachProfile, attachSyscalls, attachWatch } from "./attach-others.ts";
import { attachUsdt } from "./attach-usdt.ts";
import type { FiringHost } from "./firing-host.ts";
import { GuestTargetFacts } from "./guest-target-facts.ts";
import { HitFiring, type KeptArguments } from "./hit-firing.ts";
import { Names } from "./names.ts";
import { OwnFiring } from "./own-firing.ts";
import { createOwnMemory } from "./own-memory.ts";
import { AttachedPoint } from "./point.ts";
import { ProcFacts } from "./proc-facts.ts";
import { ProcessTargetFacts } from "./process-target-facts.ts";
import type { ScriptRun } from "./script-run.ts";
import type { StopSignals } from "./stop-signals.ts";
import type { Targets } from "./targets.ts";
import { periodOf, Timers } from "./timers.ts";

export interface AttachRequest {
  readonly executable: Executable;
  readonly world: TypeWorld;
  readonly config: Config;
  readonly targets: Targets;
  readonly run: ScriptRun;
  readonly diagnostics: Diagnostics;
}

type Fire = () => void;

/** Of these a session may have several at one address. */
const ENTRY_PROVIDERS: readonly string[] = ["uprobe", "kprobe", "fentry", "usdt"];

export class AttachedProgram {
  readonly timers: Timers = new Timers();
  readonly probes: Probe[] = [];
  /** Set when the command of -c has ended. */
  isCommandOver = false;
  readonly #request: AttachRequest;
  readonly #proc = new ProcFacts();
  readonly #names = new Names();
  readonly #files = new SymbolFiles();
  readonly #begins: Fire[] = [];
  readonly #ends: Fire[] = [];
  readonly #watched: { readonly address: bigint; readonly probe: Probe }[] = [];
  readonly #onSignal: { readonly number: number; readonly fire: Fire }[] = [];
  readonly #signalsSeen = new Map<number, number>();
  readonly #ownFacts: ProcessTargetFacts;
  readonly #firing: HitFiring;

  constructor(request: AttachRequest) {
    this.#request = request;
    const { targets, run } = request;
    this.#ownFacts = new ProcessTargetFacts(this.#proc, run.users, targets);
    const { guest } = targets;
    const host: FiringHost = {
      archName: guest?.guest.arch ?? "x86_64",
      names: this.#names,
      facts: guest === undefined ? this.#ownFacts : new GuestTargetFacts(guest),
      stackSpace: guest === undefined ? "user" : "kernel",
    };
    this.#firing = new HitFiring(host);
  }

  /** Put every probe on; what is wrong is in the diagnostics. */
  attach(): void {
    const { executable, targets, config, diagnostics } = this.#request;
    const host: AttachHost = {
      sessions: targets.sessions,
      files: this.#files,
      diagnostics,
      missingProbes: config.missingProbes,
    };
    const all = executable.probes.flatMap((probe) =>
      probe.points.map((point) => ({ probe, point, diagnostics: new Diagnostics() })),
    );
    // Those of one address run in the order of the program; a session runs the newest first.
    const entries = all.filter(({ point }) => ENTRY_PROVIDERS.includes(point.provider));
    const others = all.filter((one) => !entries.includes(one));
    for (const { probe, point, diagnostics: own } of [...others, ...entries.reverse()]) {
      this.#attachPoint({ ...host, diagnostics: own }, probe, point);
    }
    for (const { diagnostics: own } of all) diagnostics.addAll(own);
  }

  /** How many probes there are, wildcards resolved. */
  get pointCount(): number {
    const own = this.#begins.length + this.#ends.length + this.timers.count;
    const sites = this.probes.map((probe) => Math.max(1, probe.sites.length));
    return own + this.#onSignal.length + sites.reduce((sum, count) => sum + count, 0);
  }

  /** Those that the program has probes on. */
  get signals(): readonly NodeJS.Signals[] {
    const numbers = new Set(this.#onSignal.map(({ number }) => number));
    const all = Object.entries(constants.signals) as [NodeJS.Signals, number][];
    return all.filter(([, number]) => numbers.has(number)).map(([name]) => name);
  }

  begin(): void {
    for (const fire of this.#begins) {
      if (this.#request.run.isOver) return;
      fire();
    }
  }

  end(): void {
    for (const fire of this.#ends) fire();
  }

  /** Fire the probes of signals that came. */
  serveSignals(signals: StopSignals): void {
    for (const { number, fire } of this.#onSignal) {
      const count = signals.countOf(number);
      const seen = this.#signalsSeen.get(number) ?? 0;
      for (let time = seen; time < count && !this.#request.run.isOver; time++) fire();
      this.#signalsSeen.set(number, count);
    }
  }

  onEvent(event: SessionEvent): void {
    switch (event.kind) {
      case "process-exited":
        this.#proc.forget(event.processId);
        if (event.processId === this.#request.targets.command?.pid) this.isCommandOver = true;
        break;
      case "exec":
        this.#proc.forget(event.processId);
        this.#names.clear();
        break;
      case "module-loaded":
        this.#names.clear();
        break;
      default:
        break;
    }
  }

  /** A firing of a probe that has no hit. */
  ownFiring(point: AttachPoint): Firing {
    return new OwnFiring(this.#ownFacts, point.text, createOwnMemory(this.#request.targets));
  }

  [Symbol.dispose](): void {
    this.#proc[Symbol.dispose]();
    this.#files[Symbol.dispose]();
  }

  #attachPoint(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const { provider } = point;
    const { diagnostics } = host;
    switch (provider) {
      case "begin":
        this.#begins.push(this.#ownFire(probe, point));
        break;
      case "end":
        this.#ends.push(this.#ownFire(probe, point));
        break;
      case "interval":
        this.#addTimer(host, probe, point);
        break;
      case "self":
        this.#addSignal(host, probe, point);
        break;
      case "uprobe":
      case "uretprobe":
      case "kprobe":
      case "kretprobe":
      case "fentry":
      case "fexit":
        this.#attachFunction(host, probe, point);
        break;
      case "usdt":
        this.#attachUsdt(host, probe, point);
        break;
      case "test":
      case "bench":
        // They run by --test and --bench alone.
        break;
      case "rawtracepoint":
        this.#attachGuestPoint(host, probe, point);
        break;
      case "tracepoint": {
        if (this.#request.targets.guest !== undefined)
          return this.#attachGuestPoint(host, probe, point);
        const attached = this.#attachedOf(point);
        this.probes.push(
          ...attachSyscalls(host, point, (hit, call, name) => {
            if (this.#request.run.isOver) return;
            probe.fire(this.#firing.bind(hit, attached, undefined, undefined).atCall(call, name));
          }),
        );
        break;
      }
      case "watchpoint":
      case "asyncwatchpoint":
        this.#attachWatch(host, probe, point);
        break;
      case "profile":
        this.#attachProfile(host, probe, point);
        break;
      case "software":
      case "hardware":
      case "iter":
        diagnostics.error(point.range, `${provider} probes are not served here`, undefined);
        break;
      default:
        assertNever(provider);
    }
  }

  #attachedOf(point: AttachPoint): AttachedPoint {
    return new AttachedPoint(point, this.#request.world.findArguments(point));
  }

  #attachFunction(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const attached = this.#attachedOf(point);
    const firing = this.#firing;
    const { run } = this.#request;
    const fire = (hit: HitView, kept: KeptArguments | undefined): boolean => {
      if (run.isOver) return false;
      probe.fire(firing.bind(hit, attached, kept, undefined));
      return firing.isOverridden;
    };
    try {
      this.probes.push(...attachPoint(host, { attached, fire }));
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      host.diagnostics.error(point.range, error.message, error.hint);
    }
  }

  #attachGuestPoint(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const { tracepoints } = this.#request.targets;
    if (tracepoints === undefined) {
      const hint = "say which kernel: --gdb ADDRESS of a guest's GDB stub";
      host.diagnostics.error(point.range, `${point.provider} needs a kernel as its target`, hint);
      return;
    }
    const attached = this.#attachedOf(point);
    const fire = ({ hit, name, call, record, kept }: TracepointHit): void => {
      if (this.#request.run.isOver) return;
      const firing = this.#firing.bind(hit, attached, kept, undefined);
      probe.fire(call === undefined ? firing.atRecord(record, name) : firing.atCall(call, name));
    };
    const needsArguments = /\bf\.(?:arg|argumentField)\(/.test(probe.code);
    try {
      this.probes.push(...attachGuestPoint(host, tracepoints, { point, needsArguments, fire }));
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      host.diagnostics.error(point.range, error.message, error.hint);
    }
  }

  #attachProfile(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const attached = this.#attachedOf(point);
    const probes = attachProfile(host, point, (hit) => {
      if (this.#request.run.isOver) return;
      probe.fire(
        this.#firing.bind(hit, attached, undefined, undefined).named(undefined, point.text),
      );
    });
    this.probes.push(...probes);
  }

  #attachUsdt(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const attached = this.#attachedOf(point);
    const probes = attachUsdt(host, point, (hit, site) => {
      if (this.#request.run.isOver) return;
      probe.fire(this.#firing.bind(hit, attached, undefined, site));
    });
    this.probes.push(...probes);
  }

  #attachWatch(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const attached = this.#attachedOf(point);
    const watched = attachWatch(host, point, (hit) => {
      if (this.#request.run.isOver) return;
      const firing = this.#firing.bind(hit, attached, undefined, undefined);
      probe.fire(firing.named(undefined, point.text));
    });
    for (const [address, one] of watched) {
      this.probes.push(one);
      this.#watched.push({ address, probe: one });
    }
    this.#request.run.onUnwatch = (address) => {
      for (const one of this.#watched) if (one.address === address) one.probe.unregister();
    };
  }

  #ownFire(probe: ExecutableProbe, point: AttachPoint): Fire {
    const firing = this.ownFiring(point);
    return () => void probe.fire(firing);
  }

  #addTimer(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const periodNs = periodOf(point);
    if (periodNs !== undefined) this.timers.add(periodNs, this.#ownFire(probe, point));
    else {
      host.diagnostics.error(
        point.range,
        "an interval takes a unit and a count above 0",
        "as in interval:s:1, interval:ms:100, interval:hz:99 or interval:1s",
      );
    }
  }

  #addSignal(host: AttachHost, probe: ExecutableProbe, point: AttachPoint): void {
    const [kind, name] = point.parts.map((part) => part.text);
    const number = Object.entries(constants.signals).find(([known]) => known === name)?.[1];
    if (kind === "signal" && number !== undefined) {
      this.#onSignal.push({ number, fire: this.#ownFire(probe, point) });
      return;
    }
    host.diagnostics.error(point.range, "self takes a signal", "as in self:signal:SIGUSR1");
  }
}
