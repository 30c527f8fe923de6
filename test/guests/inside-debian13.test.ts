/** What is read of the kernels of Debian 13: tasks, modules, stacks, and the room in their code. */

import { describeInside } from "./support/inside-check.ts";

describeInside({ what: "amd64, Debian 13", arch: "amd64", release: "trixie" });
describeInside({ what: "arm64, Debian 13", arch: "arm64", release: "trixie" });
