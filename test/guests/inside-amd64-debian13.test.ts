/**
 * What is read of Debian 13's kernel for amd64: tasks, modules, stacks, and the room in its code.
 */

import { describeInside } from "./support/inside-check.ts";

describeInside({ what: "amd64, Debian 13", arch: "amd64", release: "trixie" });
