/**
 * A run of a script from its text to its exit code: read, check, open the targets, put the probes
 * on, run, end. What is wrong with the program is told before a target is touched.
 */

import { ToolError } from "../../base/errors.ts";
import { type OutputStream, ScriptWriter } from "../../report/script-writer.ts";
import { Diagnostics, formatDiagnostic } from "../../script/diagnostics.ts";
import type { Executable, ExecutableProbe } from "../../script/interpret/compile.ts";
import type { AttachPoint, ProbeDefinition, Program } from "../../script/syntax/tree.ts";
import type { SessionEvent } from "../api.ts";
import { AttachedProgram } from "./attach-program.ts";
import { toByteText } from "./byte-text.ts";
import { ByteWriter } from "./byte-writer.ts";
import { dumpProgram } from "./dump.ts";
import { listPattern, listProgram } from "./list-probes.ts";
import { type CheckedProgram, checkAndLower, compile, readProgram } from "./program.ts";
import { ScriptRun } from "./script-run.ts";
import { serve } from "./serve.ts";
import type { ScriptOutcome, ScriptSettings } from "./settings.ts";
import type { StopSignals } from "./stop-signals.ts";
import { Targets } from "./targets.ts";
import { hasOwnTypes, ScriptWorld } from "./type-world.ts";

/** Exit codes of bpftrace. */
const Code = { Ok: 0, Wrong: 1, NotAttached: 255 } as const;
/** Refused locations of a wildcard that are told without -v. */
const REFUSED_SHOWN = 3;

export class ScriptRunner {
  readonly #settings: ScriptSettings;
  readonly #signals: StopSignals;
  readonly #out: ByteWriter;
  readonly #errors: ByteWriter;
  readonly #writer: ScriptWriter;
  readonly #run: ScriptRun;
  readonly #targets: Targets;
  #attached: AttachedProgram | undefined;
  #refusedCount = 0;
  #failure: unknown;

