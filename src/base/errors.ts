/**
 * The three kinds of failure. A wrong world is a ToolError, thrown, told apart by its code and
 * never by its text. A wrong us is a BugError, thrown by assert(), which stays on in releases. (A
 * wrong program, which is a diagnostic, belongs to the probe language.)
 */

/** What went wrong, as "area.cause". Closed: callers switch over it. */
export type ErrorCode =
  | "usage" // a command line, option or argument of the API that cannot be right
  | "where.malformed" // the text of a location does not parse
  | "symbol.unknown" // no symbol of that name; details.suggestions holds near misses
  | "symbol.ambiguous" // several symbols of that name; details.choices holds them
  | "module.unknown" // no loaded module of that name
  | "probe.refused" // details.reason is a RefusalReason, details.instruction its text
  | "memory.fault" // details.address is the first unreadable or unwritable byte
  | "entry.failed" // a native jprobe's entry did not end as it should; details.cause says how
  | "machine.gone" // the target ended or was killed
  | "machine.unsupported" // a 32-bit target, a CPU or kernel we cannot serve
  | "attach.noProcess"
  | "attach.permission"
  | "attach.alreadyTraced"
  | "attach.failed"
  | "launch.failed" // details.errno
  | "os.failed" // details.call, details.errno
  | "elf.malformed" // details.file, details.offset
  | "elf.unsupported" // not an ELF file, another class or machine
  | "kernel.notFound" // no kernel in the guest's memory, or not yet; details.cause says what is missing
  | "kernel.malformed" // tables of a kernel that do not hold together
  | "btf.malformed" // details.offset
  | "type.unknown" // no type, or no member, of that name
  | "file.unreadable" // details.path
  | "file.mismatch" // a file that is not that of the code in memory; details.path, details.buildId
  | "handlers.failed" // a module of handlers did not load
  | "gdb.unreachable" // no connection to a GDB stub; details.endpoint
  | "gdb.closed" // the connection ended while it was needed
  | "gdb.timeout" // the stub did not answer in time; details.request
  | "gdb.garbled" // what came is no packet, is broken, or passes a limit
  | "gdb.reply" // a packet that is no answer to the request; details.request, details.reply
  | "gdb.unsupported"; // the stub lacks what cannot be done without

/**
 * Something outside Trapline is not as it must be. `message` says what, on what and why; `hint`
 * what to do.
 */
export class ToolError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, unknown>>;
      readonly hint?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ToolError";
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint;
  }
}

/** Trapline itself is wrong. Please report it. */
export class BugError extends Error {
  constructor(message: string) {
    super(`bug in trapline: ${message}`);
    this.name = "BugError";
  }
}

/** Throw a BugError unless the condition holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}

/** For the default of a switch over a closed union. */
export function assertNever(value: never): never {
  throw new BugError(`unexpected value ${JSON.stringify(value)}`);
}
