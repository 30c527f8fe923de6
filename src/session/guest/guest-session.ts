/**
 * Sessions on kernels behind a GDB stub: connect(), and the class behind the Guest interface. The
 * probes, hits and locations are those of any session; processes, signals and libraries are not
 * there.
 */

import type { Address } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { Engine, type EngineHost } from "../../engine/engine.ts";
import type { Task } from "../../guest/tasks.ts";
import type { EndStatus, Thread } from "../../machine/machine.ts";
import { printPrototype } from "../../symbols/c-prototype.ts";
import { writeKernelDeclarations } from "../../symbols/kernel-declarations.ts";
import type {
  CheckResult,
  ConnectOptions,
  ExitStatus,
  Guest,
  GuestInfo,
  HandlerError,
  HitThread,
  ModuleInfo,
  Probe,
  ProbeRequest,
  SessionEvent,
  SymbolInfo,
  Where,
} from "../api.ts";
import type { ParsedRequest } from "../create-probe.ts";
import { guardExit } from "../exit-guard.ts";
import type { HitView } from "../hit-view.ts";
import { checkWhere, listSymbols } from "../inspection.ts";
import type { Location } from "../locate.ts";
import type { BaseProbe } from "../probe.ts";
import { ProbeSet, type ProbeSetHost } from "../probe-set.ts";
import type { UsdtInfo } from "../provider-api.ts";
import { Providers, type ProvidersHost } from "../providers/providers.ts";
import { PROCESSOR_CLOCK } from "../providers/sample-probe.ts";
import { pump } from "../pump.ts";
import { createGuestHandle, type GuestCore } from "../session-handle.ts";
import { describeAddress } from "../target-view.ts";
import { listUsdt } from "../usdt-sites.ts";
import { UserCallbacks } from "../user-callbacks.ts";
import { type FoundGuest, findGuest } from "./find-guest.ts";
import { GuestChannel } from "./guest-channel.ts";
import { GuestView } from "./guest-view.ts";
import { ModuleWatch } from "./module-watch.ts";

const DETACH_TIMEOUT_MS = 5000;

/**
 * Open a session on a whole kernel behind a GDB stub, QEMU's for instance. The guest is stopped
 * until run() is called, or the session detached.
 * @param address `unix:PATH`, `tcp:HOST:PORT`, `HOST:PORT`, or a serial device
 * @throws ToolError usage, gdb.*, kernel.*
 */
export function connect(address: string, options: ConnectOptions = {}): Guest {
  return createGuestHandle(connectLive(address, options));
}

/** As connect(), for whoever serves the session's stops: see GuestSession.turn(). */
export function connectLive(address: string, options: ConnectOptions): GuestSession {
  const startMs = performance.now();
  const found = findGuest(address, { kernelTimeoutMs: options.kernelTimeoutMs ?? 0 });
  return new GuestSession(address, found, options, () => performance.now() - startMs);
}

export class GuestSession implements GuestCore, EngineHost, ProbeSetHost, ProvidersHost {
  readonly pid = 0;
  readonly guest: GuestInfo;
  readonly emit: ((event: SessionEvent) => void) | undefined;
  private readonly address: string;
  private readonly found: FoundGuest;
  private readonly engine: Engine;
  private readonly view: GuestView;
  private readonly probeSet: ProbeSet;
  readonly providers: Providers;
  private readonly callbacks: UserCallbacks;
  private readonly moduleWatch: ModuleWatch;
  private readonly unguard: () => void;
  private status: ExitStatus | undefined;
  private isLive = true;
  /** Stops being handled, one in another. */
  private depth = 0;
  private detachWanted = false;
  private running: Promise<ExitStatus> | undefined;