  constructor(settings: ScriptSettings, signals: StopSignals) {
    this.#settings = settings;
    this.#signals = signals;
    this.#out = new ByteWriter(settings.fd, settings.buffering, toTaker(settings, "out"));
    this.#errors = new ByteWriter(2, "line", toTaker(settings, "err"));
    this.#writer = new ScriptWriter({
      dialect: settings.dialect,
      format: settings.format,
      isQuiet: settings.isQuiet,
      utcOffsetSeconds: (wallNs) => -60 * new Date(Number(wallNs / 1_000_000n)).getTimezoneOffset(),
      emit: (stream, text) => this.#put(stream, text),
    });
    this.#run = new ScriptRun(
      (event) => this.#writer.write(event),
      () => this.#flush(),
    );
    this.#targets = new Targets(settings, (event) => this.#onEvent(event));
  }

  async run(): Promise<ScriptOutcome> {
    try {
      const exitCode = await this.#runProgram();
      if (this.#failure !== undefined) throw this.#failure;
      return { exitCode, isOutputClosed: this.#out.isClosed };
    } finally {
      this.#targets.close(true);
      this.#attached?.[Symbol.dispose]();
      this.#flush();
    }
  }

  /** Something of ours went wrong between stops: the run ends with that. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#run.exit(Code.Wrong);
  }

  async #runProgram(): Promise<number> {
    if (this.#settings.listPattern !== undefined) return this.#list(this.#settings.listPattern);
    const diagnostics = new Diagnostics();
    const program = await this.#read(diagnostics);
    if (program === undefined) return this.#wrong(diagnostics);
    const world = this.#makeWorld();
    if (needsAddresses(this.#settings.text)) await this.#targets.open();
    const checked = checkAndLower(program, this.#settings, world, diagnostics);
    const dump = dumpProgram(this.#settings.dumpStages, program, checked, (one) =>
      compile(one, this.#run, this.#settings),
    );
    if (dump !== "") this.#put("out", toByteText(dump));
    if (checked === undefined) return this.#wrong(diagnostics);
    if (this.#settings.dumpStages.length > 0) return this.#told(diagnostics, Code.Ok);
    if (this.#settings.isListing) {
      await this.#targets.open();
      this.#put(
        "out",
        toByteText(listProgram(program, this.#targets, world, this.#settings.isVerbose)),
      );
      return this.#told(diagnostics, Code.Ok);
    }
    this.#told(diagnostics, Code.Ok);
    const executable = compile(checked, this.#run, this.#settings);
    if (this.#settings.isTest || this.#settings.isBench)
      return this.#runTests(executable, checked, world);
    return await this.#attachAndServe(program, checked, executable, world);
  }

  async #list(pattern: string): Promise<number> {
    await this.#targets.open();
    const world = this.#makeWorld();
    const listed = listPattern(pattern, this.#settings, this.#targets, world);
    if ("wrong" in listed) {
      this.#put("err", toByteText(listed.wrong));
      return Code.Wrong;
    }
    this.#put("out", toByteText(listed.text));
    return Code.Ok;
  }

  #makeWorld(): ScriptWorld {
    const { guest, tracepoints } = this.#targets;
    return new ScriptWorld(guest, tracepoints, (name, file) =>
      this.#targets.findAddress(name, file),
    );
  }

  /** A guest has to be there first: its types decide what the head of a script means. */
  async #read(diagnostics: Diagnostics): Promise<Program | undefined> {
    const isGuest = this.#settings.targets.some((target) => target.kind === "gdb");
    if (isGuest) await this.#targets.open();
    const hasTypes = isGuest ? this.#targets.guest?.kernel.types !== undefined : hasOwnTypes();
    this.#run.archName = this.#targets.guest?.guest.arch ?? "x86_64";
    return readProgram(this.#settings, hasTypes, diagnostics);
  }

  async #attachAndServe(
    program: Program,
    checked: CheckedProgram,
    executable: Executable,
    world: ScriptWorld,
  ): Promise<number> {
    const settings = this.#settings;
    this.#targets.startsAtExec = !program.probes.some(needsLibraries);
    try {
      await this.#targets.open();
    } catch (error) {
      if (error instanceof ToolError && error.code === "launch.failed") {
        this.#put("err", toByteText(formatError(error)));
        return Code.NotAttached;
      }
      throw error;
    }
    const diagnostics = new Diagnostics();
    const attached = new AttachedProgram({
      executable,
      world,
      config: checked.config,
      targets: this.#targets,
      run: this.#run,
      diagnostics,
    });
    this.#attached = attached;
    attached.attach();
    if (diagnostics.hasErrors) {
      return this.#told(diagnostics, Code.NotAttached);
    }
    this.#told(diagnostics, Code.Ok);
    if (attached.pointCount === 0) {
      this.#put("err", "ERROR: No probes to attach\n");
      return Code.Wrong;
    }
    if (attached.pointCount > checked.config.probesMax) {
      const { probesMax } = checked.config;
      const count = attached.pointCount;
      this.#put(
        "err",
        `ERROR: Can't attach to ${count} probes because it exceeds the current limit of ${probesMax} probes.\n` +
          "HINT: raise it with config = { max_probes = N }, or BPFTRACE_MAX_PROBES\n",
      );
      return Code.Wrong;
    }
    this.#writer.attached(attached.pointCount);
    if (settings.isDryRun) {
      return Code.Ok;
    }
    this.#signals.listen(attached.signals);
    attached.begin();
    this.#flush();
    if (!this.#run.isOver && this.#hasMoreToDo(program)) await this.#serve(attached);
    return this.#end(executable, attached);
  }

  /** Since 0.24 a program that has only a begin and an end is over when it has begun. */
  #hasMoreToDo(program: Program): boolean {
    if (this.#settings.dialect !== "head" || this.#settings.targets.length > 0) return true;
    return program.probes.some((probe) => probe.points.some((point) => !isOwnEvent(point)));
  }

  async #serve(attached: AttachedProgram): Promise<void> {
    const { sessions } = this.#targets;
    this.#targets.start();
    await serve({
      sessions,
      timers: attached.timers,
      nowNs: () => process.hrtime.bigint(),
      isOver: () => this.#isOver(),
      attend: (isIdle) => this.#attend(attached, isIdle),
    });
  }

  #isOver(): boolean {
    return (
      this.#run.isOver ||
      this.#out.isClosed ||
      this.#signals.raisedCount > 0 ||
      this.#attached?.isCommandOver === true
    );
  }

  #attend(attached: AttachedProgram, isIdle: boolean): void {
    attached.serveSignals(this.#signals);
    if (isIdle || this.#settings.buffering === "line") {
      this.#out.idle();
      this.#errors.idle();
    }
  }

  #end(executable: Executable, attached: AttachedProgram): number {
    const isHurried = this.#signals.raisedCount > 1;
    // A kernel is read by end probes; a process is let go first, as what follows may take its time.
    if (this.#targets.guest === undefined) this.#targets.close(true);
    if (!isHurried && !this.#out.isClosed) {
      attached.end();
      this.#writer.startFinalMaps();
      executable.finish();
    }
    this.#flush();
    if (this.#settings.isVerbose && executable.loopsEnded > 0)
      this.#put("err", `WARNING: ${executable.loopsEnded} loops were ended for their length\n`);
    return this.#run.exitCode ?? Code.Ok;
  }

  /** `--test`: every test probe once; a return value other than 0 is a failure. */
  #runTests(executable: Executable, { config }: CheckedProgram, world: ScriptWorld): number {
    const provider = this.#settings.isTest ? "test" : "bench";
    const diagnostics = new Diagnostics();
    const targets = this.#targets;
    const attached = new AttachedProgram({
      executable,
      world,
      config,
      targets,
      run: this.#run,
      diagnostics,
    });
    this.#attached = attached;
    let failed = 0;
    let count = 0;
    for (const probe of executable.probes) {
      for (const point of probe.points) {
        if (point.provider !== provider) continue;
        count++;
        const result = probe.fire(attached.ownFiring(point)) ?? 0;
        this.#flush();
        if (result !== 0) failed++;
        this.#put("err", `${result === 0 ? "ok  " : "FAIL"} ${nameOf(probe, point)}\n`);
      }
    }
    this.#put("err", `${count - failed} passed, ${failed} failed\n`);
    if (count === 0) this.#put("err", `ERROR: no ${provider} probes\n`);
    return failed > 0 || count === 0 ? Code.Wrong : (this.#run.exitCode ?? Code.Ok);
  }

  #onEvent(event: SessionEvent): void {
    this.#attached?.onEvent(event);
    const { isVerbose, hasWarnings } = this.#settings;
    if (event.kind === "probe-refused" && hasWarnings) {
      this.#refusedCount++;
      if (isVerbose || this.#refusedCount <= REFUSED_SHOWN)
        this.#put("err", toByteText(`WARNING: ${event.error.message}\n`));
    }
    if (event.kind === "warning" && isVerbose)
      this.#put("err", toByteText(`WARNING: ${event.message}\n`));
  }

  #wrong(diagnostics: Diagnostics): number {
    return this.#told(diagnostics, Code.Wrong);
  }

  #told(diagnostics: Diagnostics, code: number): number {
    for (const diagnostic of diagnostics.all) {
      if (diagnostic.severity === "warning" && !this.#settings.hasWarnings) continue;
      this.#put("err", toByteText(formatDiagnostic(diagnostic)));
    }
    return code;
  }

  #put(stream: OutputStream, text: string): void {
    if (stream === "out") this.#out.write(text);
    else {
      // In the order in which they came, where both are the same terminal.
      this.#out.flush();
      this.#errors.write(text);
      this.#errors.flush();
    }
  }

  #flush(): void {
    this.#out.flush();
    this.#errors.flush();
  }
}

function toTaker(
  { onOutput }: ScriptSettings,
  stream: OutputStream,
): ((bytes: Uint8Array) => void) | undefined {
  return onOutput === undefined ? undefined : (bytes) => onOutput(bytes, stream);
}

function isOwnEvent(point: AttachPoint): boolean {
  return ["begin", "end", "test", "bench"].includes(point.provider);
}

/** What it looks for may be in libraries that are loaded when the program starts. */
function needsLibraries(probe: ProbeDefinition): boolean {
  const inCode = ["uprobe", "uretprobe", "usdt", "watchpoint", "asyncwatchpoint"];
  return probe.points.some((point) => inCode.includes(point.provider));
}

function nameOf(probe: ExecutableProbe, point: AttachPoint): string {
  return probe.name ?? point.text;
}

/** Symbols of the target are looked up while the program is checked. */
function needsAddresses(text: string): boolean {
  return /\b[uk]addr\s*\(/.test(text);
}

function formatError(error: ToolError): string {
  const hint = error.hint === undefined ? "" : `HINT: ${error.hint}\n`;
  return `ERROR: ${error.message}\n${hint}`;
}
