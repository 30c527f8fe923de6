/**
 * Trapline as bench/strategies.ts runs it: attaches to PID, probes WHERE in one way, serves it to
 * the target's end and prints `armed STRATEGY` and `hits=N`.
 *
 *   node --import tsx trapline-kind.ts PID WHERE pre|post|site|trampoline|call STRATEGY|auto
 */

import { attach, type SessionOptions, type Strategy } from "../../src/index.ts";

const [pid, where, way, strategy] = process.argv.slice(2) as [string, string, string, string];
const options: SessionOptions = {
  pin: true,
  ...(strategy === "auto" ? {} : { strategy: strategy as Strategy }),
  ...(way === "site" || way === "trampoline" ? { returnMechanism: way } : {}),
};
using session = attach(Number(pid), options);
let hits = 0;
const count = (): void => {
  hits++;
};

function probe(): void {
  switch (way) {
    case "pre":
      session.kprobe(where, { pre: count });
      break;
    case "post":
      session.kprobe(where, { pre: () => {}, post: count });
      break;
    case "call": {
      const callee = session.symbols("kinds:k_nop")[0]?.address ?? 0n;
      session.kprobe(where, {
        pre: (hit) => {
          count();
          hit.call(callee, 0n, 0n);
        },
      });
      break;
    }
    default:
      session.kretprobe(where, { handler: count });
  }
}

probe();
console.log(`armed ${session.probes[0]?.sites[0]?.strategy}`);
await session.run();
console.log(`hits=${hits}`);
