/** Sessions on unmodified kernels of arm64: see session-check.ts. */

import { describeSession } from "./support/session-check.ts";

describeSession({ arch: "arm64", cpuCount: 2, interrupt: ["pl011_int", "uart-pl011"] });
