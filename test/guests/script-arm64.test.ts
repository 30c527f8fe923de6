/** Scripts on an unmodified kernel of arm64: functions, types, tasks, stacks, sampling. */

import { describeScripts } from "./support/script-check.ts";

describeScripts("arm64");
