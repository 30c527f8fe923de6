/**
 * One round of one tool on bench/programs/hot.c: it attaches, the program makes its calls, and both
 * must agree on how many there were.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { Child, sleep } from "./child.ts";
import { CPU, type Peer, type Placement, type Target } from "./peers.ts";

const TIMEOUT_MS = 120_000;

/** Wait until there is an int3 at the address: every peer here ends up with one, uprobes too. */
async function waitUntilArmed(target: Target, tracer: Child): Promise<void> {
  const memory = openSync(`/proc/${target.pid}/mem`, "r");
  try {
    const byte = new Uint8Array(1);
    for (;;) {
      readSync(memory, byte, 0, 1, BigInt(target.address));
      if (byte[0] === 0xcc) return;
      if (tracer.over) await tracer.end({ allow: [] });
      if (tracer.over)
        throw new Error(
          `the tracer ended before it set its breakpoint: ${tracer.output.slice(-300)}`,
        );
      await sleep(5);
    }
  } finally {
    closeSync(memory);
  }
}

/** One round of one row: microseconds a hit, or an error that says what was wrong. */
export async function measure(peer: Peer, placement: Placement, hot: string): Promise<number> {
  const cpu = placement === "pinned" ? CPU : undefined;
  const warmup = peer.warmup;
  using program = new Child([hot, peer.targetFunction, String(warmup), String(peer.calls)], {
    cpu,
    timeoutMs: TIMEOUT_MS,
  });
  const ready = await program.match(
    /ready pid=(\d+) function=(\w+) first=(\d+) room=(\w+) baseline_ps=(\d+)\n/,
  );
  const target: Target = {
    pid: Number(ready[1]),
    address: ready[2] ?? "",
    firstSizeBytes: ready[3] ?? "",
    room: ready[4] ?? "",
    baselineUs: Number(ready[5]) / 1e6,
  };
  const command = peer.command(target, placement);
  // gdb has no option for it. The others pin the thread that traces themselves; for bpftrace it
  // makes no difference.
  const tracerCpu = command.words[0] === "gdb" ? cpu : undefined;
  using tracer = new Child(command.words, {
    env: command.env ?? {},
    cpu: tracerCpu,
    timeoutMs: TIMEOUT_MS,
  });
  await waitUntilArmed(target, tracer);
  program.write("\n");
  const done = await program.match(/done calls=(\d+) ns=(\d+) sum=\d+ check=ok\n/);
  await program.end({ allow: [] });
  if (peer.needsInterrupt) tracer.signal("SIGINT");
  const output = await tracer.end({ allow: [] });
  const counted = peer.parse(output, warmup + peer.calls);
  if (counted.hits !== warmup + peer.calls) {
    throw new Error(`counted ${counted.hits} hits of ${warmup + peer.calls} calls`);
  }
  if (!counted.readRight) throw new Error("read wrong arguments, or its own counters differ");
  return Number(done[2]) / 1000 / peer.calls - target.baselineUs;
}
