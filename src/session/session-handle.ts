/**
 * The session as its user holds it. When the user drops it without having detached, and it is not
 * running, the target would stop at its next hit for ever: the handle's end detaches it.
 */

import type { Session } from "./api.ts";

/** A session that can tell whether somebody serves its hits. */
export interface Holdable extends Session {
  readonly isServing: boolean;
}

/** Wrap a session so that it detaches when the wrapper is collected. */
export function createHandle(core: Holdable): Session {
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
    kprobe: (where, handlers, options) => core.kprobe(where, handlers, options),
    kretprobe: (where, handlers, options) => core.kretprobe(where, handlers, options),
    jprobe: (where, handlers, options) => core.jprobe(where, handlers, options),
    usdt: (where, handler, options) => core.usdt(where, handler, options),
    syscalls: (filter, handlers, options) => core.syscalls(filter, handlers, options),
    watch: (address, sizeBytes, kind, handler, options) =>
      core.watch(address, sizeBytes, kind, handler, options),
    sample: (hz, handler, options) => core.sample(hz, handler, options),
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
  const registry = new FinalizationRegistry<Holdable>((dropped) => {
    if (!dropped.isServing) dropped.detach();
    held.delete(registry);
  });
  // A registry that is collected itself calls nobody.
  held.add(registry);
  registry.register(handle, core);
  return handle;
}

const held: Set<FinalizationRegistry<Holdable>> = new Set();
