/**
 * Opens a machine behind a GDB stub: connects, finds out what the stub can do and what its target
 * is, and takes out what a former client may have left. The target is stopped from then on, until
 * the first wait.
 */

import type { Arch } from "../../arch/arch.ts";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Mapping, Region } from "../machine.ts";
import { type Abilities, Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { formatEndpoint, parseEndpoint } from "./endpoint.ts";
import { GdbMachine } from "./machine.ts";
import { chooseArch, RegisterMap } from "./register-map.ts";
import { letGoAnyway } from "./rescue.ts";
import type { WireThreadId } from "./stop-reply.ts";
import { openTransport, type Transport } from "./transport.ts";

export interface StubOptions {
  /** `unix:PATH`, `tcp:HOST:PORT`, `HOST:PORT`, or a serial device. */
  readonly address: string;
  /** The architectures to choose from. */
  readonly archs: readonly Arch[];
  /**
   * Whether threads are processors of a whole machine, and not threads of a process. Default: of
   * QEMU's whole machines they are.
   */
  readonly runsTasks?: (abilities: Abilities) => boolean;
  /** What is mapped, where that is known. */
  readonly mappings?: () => readonly Mapping[];
  /** Executable bytes of the target that nobody uses: room for copies of displaced instructions. */
  readonly room?: readonly Region[];
  /** How long the stub may take for one request, or to stop its target. */
  readonly replyTimeMsMax?: number;
}

/** Open a machine. Throws ToolError usage or gdb.*. */
export function openGdbMachine(options: StubOptions): GdbMachine {
  const endpoint = parseEndpoint(options.address);
  const nowMs = (): number => performance.now();
  const replyTimeMsMax = options.replyTimeMsMax ?? limits.stubReplyTimeMsMax;
  const open = (timeoutMs: number): Transport => openTransport(endpoint, timeoutMs);
  const losesBytes = endpoint.kind === "serial";
  const line = { nowMs, replyTimeMsMax, losesBytes };
  const connection = new Connection(open(limits.stubConnectTimeMsMax), line);
  try {
    const client = new Client(connection);
    const stop = client.askStop();
    if (stop.kind !== "signal") {
      throw new ToolError(
        "gdb.unsupported",
        `the stub at ${formatEndpoint(endpoint)} has no target: it has ended, or was never started`,
      );
    }
    const threads = listThreads(client, stop.thread);
    client.clearForgotten(threads);
    client.ran(undefined);
    const arch = chooseArch(client.description, options.archs);
    const map = new RegisterMap(arch, client.description);
    const machine = new GdbMachine({
      client,
      arch,
      map,
      writesSingleRegisters: tryWriteRegister(client, map, arch, threads[0]),
      threads,
      space: { mappings: options.mappings, room: options.room ?? [] },
      runsTasks: options.runsTasks?.(client.abilities) ?? client.abilities.isQemuSystem,
      nowMs,
      stopTimeMsMax: options.replyTimeMsMax ?? limits.stubStopTimeMsMax,
      rescue: (lost) => {
        lost.client.connection.close();
        return letGoAnyway({
          nowMs,
          open,
          losesBytes,
          // What was agreed on holds for the connection that is gone.
          ackMode: client.abilities.isQemuSystem ? "none" : "glued",
          breakpoints: lost.space.breakpoints.addresses,
          breakpointSizeBytes: arch.breakpoint.length,
          processIds: client.abilities.hasProcesses ? lost.processIds : [],
        });
      },
    });
    return machine;
  } catch (error) {
    leave(connection, () => {
      connection.close();
      const nothing = { breakpoints: [], breakpointSizeBytes: 1, processIds: [] };
      return letGoAnyway({ nowMs, open, losesBytes, ackMode: connection.ackMode, ...nothing });
    });
    throw error;
  }
}

/** The thread that stopped comes first. */
function listThreads(client: Client, stopped: WireThreadId | undefined): readonly WireThreadId[] {
  const listed = client.listThreads();
  const known = new Set(listed.map(({ threadId }) => threadId));
  if (known.size < listed.length) {
    throw new ToolError("gdb.reply", "the stub lists one thread twice");
  }
  if (stopped === undefined) return listed;
  const others = listed.filter(({ threadId }) => threadId !== stopped.threadId);
  return [stopped, ...others];
}

/** Whether single registers can be written: tried with what the program counter is already. */
function tryWriteRegister(
  client: Client,
  map: RegisterMap,
  arch: Arch,
  thread: WireThreadId | undefined,
): boolean {
  const file = new BigUint64Array(arch.registers.count);
  const { pc } = arch.registers;
  const register = map.find(pc);
  const answer = client.askOf(thread, "g");
  if (register === undefined || !map.read(answer, file)) {
    throw new ToolError("gdb.reply", "the stub's registers are not those that it describes", {
      details: { request: "g", reply: answer.slice(0, 40) },
    });
  }
  const value = map.encode(register, file[pc] as bigint);
  return client.askOf(thread, `P${register.number.toString(16)}=${value}`) === "OK";
}

/** Nothing was changed yet: let the target go on, if the stub can still be reached. */
function leave(connection: Connection, rescue: () => boolean): void {
  try {
    if (connection.isLost) rescue();
    else connection.ask("D");
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
  } finally {
    connection.close();
  }
}
