/**
 * A tracer of steadfast.c that dies at a given call into the C library: `PID SCENARIO CALL SIGNAL`.
 * Calls count from the moment that the scenario is about, and only those that change something: the
 * target, what the kernel has of it, the guardian's list. It is killed before the one with that
 * number. A SIGNAL that is not 0 is sent to the target right before, as nothing else is as likely
 * to find a thread in a place that it should not be in.
 *
 * Prints the names of the calls, as JSON, when it gets to its end.
 */

import koffi from "koffi";
import * as constants from "../../src/machine/ptrace/constants.ts";
import {
  PTRACE_GETEVENTMSG,
  PTRACE_GETREGS,
  PTRACE_GETREGSET,
  PTRACE_GETSIGINFO,
  PTRACE_GETSIGMASK,
} from "../../src/machine/ptrace/constants.ts";

const READING: ReadonlySet<unknown> = new Set([
  PTRACE_GETEVENTMSG,
  PTRACE_GETREGS,
  PTRACE_GETREGSET,
  PTRACE_GETSIGINFO,
  PTRACE_GETSIGMASK,
]);
const CHANGING: ReadonlySet<string> = new Set([
  ...["ptrace", "waitpid", "waitid", "pwrite64", "process_vm_writev", "tgkill"],
  ...["memcpy", "clone"],
]);
/** The hit at which a scenario begins. */
const HIT = 5;

const [pid, callAt, signal] = [2, 4, 5].map((index) => Number(process.argv[index])) as [
  number,
  number,
  number,
];
const scenario = process.argv[3];
let isCounting = false;
/** What each counted call is: a function, or the request that is made by ptrace. */
const calls: string[] = [];
const REQUESTS: ReadonlyMap<unknown, string> = new Map(
  Object.entries(constants)
    .filter(([name]) => /^PTRACE_(?!EVENT_|O_)/.test(name))
    .map(([name, value]) => [value, name]),
);

function begin(): void {
  isCounting = true;
}

type Mortal = (...args: unknown[]) => unknown;

/** A function of the C library that we may not live to call. */
function mortal(name: string, call: Mortal): Mortal {
  return (...args) => {
    const isRead = name === "ptrace" && READING.has(args[0]);
    if (isCounting && !isRead) calls.push(REQUESTS.get(name === "ptrace" && args[0]) ?? name);
    if (isCounting && !isRead && calls.length === callAt) {
      isCounting = false;
      if (signal !== 0) process.kill(pid, signal);
      process.kill(process.pid, "SIGKILL");
    }
    return call(...args);
  };
}

const load = koffi.load;
koffi.load = (...args) => {
  const library = load(...args);
  const make = library.func.bind(library) as (definition: string) => Mortal;
  const func = (definition: string): Mortal => {
    const name = /(\w+)\(/.exec(definition)?.[1] ?? "";
    const call = make(definition);
    return CHANGING.has(name) ? mortal(name, call) : call;
  };
  return { func } as unknown as typeof library;
};

// Only now, as it loads the C library.
const { attach } = await import("../../src/index.ts");

if (scenario === "attach") begin();
const session = attach(pid, {
  ...(scenario === "step" || scenario === "room" ? { strategy: "step" } : {}),
  ...(scenario === "return" ? { returnMechanism: "trampoline" } : {}),
});
let hits = 0;
const atHit = (then: () => void) => () => {
  if (++hits === HIT) then();
};
const beginDetach = (): void => {
  begin();
  session.detach();
};
switch (scenario) {
  case "attach": // attaching, to the first hits
    session.kprobe("work", { pre: atHit(() => session.detach()) });
    break;
  case "step": // a detach that finds a thread behind a single step
    session.kprobe("work", { pre: atHit(beginDetach) });
    break;
  case "post": // one that finds it behind a copy with a trap
    session.kprobe("leaf", { post: atHit(beginDetach) });
    break;
  case "return": // one with the return address of a call replaced
    session.kretprobe("work", { entry: atHit(beginDetach), handler: () => {} });
    break;
  case "room": // a thread behind a single step is borrowed to map memory
    session.kprobe("work", {
      post: atHit(() => {
        begin();
        session.kprobe("libc:getppid", { pre() {} });
        session.detach();
      }),
    });
    break;
  case "call": {
    // a handler calls a function of the target
    const leaf = session.symbols("steadfast:leaf")[0]?.address ?? 0n;
    session.kprobe("work", {
      pre(hit) {
        if (++hits !== HIT) return;
        begin();
        hit.call(leaf, 3);
        session.detach();
      },
    });
    break;
  }
  case "fork": {
    // a detach that finds a thread in the fork that it steps
    const size = session.symbols("steadfast:birth")[0]?.sizeBytes ?? 0;
    for (let offset = 0; offset < size; offset++) {
      const [found] = session.check(`birth+${offset}`);
      if (found?.instruction !== "syscall") continue;
      session.kprobe(`birth+${offset}`, { pre: atHit(beginDetach) });
    }
    process.kill(pid, "SIGUSR2");
    break;
  }
  default:
    throw new Error(`no scenario ${scenario}`);
}
await session.run();
isCounting = false;
console.log(JSON.stringify(calls));
