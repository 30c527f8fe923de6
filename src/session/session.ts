/**
 * Sessions: launch() and attach(), and the class behind the Session interface. This is where
 * machine, engine, symbols and the user's handlers meet.
 */

import { x86_64 } from "../arch/x86_64/x86_64.ts";
import { type Address, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { Engine, type EngineHost } from "../engine/engine.ts";
import type { NativeJprobes } from "../engine/native-jprobes.ts";
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
  JprobeHandler,
  JprobeHandlers,
  KprobeHandlers,
  KretprobeHandlers,
  LaunchOptions,
  ModuleInfo,
  NativeJprobe,
  Probe,
  ProbeOptions,
  ProbeRequest,
  Session,
  SessionEvent,
  SessionOptions,
  SymbolInfo,
  Where,
} from "./api.ts";
import { createProbe } from "./create-probe.ts";
import { guardExit } from "./exit-guard.ts";
import { HitView } from "./hit-view.ts";
import { checkWhere, listSymbols } from "./inspection.ts";
import type { Location } from "./locate.ts";
import { type BaseProbe, Kretprobe, type ProbeOwner, siteInfo } from "./probe.ts";
import type { LoadedModule } from "./process-modules.ts";
import { isAbsence, ProcessView } from "./process-view.ts";
import type { PrototypeArguments, Strings } from "./prototype-types.ts";
import { pump } from "./pump.ts";
import type { WantedMechanism } from "./return-mechanism.ts";
import { createHandle, type Holdable } from "./session-handle.ts";
import { signalName } from "./signal-name.ts";
import { walkStack } from "./stack-walk.ts";
import { SymbolFiles } from "./symbol-files/symbol-files.ts";
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
  return createHandle(session);
}

/**
 * Open a session on a running process, which goes on until it hits a probe. Its hits are served
 * while session.run() runs.
 * @throws ToolError attach.noProcess, attach.permission, attach.alreadyTraced, machine.unsupported
 */
export function attach(pid: number, options: AttachOptions = {}): Session {
  return createHandle(
    new LiveSession(attachMachine(x86_64, pid, machineOptions(options)), options, {
      launched: false,
    }),
  );
}

function machineOptions(options: SessionOptions): MachineOptions {
  return { trustsFilters: options.seccomp === "trust" };
}

