/**
 * The differential suite: shows by experiment that a program cannot tell that it is probed, on any
 * instruction that there is.
 *
 *   npm run test:differential                              all forms; exit code 1 for any difference
 *   npm run test:differential -- --forms 5000              fewer of them
 *   npm run test:differential -- --bytes "48 89 c8"        one form, from several states
 *   npm run test:differential -- --bytes "..." --state N   one form, from the state of a report
 *
 * TRAPLINE_DIFFERENTIAL_SEED repeats a run; the seed is printed first.
 */

import { fork } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "../support/programs.ts";
import { parseBytes } from "../support/x86-vectors.ts";
import { type Form, FormSet } from "./forms.ts";
import { generate } from "./generate.ts";
import { findBinaries, harvest } from "./harvest.ts";
import { Random } from "./random.ts";
import { formatRejected, tryRejected } from "./rejected.ts";
import { addResult, emptySummary, formatSummary, judge, merge, type Summary } from "./report.ts";
import { allowedCpus } from "./scratch.ts";
import { makeTasks, runTasks, type SuiteOptions, type Task } from "./suite.ts";
import type { Assignment } from "./worker.ts";

const FORMS_DEFAULT = 120_000;
/** Of the forms at most this part is harvested; the rest is generated. */
const HARVESTED_PART = 0.65;
const GENERATED = { oneIn: 1, rejectedOneIn: 40 };
const HARVEST_BYTES_PER_FILE = 8 << 20;
const STATES_PER_FORM = 20;
/** More than this of all forms refused is a failure. */
const REFUSED_PART_MAX = 0.005;
const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url));

const { values } = parseArgs({
  options: {
    bytes: { type: "string" },
    state: { type: "string" },
    forms: { type: "string", default: String(FORMS_DEFAULT) },
    jobs: { type: "string", default: String(Math.min(2, cpus().length)) },
  },
});
const seed = Number(process.env["TRAPLINE_DIFFERENTIAL_SEED"] ?? Date.now() % 1_000_000);
const program = build("../differential/programs/scratch.c");
console.log(`seed ${seed}`);
const startMs = performance.now();
const summary = values.bytes === undefined ? await runAll() : runOne(values.bytes);
console.log(formatSummary(summary));
const problems = judge(summary, values.bytes === undefined ? REFUSED_PART_MAX : 1);
const seconds = Math.round((performance.now() - startMs) / 1000);
console.log(`\n${problems.length === 0 ? "no difference" : problems.join(", ")}; ${seconds} s`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** One form, from the state given or from several. */
function runOne(text: string): Summary {
  const form: Form = { bytes: parseBytes(text), source: "the command line" };
  const one = values.state === undefined ? undefined : Number(values.state);
  const forms = Array.from({ length: one === undefined ? STATES_PER_FORM : 1 }, () => form);
  const tasks = makeTasks(forms, seed).map((task) => ({ form, state: one ?? task.state }));
  const result = emptySummary();
  const [cpu = 0] = allowedCpus();
  runTasks(tasks, { program, cpu, seed }, (task, of) => addResult(result, task, of));
  return result;
}

async function runAll(): Promise<Summary> {
  const random = new Random(seed);
  const { forms, candidates } = findForms(Number(values.forms), random);
  const cpuList = allowedCpus();
  const jobCount = Number(values.jobs);
  const tasks = random.shuffle(makeTasks(forms, seed));
  const parts = Array.from({ length: jobCount }, (_, job) =>
    tasks.filter((_, index) => index % jobCount === job),
  );
  const summaries = await Promise.all(
    parts.map((part, job) =>
      runPart(part, { program, cpu: cpuList[job % cpuList.length] ?? 0, seed }),
    ),
  );
  const all = emptySummary();
  for (const one of summaries) merge(all, one);
  const [cpu = 0] = cpuList;
  console.log(formatRejected(tryRejected(candidates, { program, cpu, seed })));
  return all;
}

/** Harvest and generate, and print what each file gave. */
function findForms(
  limit: number,
  random: Random,
): { readonly forms: Form[]; readonly candidates: readonly Uint8Array[] } {
  const harvested = new FormSet();
  console.log("harvested: instructions, forms that are new, file");
  for (const path of findBinaries()) {
    const found = harvest(path, harvested, HARVEST_BYTES_PER_FILE);
    if (found === undefined) continue;
    const { instructionCount, formCount } = found;
    console.log(
      `${String(instructionCount).padStart(9)} ${String(formCount).padStart(6)}  ${path}`,
    );
  }
  const generated = new FormSet();
  const candidates = generate(generated, harvested, random, GENERATED);
  console.log(`${harvested.size} forms harvested, ${generated.size} more generated`);
  const some = harvested.choose(Math.floor(limit * HARVESTED_PART), random);
  return { forms: [...some, ...generated.choose(limit - some.length, random)], candidates };
}

function runPart(tasks: readonly Task[], options: SuiteOptions): Promise<Summary> {
  return new Promise((resolve, reject) => {
    const child = fork(WORKER, { execArgv: ["--import", "tsx"], serialization: "advanced" });
    let result: Summary | undefined;
    child.once("message", (message) => {
      result = message as Summary;
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (result !== undefined) resolve(result);
      else reject(new Error(`a worker ended with ${code} and no result`));
    });
    const assignment: Assignment = { tasks, options };
    child.send(assignment);
  });
}
