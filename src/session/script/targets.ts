/**
 * The targets of a run: opened when they are first needed, so that a program with a mistake in it
 * is told of before anything is touched, and let go at the end.
 */

import { ToolError } from "../../base/errors.ts";
import { findObject } from "../../symbols/data-symbol.ts";
import { findKernelSymbol } from "../../symbols/kernel-symbols.ts";
import type { SessionEvent } from "../api.ts";
import type { GuestSession } from "../guest/guest-session.ts";
import type { LiveSession } from "../session.ts";
import type { TargetView } from "../target-view.ts";
import type { ScriptSession } from "./attach.ts";
import type { ScriptSettings, ScriptTarget } from "./settings.ts";

export class Targets {
  readonly #settings: ScriptSettings;
  readonly #onEvent: (event: SessionEvent, session: number) => void;
  #sessions: readonly ScriptSession[] | undefined;
  #guest: GuestSession | undefined;
  #command: LiveSession | undefined;
  #isServed = false;
  /**
   * Whether a command is held before it has done anything, and not with its libraries loaded: for
   * programs that have nothing to find in those.
   */
  startsAtExec = false;

  constructor(settings: ScriptSettings, onEvent: (event: SessionEvent, session: number) => void) {
    this.#settings = settings;
    this.#onEvent = onEvent;
  }

  /** All of them; opened by open(). */
  get sessions(): readonly ScriptSession[] {
    return this.#sessions ?? [];
  }

  get guest(): GuestSession | undefined {
    return this.#guest;
  }

  /** The one that runs the command of -c. */
  get command(): LiveSession | undefined {
    return this.#command;
  }

  /** @throws ToolError what launching, attaching and connecting throw */
  async open(): Promise<readonly ScriptSession[]> {
    if (this.#sessions !== undefined) return this.#sessions;
    const sessions: ScriptSession[] = [];
    // What is open is to be let go also when the next fails.
    this.#sessions = sessions;
    for (const [index, target] of this.#settings.targets.entries()) {
      sessions.push(await this.#openOne(target, (event) => this.#onEvent(event, index)));
    }
    return sessions;
  }

  async #openOne(
    target: ScriptTarget,
    onEvent: (event: SessionEvent) => void,
  ): Promise<ScriptSession> {
    const options = { ...this.#settings.options, onEvent };
    // What decodes instructions and talks to the kernel is loaded for targets alone.
    switch (target.kind) {
      case "command": {
        const { launchLive } = await import("../session.ts");
        const stopAt = this.startsAtExec ? "exec" : "libraries";
        this.#command = launchLive(target.command, { ...options, stopAt });
        return this.#command;
      }
      case "pid": {
        const { attachLive } = await import("../session.ts");
        return attachLive(target.pid, options);
      }
      case "gdb": {
        const { connectLive } = await import("../guest/guest-session.ts");
        const { kernelTimeoutMs } = target;
        this.#guest = connectLive(target.address, { ...options, kernelTimeoutMs });
        return this.#guest;
      }
    }
  }

  /** Where a symbol is, for uaddr() and kaddr(). */
  findAddress(
    name: string,
    file: string | undefined,
  ): { readonly address: bigint; readonly sizeBytes: number } | undefined {
    if (this.#guest !== undefined) {
      // Data too, which is in no list of functions. Its size is nowhere.
      const symbol = findKernelSymbol(this.#guest.kernel.symbols, name);
      return symbol === undefined ? undefined : { address: symbol.address, sizeBytes: 8 };
    }
    for (const session of this.sessions) {
      for (const view of session.views) {
        const found = findInView(view, name, file);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  /** From now on they run. */
  start(): void {
    this.#isServed = true;
    for (const session of this.sessions) session.start();
  }

  /**
   * Let all go. The command of -c, where it still runs, gets SIGTERM when asked for; one that has
   * not begun never does.
   */
  close(endsCommand: boolean): void {
    if (!this.#isServed) this.kill();
    for (const session of this.sessions) {
      const isRunning = session === this.#command && session.live;
      session[Symbol.dispose]();
      if (!isRunning || !endsCommand) continue;
      try {
        process.kill(session.pid, "SIGTERM");
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** Nothing of the command has run, and nothing of it shall. */
  private kill(): void {
    if (this.#command?.live !== true) return;
    process.kill(this.#command.pid, "SIGKILL");
  }
}

function findInView(
  view: TargetView,
  name: string,
  file: string | undefined,
): { readonly address: bigint; readonly sizeBytes: number } | undefined {
  for (const module of view.modules.all) {
    if (file !== undefined && !module.matches(file)) continue;
    const { symbols } = module;
    const elf = symbols?.elf;
    try {
      const object =
        elf === undefined
          ? undefined
          : (findObject(elf, name, "symtab") ?? findObject(elf, name, "dynsym"));
      if (object !== undefined)
        return { address: module.toAddress(object.address), sizeBytes: object.sizeBytes };
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
    }
    const [found] = symbols?.findByName(name) ?? [];
    if (found !== undefined)
      return { address: module.toAddress(found.address), sizeBytes: found.sizeBytes };
  }
  return undefined;
}
