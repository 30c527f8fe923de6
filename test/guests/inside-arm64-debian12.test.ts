/**
 * What is read of Debian 12's kernel for arm64: tasks, modules, stacks, and the room in its code.
 */

import { describeInside } from "./support/inside-check.ts";

describeInside({ what: "arm64, Debian 12", arch: "arm64" });
