/**
 * Runs a list of forms in scratch processes, one after the other: each process serves a number of
 * forms, so that what ends or stalls one costs little, and room for slots does not run out.
 */

import type { Form } from "./forms.ts";
import { Random } from "./random.ts";
import { type FormResult, Runner } from "./run.ts";
import { Scratch } from "./scratch.ts";

const FORMS_PER_PROCESS = 1500;

/** A form with the number that its state is made from. */
export interface Task {
  readonly form: Form;
  readonly state: number;
}

export interface SuiteOptions {
  /** The compiled programs/scratch.c. */
  readonly program: string;
  /** The processor to run on. */
  readonly cpu: number;
  readonly seed: number;
}

/** Run the tasks, telling of each. */
export function runTasks(
  tasks: readonly Task[],
  options: SuiteOptions,
  tell: (task: Task, result: FormResult) => void,
): void {
  let next = 0;
  while (next < tasks.length) {
    using scratch = new Scratch(options.program, options.cpu, new Random(options.seed));
    const runner = new Runner(scratch);
    const end = Math.min(tasks.length, next + FORMS_PER_PROCESS);
    while (next < end && scratch.isUsable) {
      const task = tasks[next++] as Task;
      tell(task, runner.run(task.form, new Random(task.state)));
    }
  }
}

/** Number the forms, from a seed. */
export function makeTasks(forms: readonly Form[], seed: number): Task[] {
  return forms.map((form, index) => ({ form, state: (Math.imul(seed, 0x10001) + index) >>> 0 }));
}
