/** A client that probes a guest until it is killed. Says `hits` once hits come. */

import { writeSync } from "node:fs";
import { startProbing } from "./probing-client.ts";

const { bench, hooks } = startProbing(process.argv[2] ?? "", 2000n);
for (;;) {
  bench.engine.turn(100);
  if (hooks.pres === 20) writeSync(1, "hits\n");
}
