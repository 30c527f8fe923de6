/**
 * The session as its user holds it: the methods that make probes, on the one that a core has for
 * all of them. When the user drops it without having detached, and it is not running, the target
 * would stop at its next hit for ever: the handle's end detaches it.
 */

import type {
  Guest,
  JprobeHandler,
  JprobeHandlers,
  NativeJprobe,
  Probe,
  ProbeRequest,
  Session,
} from "./api.ts";
import type { Providers } from "./providers/providers.ts";

/** Methods of a session that are the handle's own. */
type ProbeMethod = "kprobe" | "kretprobe" | "jprobe" | "usdt" | "syscalls" | "watch" | "sample";

/** What a session is made of: it adds probes, and can tell whether somebody serves its hits. */
export interface SessionCore extends Omit<Session, ProbeMethod> {
  readonly isServing: boolean;
  add(request: ProbeRequest): Probe;
  readonly providers: Providers;
}

/** The same for a guest. */
export type GuestCore = SessionCore & Omit<Guest, ProbeMethod>;

/** Wrap a session so that it detaches when the wrapper is collected. */
export function createHandle(core: SessionCore): Session {
  const handle: Session = {
    get pid() {
      return core.pid;
    },
    get live() {
      return core.live;
    },
    get probes() {
      return core.probes;
    },
    kprobe: (where, handlers, options = {}) => core.add({ kprobe: where, handlers, options }),
    kretprobe: (where, handlers, options = {}) => core.add({ kretprobe: where, handlers, options }),
    jprobe: (where, handlers, options = {}) => {
      // What the handler's parameter says of the arguments is the user's own claim.
      const untyped = handlers as JprobeHandler | JprobeHandlers | NativeJprobe;
      return core.add({ jprobe: where, handlers: untyped, options });
    },
    usdt: (where, handler, options = {}) => core.add({ usdt: where, handlers: handler, options }),
    syscalls: (filter, handlers, options) => core.providers.syscalls(filter, handlers, options),
    watch: (address, sizeBytes, kind, handler, options) =>
      core.providers.watch(address, sizeBytes, kind, handler, options),
    sample: (hz, handler, options) => core.providers.sample(hz, handler, options),
    usdtSites: (pattern) => core.usdtSites(pattern),
    get jprobeReturn() {
      return core.jprobeReturn;
    },
    register: (requests) => core.register(requests),
    run: () => core.run(),
    detach: () => core.detach(),
    [Symbol.dispose]: () => core[Symbol.dispose](),
    modules: () => core.modules(),
    symbols: (pattern) => core.symbols(pattern),
    check: (where) => core.check(where),
    describe: (address) => core.describe(address),
  };
  const registry = new FinalizationRegistry<SessionCore>((dropped) => {
    if (!dropped.isServing) dropped.detach();
    held.delete(registry);
  });
  // A registry that is collected itself calls nobody.
  held.add(registry);
  registry.register(handle, core);
  return handle;
}

/** As createHandle(), with what only guests have. */
export function createGuestHandle(core: GuestCore): Guest {
  return Object.assign(createHandle(core), {
    guest: core.guest,
    prototype: (name: string) => core.prototype(name),
    declarations: (functions?: readonly string[]) => core.declarations(functions),
  });
}

const held: Set<FinalizationRegistry<SessionCore>> = new Set();
