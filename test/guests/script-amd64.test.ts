/** Scripts on an unmodified kernel of amd64: functions, types, tasks, stacks, sampling. */

import { describeScripts } from "./support/script-check.ts";

describeScripts("amd64");
