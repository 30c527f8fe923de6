/**
 * The engine over a machine behind a stub, with hooks that count: what tests with real stubs stand
 * on.
 */

import type { Strategy } from "../../../src/arch/arch.ts";
import { x86_64 } from "../../../src/arch/x86_64/x86_64.ts";
import type { Address } from "../../../src/base/address.ts";
import { Engine, type EngineHost } from "../../../src/engine/engine.ts";
import type { OpenCall, ReturnHooks } from "../../../src/engine/open-call.ts";
import type { Hooks, Site } from "../../../src/engine/site.ts";
import type { Target } from "../../../src/engine/target.ts";
import type { GdbMachine } from "../../../src/machine/gdb/machine.ts";
import { openGdbMachine, type StubOptions } from "../../../src/machine/gdb/open.ts";
import type { EndStatus, Thread } from "../../../src/machine/machine.ts";

/** Longest wait for one stop. */
const WAIT_MS = 100;

export class CountingHooks implements Hooks {
  enabled = true;
  wantsPost = false;
  wantsFault = false;
  pres = 0;
  posts = 0;
  misses = 0;
  onPre: (thread: Thread) => boolean | void = () => {};
  onPost: (thread: Thread) => void = () => {};

  pre(thread: Thread): boolean {
    this.pres++;
    return this.onPre(thread) === true;
  }

  post(thread: Thread): void {
    this.posts++;
    this.onPost(thread);
  }

  fault(): boolean {
    return false;
  }

  miss(): void {
    this.misses++;
  }
}

export class CountingReturns implements ReturnHooks {
  enabled = true;
  active = 0;
  readonly maxactive = 1000;
  entries = 0;
  returns = 0;
  misses = 0;
  abandoned = 0;
  onReturn: (thread: Thread, call: OpenCall) => void = () => {};

  entry(): boolean {
    this.entries++;
    return false;
  }

  leave(thread: Thread, call: OpenCall): void {
    this.returns++;
    this.onReturn(thread, call);
  }

  miss(): void {
    this.misses++;
  }

  abandon(): void {
    this.abandoned++;
  }
}

export class StubBench {
  readonly machine: GdbMachine;
  readonly engine: Engine;
  readonly target: Target;
  readonly warnings: string[] = [];
  ended: EndStatus | undefined;

  constructor(options: Omit<StubOptions, "archs">, force?: Strategy) {
    this.machine = openGdbMachine({ archs: [x86_64], ...options });
    const host: EngineHost = {
      followProcess: () => false,
      execed: () => false,
      processStarted: () => {},
      processEnded: (_processId, status) => {
        this.ended = status;
      },
      lettingGo: () => {},
      warn: (message) => void this.warnings.push(message),
    };
    this.engine = new Engine(this.machine, host, { force, nowMs: () => performance.now() });
    this.target = this.engine.target(this.machine.space);
  }

  probe(address: Address, hooks: CountingHooks = new CountingHooks()): CountingHooks {
    this.target.addHooks(this.target.site(address, undefined), hooks);
    return hooks;
  }

  siteAt(address: Address): Site {
    const site = this.target.sites.get(address);
    if (site === undefined) throw new Error(`no site at ${address.toString(16)}`);
    return site;
  }

  probeReturns(
    address: Address,
    returns: CountingReturns,
    mechanism: "site" | "trampoline",
  ): CountingHooks {
    const hooks = new CountingHooks();
    const site = this.target.site(address, undefined);
    hooks.onPre = (thread) => this.target.returns.open(thread, site, returns, mechanism);
    this.target.addHooks(site, hooks);
    this.target.returns.use(returns);
    return hooks;
  }

  /** Serve stops until that holds, or fail. */
  serveUntil(what: string, isDone: () => boolean, timeoutMs = 60_000): void {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isDone()) {
      this.engine.turn(WAIT_MS);
      if (performance.now() > deadlineMs) throw new Error(`gave up waiting for ${what}`);
    }
  }

  detach(): boolean {
    return this.engine.detach(2000);
  }
}
