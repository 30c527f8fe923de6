/**
 * System calls of ours in a thread that is under a seccomp filter, which may kill it for them. What
 * a filter allows cannot be asked. So either the filter is put out of force for the one call, which
 * the kernel permits to CAP_SYS_ADMIN (PTRACE_O_SUSPEND_SECCOMP, ptrace(2)); or it is known to be
 * the one that we are under ourselves, as in a container; or the user answers for it; or the call
 * is not made. Filters are inherited and only ever added (seccomp(2)), so two processes of one
 * ancestor with as many filters as it has have the same.
 */

import {
  PTRACE_O_SUSPEND_SECCOMP,
  PTRACE_SETOPTIONS,
  SYS_mmap,
  SYS_munmap,
  TRACE_OPTIONS,
} from "./constants.ts";
import { getpid, ptrace } from "./libc.ts";
import { findStatusField } from "./process-status.ts";

/** SECCOMP_MODE_DISABLED, as /proc/ID/status has it. */
const NO_FILTER = "0";
const INIT = 1;
/** What the user answers for. */
const TRUSTED: ReadonlySet<number> = new Set([SYS_mmap, SYS_munmap]);
const ANCESTORS_MAX = 64;

/** What a call that must not be made leaves undone. */
export const SECCOMP_REFUSAL =
  "its seccomp filter may kill the process for the mmap that a copy needs, and only root can put a filter out of force; seccomp: trust says that it allows mmap and munmap";

/** Runs something in a stopped thread with its filter out of the way. */
export class SeccompGate {
  private readonly trustsFilters: boolean;

  constructor(options: { readonly trustsFilters: boolean }) {
    this.trustsFilters = options.trustsFilters;
  }

  /** The outcome of call(), which makes a system call; undefined when it must not be made. */
  pass<T>(threadId: number, number: number, call: () => T): T | undefined {
    const mode = findStatusField(threadId, "Seccomp");
    if (mode === undefined || mode === NO_FILTER) return call();
    if (ptrace(PTRACE_SETOPTIONS, threadId, 0, TRACE_OPTIONS | PTRACE_O_SUSPEND_SECCOMP) === 0) {
      try {
        return call();
      } finally {
        ptrace(PTRACE_SETOPTIONS, threadId, 0, TRACE_OPTIONS);
      }
    }
    const isTrusted = this.trustsFilters && TRUSTED.has(number);
    return isTrusted || hasOurFilters(threadId) ? call() : undefined;
  }
}

/** Whether a thread may be killed for a system call that it does not make by itself. */
export function isFilteredUnknown(threadId: number): boolean {
  const mode = findStatusField(threadId, "Seccomp");
  return mode !== undefined && mode !== NO_FILTER && !hasOurFilters(threadId);
}

/** Whether its filters are those that we are under, too. */
function hasOurFilters(threadId: number): boolean {
  const theirs = countFilters(threadId);
  if (theirs === undefined || theirs !== countFilters("thread-self")) return false;
  return theirs === countFilters(INIT) || isDescendant(threadId);
}

/** Undefined before Linux 5.9. */
function countFilters(id: number | "thread-self"): number | undefined {
  const count = findStatusField(id, "Seccomp_filters");
  return count === undefined ? undefined : Number(count);
}

function isDescendant(id: number): boolean {
  const own = getpid();
  let at = id;
  for (let steps = 0; steps < ANCESTORS_MAX && at > INIT; steps++) {
    at = Number(findStatusField(at, "PPid") ?? 0);
    if (at === own) return true;
  }
  return false;
}
