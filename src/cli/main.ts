#!/usr/bin/env node
/** The command `trapline`, module by module. The bundle that is installed: scripts/bundle.mjs. */

import { runMain } from "./command.ts";

process.exitCode = await runMain(process.argv.slice(2));