  constructor(
    address: string,
    found: FoundGuest,
    options: ConnectOptions,
    elapsedMs: () => number,
  ) {
    this.address = address;
    this.found = found;
    this.callbacks = new UserCallbacks(options);
    this.emit = options.onEvent === undefined ? undefined : (event) => this.callbacks.emit(event);
    const { machine, ram, kernel } = found;
    this.engine = new Engine(machine, this, {
      force: options.strategy,
      nowMs: () => performance.now(),
    });
    this.probeSet = new ProbeSet(this.engine, this, options.returnMechanism ?? "auto");
    this.providers = new Providers(this.engine, this, PROCESSOR_CLOCK);
    this.view = new GuestView(machine, this.engine.target(machine.space), found, (message) =>
      this.warn(message),
    );
    machine.space.channel = new GuestChannel(ram, this.view);
    this.moduleWatch = new ModuleWatch(this.view, (fresh, gone) => {
      for (const module of fresh) {
        this.emit?.({ kind: "module-loaded", processId: 0, module: module.info() });
      }
      for (const module of gone) this.forget(module.start, module.end);
      this.probeSet.placeAll(this.view);
    });
    this.unguard = guardExit(() => this.detachNow());
    this.guest = {
      arch: machine.arch.name,
      banner: kernel.banner,
      buildId: kernel.buildId,
      cpuCount: [...machine.threads].length,
      memory: ram.name,
      symbolCount: kernel.symbols.count,
      typeCount: kernel.types?.count ?? 0,
      codeStart: kernel.code.start,
      codeSizeBytes: kernel.code.sizeBytes,
      isKnown: found.isKnown,
      openedInMs: elapsedMs(),
    };
  }

  get live(): boolean {
    return this.isLive;
  }

  get isServing(): boolean {
    return this.running !== undefined;
  }

  /** What was found of the kernel: symbols, types, its memory. */
  get kernel(): GuestView["kernel"] {
    return this.view.kernel;
  }

  /** Whether the vCPU that stopped last was running user code. */
  get isInUserMode(): boolean {
    return this.view.isInUserMode;
  }

  /** The task that a hit is of. */
  currentTask(hit: HitView): Task | undefined {
    return this.view.currentTask(hit.stoppedThread);
  }

  /** Where its user code is, innermost first; empty for threads of the kernel. */
  userStack(hit: HitView, depthMax: number): readonly Address[] {
    return this.view.readUserStack(hit.stoppedThread, depthMax);
  }

  get probes(): readonly Probe[] {
    return [...this.probeSet.registered, ...this.providers.registered];
  }

  get views(): Iterable<GuestView> {
    return [this.view];
  }

  usdtSites(pattern?: string): readonly UsdtInfo[] {
    return listUsdt(this.used, pattern);
  }

  get jprobeReturn(): Address {
    throw noEntries();
  }

  register(requests: readonly ParsedRequest[]): readonly Probe[] {
    for (const request of requests) this.permit(request);
    const probes = this.probeSet.register(requests);
    this.watchModulesOf(probes);
    return probes;
  }

  add(request: ProbeRequest): Probe {
    this.permit(request);
    const probe = this.probeSet.add(request);
    this.watchModulesOf([probe]);
    return probe;
  }

  private permit(request: ProbeRequest): void {
    if (!this.isLive) throw this.gone();
    if ("jprobe" in request && "entry" in request.handlers) throw noEntries();
    if (request.options?.pending === true) this.moduleWatch.start();
    else this.view.lookAtModules();
  }

  /** A module that a probe is in may be unloaded, and loaded again. */
  private watchModulesOf(probes: readonly BaseProbe[]): void {
    const { modules, target } = this.view;
    const isInModule = (address: bigint): boolean => {
      const module = modules.find(address);
      return module !== undefined && module !== modules.kernel;
    };
    if (!probes.some((probe) => [...(probe.armed.get(target)?.keys() ?? [])].some(isInModule))) {
      return;
    }
    try {
      this.moduleWatch.start();
    } catch (error) {
      this.warn(`it is not known when modules are unloaded: ${(error as Error).message}`);
    }
  }

  run(): Promise<ExitStatus> {
    this.running ??= this.serve();
    return this.running;
  }

  private async serve(): Promise<ExitStatus> {
    const session = this;
    try {
      await pump({
        turn: (timeoutMs) => session.turn(timeoutMs),
        get done() {
          return !session.isLive;
        },
        rest: undefined,
      });
    } catch (error) {
      this.detach();
      throw error;
    }
    return this.status ?? { kind: "detached" };
  }

