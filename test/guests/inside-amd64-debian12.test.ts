/**
 * What is read of Debian 12's kernel for amd64: tasks, modules, stacks, and the room in its code.
 */

import { describeInside } from "./support/inside-check.ts";

describeInside({ what: "amd64, Debian 12", arch: "amd64", append: "pti=on" });