class LiveSession implements Holdable, EngineHost, ProbeOwner {
  readonly pid: number;
  readonly returnMechanism: WantedMechanism;
  readonly arch = x86_64;
  private readonly opened: OpenedMachine;
  private readonly engine: Engine;
  private readonly options: SessionOptions;
  private readonly files: SymbolFiles = new SymbolFiles();
  private readonly processes: Map<number, ProcessView> = new Map();
  private readonly registered: Set<BaseProbe> = new Set();
  private readonly freeHits: HitView[] = [];
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
    this.returnMechanism = options.returnMechanism ?? "auto";
    this.engine = new Engine(opened.machine, this, {
      force: options.strategy,
      nowMs: () => performance.now(),
    });
    this.unguard = guardExit(() => this.detachNow());
    this.pin = options.pin === true ? new CpuPin(opened.machine, this.pid) : undefined;
    const view = this.addProcess(this.pid, this.engine.target(opened.leader.space));
    if (!how.launched) view.librariesReady = true;
    else this.engine.park(opened.leader);
    this.watch(view);
  }

  get live(): boolean {
    return this.isLive;
  }

  get isServing(): boolean {
    return this.running !== undefined;
  }

  get probes(): readonly Probe[] {
    return [...this.registered];
  }

  kprobe(where: Where, handlers: KprobeHandlers, options: ProbeOptions = {}): Probe {
    return this.add({ kprobe: where, handlers, options });
  }

  kretprobe(where: Where, handlers: KretprobeHandlers, options: ProbeOptions = {}): Probe {
    return this.add({ kretprobe: where, handlers, options });
  }

  jprobe<P extends string, S extends Strings, A = PrototypeArguments<P, S>>(
    where: Where,
    handlers: JprobeHandler<A> | JprobeHandlers<A, P, S> | NativeJprobe,
    options: ProbeOptions = {},
  ): Probe {
    // What the handler's parameter says of the arguments is the user's own claim.
    const untyped = handlers as JprobeHandler | JprobeHandlers | NativeJprobe;
    return this.add({ jprobe: where, handlers: untyped, options });
  }

  get jprobeReturn(): Address {
    const { target, modules } = this.first;
    const stub = this.natives.stub(target, modules.program?.start ?? toAddress(0));
    if (stub !== undefined) return stub;
    throw new ToolError("probe.refused", `process ${this.pid} gives no memory for jprobeReturn`, {
      details: { reason: "no-slot" },
      hint: "define a function jprobe_return beside the entry instead",
    });
  }

  get natives(): NativeJprobes {
    return this.engine.natives;
  }

  register(requests: readonly ProbeRequest[]): readonly Probe[] {
    const done: Probe[] = [];
    try {
      for (const request of requests) done.push(this.add(request));
    } catch (error) {
      for (const probe of done.reverse()) probe.unregister();
      throw error;
    }
    return done;
  }

  private add(request: ProbeRequest): BaseProbe {
    if (!this.isLive) throw this.gone();
    const options = request.options ?? {};
    const probe = createProbe(this, request);
    try {
      let found = 0;
      let absence: unknown;
      for (const view of this.processes.values()) {
        try {
          found += this.placeIn(view, probe);
        } catch (error) {
          // In another followed process the module may well be missing.
          if (!isAbsence(error)) throw error;
          absence ??= error;
        }
      }
      if (found === 0 && absence !== undefined && options.pending !== true) throw absence;
    } catch (error) {
      this.takeOut(probe);
      probe.registered = false;
      throw error;
    }
    this.registered.add(probe);
    return probe;
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
        rest: () => session.opened.machine.rest(),
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
    for (const probe of this.registered) probe.registered = false;
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
    return checkWhere(this.first, where, this.returnMechanism);
  }

  describe(address: bigint): string {
    return this.first.describe(address);
  }

  private get first(): ProcessView {
    const view = this.processes.get(this.pid) ?? this.processes.values().next().value;
    if (view === undefined || !this.isLive) throw this.gone();
    return view;
  }

  private gone(): ToolError {
    return new ToolError("machine.gone", `process ${this.pid} is no longer probed`, {
      details: { pid: this.pid, status: this.status },
    });
  }

  /** Let the launched program go from where launch left it. */
  private start(): void {
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

  private turn(timeoutMs: number): boolean {
    if (!this.isLive) return false;
    this.depth++;
    let served: boolean;
    try {
      served = this.engine.turn(timeoutMs);
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
    for (const probe of this.registered) probe.registered = false;
    this.files[Symbol.dispose]();
  }

  private addProcess(processId: number, target: Target): ProcessView {
    const view = new ProcessView(this.engine, target, processId, this.files, (message) =>
      this.warn(message),
    );
    this.processes.set(processId, view);
    return view;
  }

  private watch(view: ProcessView): void {
    const watched = view.watch((fresh, gone) => {
      if (this.parkWhenReady !== undefined) this.engine.park(this.parkWhenReady);
      this.parkWhenReady = undefined;
      for (const module of fresh) {
        this.emit({ kind: "module-loaded", processId: view.id, module: module.info() });
      }
      for (const module of gone) this.dropModule(view, module);
      this.placeAll(view);
    });
    if (!watched) {
      view.librariesReady = true;
      view.isStatic = true;
    }
  }

  /** A library was unloaded: what we knew of its text is void. */
  private dropModule(view: ProcessView, module: LoadedModule): void {
    for (const probe of this.registered) {
      const sites = probe.armed.get(view.target);
      for (const address of [...(sites?.keys() ?? [])]) {
        if (module.holds(address)) sites?.delete(address);
      }
      probe.unloaded(view.target, module);
    }
    view.target.forget(module.start, module.end);
  }

  /** Every probe in one process, wherever it matches now. */
  private placeAll(view: ProcessView): void {
    for (const probe of this.registered) {
      try {
        if (probe.parsed.kind !== "address") this.placeIn(view, probe);
      } catch (error) {
        if (!isAbsence(error)) this.emit({ kind: "probe-refused", probe, error: error as Error });
      }
    }
  }

  /**
   * A probe in one process. Gives at how many locations it is. Where the user named one location
   * its refusal is thrown; of many, only that of all of them.
   */
  private placeIn(view: ProcessView, probe: BaseProbe): number {
    const locations = view.locator
      .locate(probe.parsed, probe.where)
      .filter((location) => suits(probe, location));
    let refused: unknown;
    let placed = 0;
    for (const location of locations) {
      try {
        probe.prepare(view, location);
        if (view.place(probe, location)) this.armed(view, probe, location);
        placed++;
      } catch (error) {
        refused = error;
        if (locations.length > 1)
          this.emit({ kind: "probe-refused", probe, error: error as Error });
      }
    }
    if (placed === 0 && refused !== undefined) throw refused;
    if (probe instanceof Kretprobe) {
      view.target.returns.use(probe);
      if (placed > 0) view.watchJumps();
    }
    return placed;
  }

  private armed(view: ProcessView, probe: BaseProbe, location: Location): void {
    if (this.options.onEvent === undefined) return;
    const site = probe.armed.get(view.target)?.get(location.address);
    if (site !== undefined)
      this.emit({ kind: "probe-armed", probe, site: siteInfo(view.target, site, probe) });
  }

  private takeOut(probe: BaseProbe): void {
    for (const [target, sites] of probe.armed) {
      for (const site of sites.values()) target.removeHooks(site, probe);
      if (probe instanceof Kretprobe) target.returns.unuse(probe, { drop: true });
    }
    probe.armed.clear();
    probe.withdraw();
  }

  takeHit(): HitView {
    return (
      this.freeHits.pop() ??
      new HitView(this.engine, (thread, depthMax) => this.readStack(thread, depthMax))
    );
  }

  private readStack(thread: Thread, depthMax: number): readonly Address[] {
    const target = this.targetOf(thread);
    // A vfork child runs in its parent's process view.
    for (const { target: own, modules } of this.processes.values()) {
      if (own === target) return walkStack({ thread, target, modules }, depthMax);
    }
    return [];
  }

  giveHit(hit: HitView): void {
    this.freeHits.push(hit);
  }

  targetOf(thread: Thread): Target {
    return this.engine.target(thread.space);
  }

  refresh(probe: BaseProbe): void {
    let refused: unknown;
    for (const [target, sites] of probe.armed) {
      for (const site of sites.values()) {
        try {
          target.refresh(site);
        } catch (error) {
          refused ??= error;
        }
      }
      if (!(probe instanceof Kretprobe)) continue;
      if (probe.enabled) target.returns.use(probe);
      else target.returns.unuse(probe, { drop: false });
    }
    if (refused !== undefined) throw refused;
  }

  remove(probe: BaseProbe): void {
    this.takeOut(probe);
    this.registered.delete(probe);
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
    for (const probe of this.registered) {
      probe.forked(former, target);
      const sites = [...target.sites.values()].filter((site) => site.hooks.includes(probe));
      if (sites.length > 0)
        probe.armed.set(target, new Map(sites.map((site) => [site.address, site])));
    }
    if (target.returns.hasUsers) view.watchJumps();
    this.watch(view);
    this.emit({ kind: "process-started", processId: child.processId, parentId: parent.processId });
  }

  execed(thread: Thread, target: Target): boolean {
    const { processId } = thread;
    const known = this.processes.get(processId);
    if (known === undefined && this.options.followForks !== true) return false;
    if (known !== undefined) for (const probe of this.registered) probe.armed.delete(known.target);
    try {
      requireSupportedImage(processId);
    } catch (error) {
      this.processes.delete(processId);
      this.warn(`process ${processId} is let go: ${(error as Error).message}`);
      return false;
    }
    const view = this.addProcess(processId, target);
    if (known === undefined) this.emit({ kind: "process-started", processId, parentId: 0 });
    this.emit({ kind: "exec", processId, path: view.modules.program?.path ?? "" });
    // An address means nothing in another image.
    for (const probe of this.registered) {
      if (probe.parsed.kind !== "address") continue;
      this.warn(`the probe at ${probe.where} ends here: process ${processId} runs another program`);
    }
    this.watch(view);
    this.placeAll(view);
    return true;
  }

  processEnded(processId: number, status: EndStatus): void {
    const exit: ExitStatus =
      status.kind === "exited"
        ? { kind: "exited", code: status.code }
        : { kind: "killed", signal: status.signal, signalName: signalName(status.signal) };
    const view = this.processes.get(processId);
    if (view === undefined) return;
    for (const probe of this.registered) probe.armed.delete(view.target);
    this.processes.delete(processId);
    if (processId === this.pid) this.status = exit;
    this.emit({ kind: "process-exited", processId, status: exit });
  }

  lettingGo(thread: Thread): void {
    this.pin?.restoreThread(thread.id);
  }

  warn(message: string): void {
    this.emit({ kind: "warning", message });
  }

  private emit(event: SessionEvent): void {
    this.callbacks.emit(event);
  }
}

/**
 * Parts of functions that the compiler split off are jumped to, not called: no place for a return
 * probe or jprobe of a glob.
 */
function suits(probe: BaseProbe, location: Location): boolean {
  const isGlob = probe.parsed.kind === "symbol" && probe.parsed.isGlob;
  return !(probe.kind !== "kprobe" && isGlob && location.symbol?.includes(".cold") === true);
}
