/**
 * A program that attaches to a process and does not detach by itself: it ends, or loses its
 * session, in the way that its first argument says. Prints `hit` once hits have come.
 *
 *   tracer.ts drop|run|throw|exit|idle PID [trampoline]
 */

import { attach, type Session } from "../../../src/index.ts";

const HITS_FIRST = 20;

const [mode, pid, mechanism] = process.argv.slice(2);
const options = { returnMechanism: mechanism === "trampoline" ? mechanism : "site" } as const;

/** Attach and probe `work`; `after` is called once, when some hits have come. */
function open(after: (session: Session) => void): Session {
  const session = attach(Number(pid), options);
  let hits = 0;
  session.kprobe("work", {
    pre: () => {
      if (++hits === HITS_FIRST) after(session);
    },
    post: () => {},
  });
  session.kretprobe("work", { handler: () => {} });
  return session;
}

function tell(text: string): void {
  process.stdout.write(`${text}\n`);
}

switch (mode) {
  case "drop": {
    // Armed, never served, and forgotten: only the collector can see that.
    (() => {
      const dropped = attach(Number(pid), options);
      dropped.kprobe("work", {});
      dropped.kretprobe("work", { handler: () => {} });
    })();
    const collect = (globalThis as { gc?: () => void }).gc;
    if (collect === undefined) throw new Error("needs --expose-gc");
    tell("hit");
    setInterval(collect, 20);
    break;
  }
  case "run":
    // Until a signal ends us.
    void open(() => tell("hit")).run();
    break;
  case "throw":
    void open(() => {
      tell("hit");
      setImmediate(() => {
        throw new Error("uncaught");
      });
    }).run();
    break;
  case "exit":
    void open(() => {
      tell("hit");
      setImmediate(() => process.exit(3));
    }).run();
    break;
  case "idle": {
    // Held, not served: its threads wait at the breakpoints until we end.
    const held = open(() => {});
    tell("hit");
    setInterval(() => held.live, 1000);
    break;
  }
  default:
    throw new Error(`no mode ${mode}`);
}
