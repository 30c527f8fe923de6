/** Attaches to a process, has all of its system calls reported, and waits to be killed. */

import { attach } from "../../../src/index.ts";

const session = attach(Number(process.argv[2]));
let calls = 0;
session.syscalls("*", {
  enter: () => {
    if (++calls === 40) process.stdout.write("hit\n");
  },
  exit: () => {},
});
void session.run();
