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
import { signalName } from "../signal-name.ts";
import { describeAddress } from "../target-view.ts";
import { listUsdt } from "../usdt-sites.ts";
import { UserCallbacks } from "../user-callbacks.ts";
import { type FoundGuest, findGuest } from "./find-guest.ts";
import type { FoundImage } from "./find-image.ts";
import { GuestChannel } from "./guest-channel.ts";
import { GuestView } from "./guest-view.ts";
import { ImageView } from "./image-view.ts";
import { ModuleWatch } from "./module-watch.ts";
import type { StubView } from "./stub-view.ts";

const DETACH_TIMEOUT_MS = 5000;

/**
 * Open a session on what is behind a GDB stub: a Linux kernel in QEMU, which is found in its
 * memory, or anything whose file is named (`kernel`): another kernel, a program without one, a
 * process. The target is stopped until run() is called, or the session detached.
 * @param address `unix:PATH`, `tcp:HOST:PORT`, `HOST:PORT`, or a serial device
 * @throws ToolError usage, gdb.*, kernel.*, file.*, elf.*, symbol.unknown
 */
export function connect(address: string, options: ConnectOptions = {}): Guest {
  return createGuestHandle(connectLive(address, options));
}

/** As connect(), for whoever serves the session's stops: see GuestSession.turn(). */
export function connectLive(address: string, options: ConnectOptions): GuestSession {
  const startMs = performance.now();
  const found = findGuest(address, {
    kernelTimeoutMs: options.kernelTimeoutMs ?? 0,
    kernel: options.kernel,
    slide: options.slide === undefined ? undefined : BigInt(options.slide),
  });
  return new GuestSession(address, found, options, () => performance.now() - startMs);
}

export class GuestSession implements GuestCore, EngineHost, ProbeSetHost, ProvidersHost {
  readonly pid = 0;
  readonly guest: GuestInfo;
  readonly emit: ((event: SessionEvent) => void) | undefined;
  private readonly address: string;
  private readonly found: FoundGuest | FoundImage;
  private readonly engine: Engine;
  private readonly view: StubView;
  private readonly probeSet: ProbeSet;
  readonly providers: Providers;
  private readonly callbacks: UserCallbacks;
  /** Of a Linux kernel that was found in memory. */
  private readonly moduleWatch: ModuleWatch | undefined;
  private readonly unguard: () => void;
  private status: ExitStatus | undefined;
  private isLive = true;
  /** Stops being handled, one in another. */
  private depth = 0;
  private detachWanted = false;
  private running: Promise<ExitStatus> | undefined;

  constructor(
    address: string,
    found: FoundGuest | FoundImage,
    options: ConnectOptions,
    elapsedMs: () => number,
  ) {
    this.address = address;
    this.found = found;
    this.callbacks = new UserCallbacks(options);
    this.emit = options.onEvent === undefined ? undefined : (event) => this.callbacks.emit(event);
    const { machine } = found;
    this.engine = new Engine(machine, this, {
      force: options.strategy,
      nowMs: () => performance.now(),
    });
    this.probeSet = new ProbeSet(this.engine, this, options.returnMechanism ?? "auto");
    this.providers = new Providers(this.engine, this, PROCESSOR_CLOCK);
    const target = this.engine.target(machine.space);
    const warn = (message: string): void => this.warn(message);
    if ("file" in found) {
      this.view = new ImageView(target, found, warn);
      if (found.doubt !== undefined) this.warn(found.doubt);
    } else {
      const view = new GuestView(machine, target, found, warn);
      machine.space.channel = new GuestChannel(found.ram, view);
      this.moduleWatch = this.watchModules(view);
      this.view = view;
    }
    this.unguard = guardExit(() => this.detachNow());
    this.guest = {
      arch: machine.arch.name,
      cpuCount: [...machine.threads].length,
      ...this.view.info,
      openedInMs: elapsedMs(),
    };
  }

  private watchModules(view: GuestView): ModuleWatch {
    return new ModuleWatch(view, (fresh, gone) => {
      for (const module of fresh) {
        this.emit?.({ kind: "module-loaded", processId: 0, module: module.info() });
      }
      for (const module of gone) this.forget(module.start, module.end);
      this.probeSet.placeAll(view);
    });
  }

  get live(): boolean {
    return this.isLive;
  }

  get isServing(): boolean {
    return this.running !== undefined;
  }

  /** What was found of the kernel: symbols, types, its memory. */
  get kernel(): GuestView["kernel"] {
    return this.linux.kernel;
  }

  /** @throws ToolError usage, where what is known comes out of a file */
  private get linux(): GuestView {
    if (this.view instanceof GuestView) return this.view;
    throw new ToolError("usage", "this takes a Linux kernel that is found in a guest's memory");
  }

  /** Whether the vCPU that stopped last was running user code. */
  get isInUserMode(): boolean {
    return this.linux.isInUserMode;
  }

  /** The task that a hit is of. */
  currentTask(hit: HitView): Task | undefined {
    return this.linux.currentTask(hit.stoppedThread);
  }

  /** Where its user code is, innermost first; empty for threads of the kernel. */
  userStack(hit: HitView, depthMax: number): readonly Address[] {
    return this.linux.readUserStack(hit.stoppedThread, depthMax);
  }

  get probes(): readonly Probe[] {
    return [...this.probeSet.registered, ...this.providers.registered];
  }

  get views(): Iterable<StubView> {
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
    if (request.options?.pending === true) this.moduleWatch?.start();
    else this.view.lookAtModules();
  }

  /** A module that a probe is in may be unloaded, and loaded again. */
  private watchModulesOf(probes: readonly BaseProbe[]): void {
    const { moduleWatch, view } = this;
    if (moduleWatch === undefined) return;
    const { modules, target } = view;
    const [kernel] = modules.all;
    const isInModule = (address: bigint): boolean => {
      const module = modules.find(address);
      return module !== undefined && module !== kernel;
    };
    if (!probes.some((probe) => [...(probe.armed.get(target)?.keys() ?? [])].some(isInModule))) {
      return;
    }
    try {
      moduleWatch.start();
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
      // It was shut down, and its emulator with it; or it was a process, and how that ended is
      // known.
      this.status ??= { kind: "exited", code: 0 };
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
    if ("file" in this.found) this.found.file[Symbol.dispose]();
    else this.found.ram[Symbol.dispose]();
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
    const { types, info } = this.used;
    if (types !== undefined)
      return writeKernelDeclarations(types, {
        origin: info.banner,
        functions: functions === undefined ? undefined : new Set(functions),
      });
    throw new ToolError(
      "type.unknown",
      "no types are known (CONFIG_DEBUG_INFO_BTF, or .BTF of a file)",
    );
  }

  private get used(): StubView {
    if (!this.isLive) throw this.gone();
    return this.view;
  }

  gone(): ToolError {
    return new ToolError("machine.gone", `the guest at ${this.address} is no longer probed`, {
      details: { status: this.status },
    });
  }

  describeThread(thread: Thread): HitThread {
    return this.view.describeThread(thread);
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
    this.status =
      status.kind === "exited"
        ? status
        : { kind: "killed", signal: status.signal, signalName: signalName(status.signal) };
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
