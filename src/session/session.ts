/**
 * Sessions: launch() and attach(), and the class behind the Session interface. This is where
 * machine, engine, symbols and the user's handlers meet.
 */

import { x86_64 } from "../arch/x86_64/x86_64.ts";
import { type Address, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { Engine, type EngineHost } from "../engine/engine.ts";
import type { Target } from "../engine/target.ts";
import type { EndStatus, Thread } from "../machine/machine.ts";
import { CpuPin } from "../machine/ptrace/cpu-pin.ts";
import type { MachineOptions } from "../machine/ptrace/machine.ts";
import {
  attachMachine,
  launchMachine,
  type OpenedMachine,
  requireSupportedImage,
} from "../machine/ptrace/open.ts";
import type {
  AttachOptions,
  CheckResult,
  ExitStatus,
  HandlerError,
  HitThread,
  LaunchOptions,
  ModuleInfo,
  Probe,
  ProbeRequest,
  Session,
  SessionEvent,
  SessionOptions,
  SymbolInfo,
  Where,
} from "./api.ts";
import type { ParsedRequest } from "./create-probe.ts";
import { guardExit } from "./exit-guard.ts";
import type { HitView } from "./hit-view.ts";
import { checkWhere, listSymbols } from "./inspection.ts";
import type { Location } from "./locate.ts";
import { ProbeSet, type ProbeSetHost } from "./probe-set.ts";
import type { LoadedModule } from "./process-modules.ts";
import { ProcessView } from "./process-view.ts";
import type { UsdtInfo } from "./provider-api.ts";
import { Providers, type ProvidersHost } from "./providers/providers.ts";
import { pump } from "./pump.ts";
import { createHandle, type SessionCore } from "./session-handle.ts";
import { signalName } from "./signal-name.ts";
import { SymbolFiles } from "./symbol-files/symbol-files.ts";
import { describeAddress, type TargetView } from "./target-view.ts";
import { describeThread } from "./thread-name.ts";
import { listUsdt } from "./usdt-sites.ts";
import { UserCallbacks } from "./user-callbacks.ts";

/** How long detach waits for every thread to stop before it goes on in the background. */
const DETACH_TIMEOUT_MS = 2000;
const DETACH_RETRY_MS = 50;
/** Stops that may come between exec and the libraries' being there. */
const START_TIMEOUT_MS = 30_000;

/**
 * Start a program under a session. It is stopped before its first own instruction (with its
 * start-up libraries loaded) and runs when session.run() is called.
 * @param argv program and arguments; the program is looked up in PATH.
 * @throws ToolError launch.failed, machine.unsupported, attach.permission
 */
export function launch(argv: readonly string[], options: LaunchOptions = {}): Session {
  return createHandle(launchLive(argv, options));
}

/** As launch(), for whoever serves the session's stops: see LiveSession.turn(). */
export function launchLive(argv: readonly string[], options: LaunchOptions): LiveSession {
  const opened = launchMachine(
    x86_64,
    {
      argv,
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: options.stdio ?? ["inherit", "inherit", "inherit"],
      noRandomize: options.noRandomize ?? false,
    },
    machineOptions(options),
  );
  const session = new LiveSession(opened, options, { launched: true });
  try {
    if (options.stopAt !== "exec") session.runToLibraries();
  } catch (error) {
    session.detach();
    throw error;
  }
  return session;
}

/**
 * Open a session on a running process, which goes on until it hits a probe. Its hits are served
 * while session.run() runs.
 * @throws ToolError attach.noProcess, attach.permission, attach.alreadyTraced, machine.unsupported
 */
export function attach(pid: number, options: AttachOptions = {}): Session {
  return createHandle(attachLive(pid, options));
}

/** As attach(), for whoever serves the session's stops: see LiveSession.turn(). */
export function attachLive(pid: number, options: AttachOptions): LiveSession {
  const opened = attachMachine(x86_64, pid, machineOptions(options));
  return new LiveSession(opened, options, { launched: false });
}

function machineOptions(options: SessionOptions): MachineOptions {
  return { trustsFilters: options.seccomp === "trust" };
}

export class LiveSession implements SessionCore, EngineHost, ProbeSetHost, ProvidersHost {
  readonly pid: number;
  readonly emit: ((event: SessionEvent) => void) | undefined;
  private readonly opened: OpenedMachine;
  private readonly engine: Engine;
  private readonly options: SessionOptions;
  private readonly files: SymbolFiles = new SymbolFiles();
  private readonly processes: Map<number, ProcessView> = new Map();
  private readonly threads: WeakMap<Thread, HitThread> = new WeakMap();
  private readonly probeSet: ProbeSet;
  readonly providers: Providers;
  private readonly unguard: () => void;
  private readonly pin: CpuPin | undefined;
  private readonly callbacks: UserCallbacks;
  private status: ExitStatus | undefined;
  private isLive = true;
  /** Stops being handled, one in another. */
  private depth = 0;
  private detachWanted = false;
  /** The thread to hold once its libraries are there. */
  private parkWhenReady: Thread | undefined;
  private running: Promise<ExitStatus> | undefined;

  constructor(opened: OpenedMachine, options: SessionOptions, how: { readonly launched: boolean }) {
    this.opened = opened;
    this.options = options;
    this.callbacks = new UserCallbacks(options);
    this.pid = opened.leader.processId;
    this.emit = options.onEvent === undefined ? undefined : (event) => this.callbacks.emit(event);
    this.engine = new Engine(opened.machine, this, {
      force: options.strategy,
      nowMs: () => performance.now(),
    });
    this.probeSet = new ProbeSet(this.engine, this, options.returnMechanism ?? "auto");
    this.providers = new Providers(this.engine, this);
    this.unguard = guardExit(() => this.detachNow());
    this.pin = options.pin === true ? new CpuPin(opened.machine, this.pid) : undefined;
    const view = this.addProcess(this.pid, this.engine.target(opened.leader.space));
    if (!how.launched) view.librariesReady = true;
    else this.engine.park(opened.leader);
    this.watchLibraries(view);
  }

  get live(): boolean {
    return this.isLive;
  }

  get isServing(): boolean {
    return this.running !== undefined;
  }

  get probes(): readonly Probe[] {
    return [...this.probeSet.registered, ...this.providers.registered];
  }

  usdtSites(pattern?: string): readonly UsdtInfo[] {
    return listUsdt(this.first, pattern);
  }

  get jprobeReturn(): Address {
    const { target, modules } = this.first;
    const stub = this.engine.natives.stub(target, modules.program?.start ?? toAddress(0));
    if (stub !== undefined) return stub;
    throw new ToolError("probe.refused", `process ${this.pid} gives no memory for jprobeReturn`, {
      details: { reason: "no-slot" },
      hint: "define a function jprobe_return beside the entry instead",
    });
  }

  register(requests: readonly ParsedRequest[]): readonly Probe[] {
    if (!this.isLive) throw this.gone();
    return this.probeSet.register(requests);
  }

  add(request: ProbeRequest): Probe {
    if (!this.isLive) throw this.gone();
    return this.probeSet.add(request);
  }

  run(): Promise<ExitStatus> {
    this.running ??= this.serve();
    return this.running;
  }

  private async serve(): Promise<ExitStatus> {
    this.start();
    const session = this;
    try {
      await pump({
        turn: (timeoutMs) => session.turn(timeoutMs),
        get done() {
          return !session.isLive;
        },
        get rest() {
          return session.providers.isTicking ? undefined : () => session.opened.machine.rest();
        },
      });
    } catch (error) {
      this.detach();
      throw error;
    }
    return this.status ?? { kind: "detached" };
  }

  detach(): void {
    // While a handler runs, its hit is brought to its end first.
    if (this.depth > 0) this.detachWanted = true;
    else this.detachNow();
  }

  /** Detach even in the middle of a hit, whose instruction then runs in its place. */
  private detachNow(): void {
    if (!this.isLive) return;
    this.isLive = false;
    this.status ??= { kind: "detached" };
    // A hit that comes while detach waits for an entry runs no handler any more.
    this.probeSet.end();
    this.providers.end();
    try {
      this.finishDetach();
    } finally {
      this.close();
    }
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  modules(): readonly ModuleInfo[] {
    return this.first.modules.all.map((module) => module.info());
  }

  symbols(pattern: string): readonly SymbolInfo[] {
    return listSymbols(this.first, pattern);
  }

  check(where: Where): readonly CheckResult[] {
    return checkWhere(this.first, where, this.probeSet.returnMechanism);
  }

  describe(address: bigint): string {
    return describeAddress(this.first, address);
  }

  /** The module of the first process's own executable. */
  get program(): LoadedModule | undefined {
    return this.first.modules.program;
  }

  private get first(): ProcessView {
    const view = this.processes.get(this.pid) ?? this.processes.values().next().value;
    if (view === undefined || !this.isLive) throw this.gone();
    return view;
  }

  gone(): ToolError {
    return new ToolError("machine.gone", `process ${this.pid} is no longer probed`, {
      details: { pid: this.pid, status: this.status },
    });
  }

  /** Let the launched program go from where launch left it. */
  start(): void {
    if (this.isLive) this.engine.unpark(this.opened.leader);
  }

  /** From exec to where the start-up libraries are loaded and no constructor has run. */
  runToLibraries(): void {
    const { leader } = this.opened;
    const view = this.first;
    if (view.librariesReady) return;
    const deadline = performance.now() + START_TIMEOUT_MS;
    this.parkWhenReady = leader;
    this.engine.unpark(leader);
    while (this.isLive && !this.engine.isParked(leader) && performance.now() < deadline)
      this.turn(20);
  }

  /** Serve one stop; false when none came in time. run() does this until the end. */
  turn(timeoutMs: number): boolean {
    if (!this.isLive) return false;
    this.depth++;
    let served: boolean;
    try {
      served = this.engine.turn(this.providers.tick(timeoutMs));
    } finally {
      this.depth--;
    }
    if (!this.opened.machine.live && this.isLive) {
      this.isLive = false;
      this.close();
    } else if (this.detachWanted && this.depth === 0) {
      this.detach();
    }
    return served;
  }

  /** Detach, and once more later for threads that could not be stopped now. */
  private finishDetach(): void {
    if (this.opened.machine.live && !this.engine.detach(DETACH_TIMEOUT_MS)) {
      setTimeout(() => this.finishDetach(), DETACH_RETRY_MS).unref();
      return;
    }
    this.opened.machine[Symbol.dispose]();
    this.opened.reapLater?.();
  }

  private close(): void {
    this.unguard();
    this.pin?.restore();
    if (!this.opened.machine.live) this.opened.machine[Symbol.dispose]();
    this.probeSet.end();
    this.providers.end();
    this.files[Symbol.dispose]();
  }

  private addProcess(processId: number, target: Target): ProcessView {
    const view = new ProcessView(this.engine, target, processId, this.files, (message) =>
      this.warn(message),
    );
    this.processes.set(processId, view);
    return view;
  }

  private watchLibraries(view: ProcessView): void {
    const watched = view.watch((fresh, gone) => {
      if (this.parkWhenReady !== undefined) this.engine.park(this.parkWhenReady);
      this.parkWhenReady = undefined;
      for (const module of fresh) {
        this.emit?.({ kind: "module-loaded", processId: view.id, module: module.info() });
      }
      for (const module of gone) this.dropModule(view, module);
      this.probeSet.placeAll(view);
    });
    if (!watched) {
      view.librariesReady = true;
      view.isStatic = true;
    }
  }

  /** A library was unloaded: what we knew of its text is void. */
  private dropModule(view: ProcessView, module: LoadedModule): void {
    for (const probe of this.probeSet.registered) {
      const sites = probe.armed.get(view.target);
      for (const address of [...(sites?.keys() ?? [])]) {
        if (module.holds(address)) sites?.delete(address);
      }
      probe.unloaded(view.target, module);
    }
    view.target.forget(module.start, module.end);
  }

  describeThread(thread: Thread): HitThread {
    let info = this.threads.get(thread);
    if (info === undefined) {
      info = describeThread(thread);
      this.threads.set(thread, info);
    }
    return info;
  }

  get views(): Iterable<ProcessView> {
    return this.processes.values();
  }

  placedReturn(view: TargetView): void {
    if (view instanceof ProcessView) view.watchJumps();
  }

  takeHit(): HitView {
    return this.probeSet.takeHit();
  }

  giveHit(hit: HitView): void {
    this.probeSet.giveHit(hit);
  }

  locate(thread: Thread, address: Address): Location | undefined {
    return this.probeSet.locate(thread, address);
  }

  handlerFailed(error: HandlerError): void {
    this.callbacks.handlerFailed(error);
  }

  followProcess(): boolean {
    return this.options.followForks === true;
  }

  processStarted(child: Thread, parent: Thread, target: Target): void {
    const view = this.addProcess(child.processId, target);
    view.librariesReady = true;
    const former = this.engine.target(parent.space);
    for (const probe of this.probeSet.registered) {
      probe.forked(former, target);
      const sites = [...target.sites.values()].filter((site) => site.hooks.includes(probe));
      if (sites.length > 0)
        probe.armed.set(target, new Map(sites.map((site) => [site.address, site])));
    }
    if (target.returns.hasUsers) view.watchJumps();
    this.watchLibraries(view);
    this.emit?.({
      kind: "process-started",
      processId: child.processId,
      parentId: parent.processId,
    });
  }

  execed(thread: Thread, target: Target): boolean {
    const { processId } = thread;
    const known = this.processes.get(processId);
    if (known === undefined && this.options.followForks !== true) return false;
    if (known !== undefined)
      for (const probe of this.probeSet.registered) probe.armed.delete(known.target);
    try {
      requireSupportedImage(processId);
    } catch (error) {
      this.processes.delete(processId);
      this.warn(`process ${processId} is let go: ${(error as Error).message}`);
      return false;
    }
    const view = this.addProcess(processId, target);
    if (known === undefined) this.emit?.({ kind: "process-started", processId, parentId: 0 });
    this.emit?.({ kind: "exec", processId, path: view.modules.program?.path ?? "" });
    // An address means nothing in another image.
    for (const probe of this.probeSet.registered) {
      if (probe.parsed.kind !== "address") continue;
      this.warn(`the probe at ${probe.where} ends here: process ${processId} runs another program`);
    }
    this.watchLibraries(view);
    this.probeSet.placeAll(view);
    return true;
  }

  processEnded(processId: number, status: EndStatus): void {
    const exit: ExitStatus =
      status.kind === "exited"
        ? { kind: "exited", code: status.code }
        : { kind: "killed", signal: status.signal, signalName: signalName(status.signal) };
    const view = this.processes.get(processId);
    if (view === undefined) return;
    for (const probe of this.probeSet.registered) probe.armed.delete(view.target);
    this.processes.delete(processId);
    if (processId === this.pid) this.status = exit;
    this.emit?.({ kind: "process-exited", processId, status: exit });
  }

  lettingGo(thread: Thread): void {
    this.pin?.restoreThread(thread.id);
  }

  warn(message: string): void {
    this.emit?.({ kind: "warning", message });
  }
}
