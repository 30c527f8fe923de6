/**
 * Learning of libraries as they come and go: the dynamic linker calls an empty function of its own,
 * `_dl_debug_state`, for debuggers to put a breakpoint on, before and after each change;
 * `_r_debug.r_state` says which (System V ABI, link.h: struct r_debug; r_state at byte 24,
 * RT_CONSISTENT = 0).
 */

import { type Address, addOffset } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Hooks } from "../engine/site.ts";
import type { Target } from "../engine/target.ts";
import { findDataSymbol } from "../symbols/data-symbol.ts";
import type { LoadedModule, ProcessModules } from "./process-modules.ts";

const R_STATE_OFFSET = 24;
const RT_CONSISTENT = 0;

/** The dynamic linker of the process, if it has one mapped. */
export function findLoader(modules: ProcessModules): LoadedModule | undefined {
  const interpreter = modules.program?.symbols?.elf.interpreter;
  const wanted = interpreter?.replace(/^.*\//, "");
  // The path in the program may be a link to the mapped one: its soname tells.
  return modules.all.find(
    (module) =>
      module.path === interpreter ||
      module.name === wanted ||
      (wanted !== undefined &&
        /^(ld-|ld\.|libc\.musl)/.test(module.name) &&
        module.symbols?.elf.dynamic?.soname === wanted),
  );
}

/**
 * Call changed() after each change. Gives false where there is nothing to watch (a static program),
 * or it cannot be watched.
 */
export function watchLoader(target: Target, modules: ProcessModules, changed: () => void): boolean {
  const loader = findLoader(modules);
  const notify = loader?.symbols?.findByName("_dl_debug_state")[0];
  if (loader === undefined || notify === undefined) return false;
  const state = findState(loader);
  const word = new Uint8Array(4);
  const hooks: Hooks = {
    enabled: true,
    wantsPost: false,
    wantsFault: false,
    isOfSpace: true,
    pre: () => {
      const known = state !== undefined && target.space.read(state, word);
      if (!known || new DataView(word.buffer).getInt32(0, true) === RT_CONSISTENT) changed();
      return false;
    },
    post: () => {},
    fault: () => false,
    // In a function called for a handler that loads a library: nothing may be armed in the middle
    // of that.
    miss: () => {},
  };
  try {
    target.addHooks(target.site(loader.toAddress(notify.address), undefined), hooks);
    return true;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return false;
  }
}

function findState(loader: LoadedModule): Address | undefined {
  const elf = loader.symbols?.elf;
  const offset = elf === undefined ? undefined : findDataSymbol(elf, "_r_debug");
  return offset === undefined ? undefined : addOffset(loader.toAddress(offset), R_STATE_OFFSET);
}
