/**
 * A client that leaves its guest only as its process ends: by process.exit(), or because nothing is
 * left to do.
 */

import { startProbing } from "./probing-client.ts";

const { bench, hooks } = startProbing(process.argv[2] ?? "", 200n);
while (hooks.pres < 20) bench.engine.turn(100);
process.once("exit", () => {
  process.exitCode = bench.detach() ? 0 : 1;
});
if (process.argv[3] === "exit") process.exit();
