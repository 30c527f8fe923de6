/** Sessions under load on four vCPUs of amd64: see load-check.ts. */

import { describeLoad } from "./support/load-check.ts";

describeLoad({
  arch: "amd64",
  cpuCount: 4,
  interrupt: ["serial8250_interrupt", "ttyS0", "ttyS0"],
  ownOffset: 0,
});
