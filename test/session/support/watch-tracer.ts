/** Attaches to a process, watches data and code of it, and waits to be killed. */

import { attach } from "../../../src/index.ts";

const [pid, data, code] = process.argv.slice(2);
const session = attach(Number(pid));
let hits = 0;
session.watch(BigInt(data as string), 8, "w", () => {
  if (++hits === 20) process.stdout.write("hit\n");
});
session.watch(BigInt(code as string), 1, "x", () => {});
void session.run();