  /** A guest is stopped from connect() to the first turn. */
  start(): void {}

  /** Serve one stop; false when none came in time. run() does this until the end. */
  turn(timeoutMs: number): boolean {
    if (!this.isLive) return false;
    this.depth++;
    let served: boolean;
    try {
      served = this.engine.turn(this.providers.tick(timeoutMs));
    } catch (error) {
      if (!(error instanceof ToolError) || error.code !== "machine.gone") throw error;
      // It was shut down, and its emulator with it.
      this.status = { kind: "exited", code: 0 };
      this.isLive = false;
      this.close();
      return false;
    } finally {
      this.depth--;
    }
    if (this.detachWanted && this.depth === 0) this.detach();
    return served;
  }

  detach(): void {
    // While a handler runs, its hit is brought to its end first.
    if (this.depth > 0) this.detachWanted = true;
    else this.detachNow();
  }

  private detachNow(): void {
    if (!this.isLive) return;
    this.isLive = false;
    this.status ??= { kind: "detached" };
    this.probeSet.end();
    this.providers.end();
    try {
      if (this.found.machine.live) this.engine.detach(DETACH_TIMEOUT_MS);
    } finally {
      this.close();
    }
  }

  private close(): void {
    this.unguard();
    this.probeSet.end();
    this.providers.end();
    this.found.machine.close();
    this.found.ram[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  modules(): readonly ModuleInfo[] {
    this.used.lookAtModules();
    return this.view.modules.all.map((module) => module.info());
  }

  symbols(pattern: string): readonly SymbolInfo[] {
    this.used.lookAtModules();
    return listSymbols(this.view, pattern);
  }

  check(where: Where): readonly CheckResult[] {
    this.used.lookAtModules();
    return checkWhere(this.view, where, this.probeSet.returnMechanism);
  }

  describe(address: bigint): string {
    return describeAddress(this.used, address);
  }

  prototype(name: string): string | undefined {
    const found = this.used.findPrototype(name);
    return found === undefined ? undefined : printPrototype(found);
  }

  declarations(functions?: readonly string[]): string {
    const { types, banner } = this.used.kernel;
    if (types !== undefined)
      return writeKernelDeclarations(types, {
        origin: banner,
        functions: functions === undefined ? undefined : new Set(functions),
      });
    throw new ToolError("type.unknown", "the kernel holds no types (CONFIG_DEBUG_INFO_BTF)");
  }

  private get used(): GuestView {
    if (!this.isLive) throw this.gone();
    return this.view;
  }

  gone(): ToolError {
    return new ToolError("machine.gone", `the guest at ${this.address} is no longer probed`, {
      details: { status: this.status },
    });
  }

  describeThread(thread: Thread): HitThread {
    const task = this.view.currentTask(thread);
    // vCPUs are numbered from 1 by stubs, and from 0 by kernels.
    const cpu = task?.cpu ?? thread.id - 1;
    return {
      id: task?.threadId ?? 0,
      processId: task?.processId ?? 0,
      name: task?.name ?? "",
      cpu,
    };
  }

  /** A module was unloaded: what we knew of its text is void. */
  private forget(start: Address, end: Address): void {
    for (const probe of this.probeSet.registered) {
      const sites = probe.armed.get(this.view.target);
      for (const address of [...(sites?.keys() ?? [])]) {
        if (address >= start && address < end) sites?.delete(address);
      }
    }
    this.view.target.forget(start, end);
  }

  placedReturn(): void {}

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
    return false;
  }

  execed(): boolean {
    return false;
  }

  processStarted(): void {}

  processEnded(_processId: number, status: EndStatus): void {
    this.status = status.kind === "exited" ? status : { kind: "exited", code: 0 };
  }

  lettingGo(): void {}

  warn(message: string): void {
    this.emit?.({ kind: "warning", message });
  }
}

function noEntries(): ToolError {
  return new ToolError("usage", "a jprobe in a kernel cannot have a native entry", {
    hint: "give a handler: (args, hit) => { ... }",
  });
}
