/** Sessions on unmodified kernels of amd64: see session-check.ts. */

import { describeSession } from "./support/session-check.ts";

describeSession({ arch: "amd64", cpuCount: 2, interrupt: ["serial8250_interrupt", "ttyS0"] });
