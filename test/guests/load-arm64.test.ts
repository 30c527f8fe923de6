/** Sessions under load on one vCPU of arm64: see load-check.ts. */

import { describeLoad } from "./support/load-check.ts";

describeLoad({
  arch: "arm64",
  cpuCount: 1,
  interrupt: ["pl011_int", "uart-pl011", "ttyAMA0"],
  ownOffset: 8,
});
