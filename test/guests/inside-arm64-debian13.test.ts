/**
 * What is read of Debian 13's kernel for arm64: tasks, modules, stacks, and the room in its code.
 */

import { describeInside } from "./support/inside-check.ts";

describeInside({ what: "arm64, Debian 13", arch: "arm64", release: "trixie" });
