/** What is read of the kernels of Debian 12: tasks, modules, stacks, and the room in their code. */

import { describeInside } from "./support/inside-check.ts";

describeInside({ what: "amd64, Debian 12", arch: "amd64", append: "pti=on" });
describeInside({ what: "arm64, Debian 12", arch: "arm64" });
