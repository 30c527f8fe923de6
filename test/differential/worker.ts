/**
 * One process of the suite: it is sent its tasks, runs them on a processor of its own, and sends
 * back what they came to.
 */

import { addResult, emptySummary } from "./report.ts";
import { runTasks, type SuiteOptions, type Task } from "./suite.ts";

/** What a worker is sent. */
export interface Assignment {
  readonly tasks: readonly Task[];
  readonly options: SuiteOptions;
}

process.once("message", (message: unknown) => {
  const { tasks, options } = message as Assignment;
  const summary = emptySummary();
  runTasks(tasks, options, (task, result) => addResult(summary, task, result));
  process.send?.(summary, () => process.disconnect());
});
