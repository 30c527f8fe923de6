/**
 * The process that listens at a stub's address, if it runs on this machine and is ours to look
 * into: an emulator's, whose memory holds the guest's. Found as proc(5) tells: the inode of the
 * listening socket, and who has it open.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isIPv4 } from "node:net";

/** In /proc/net/unix the flags of a socket that listens (__SO_ACCEPTCON). */
const UNIX_LISTENS = "00010000";
/** In /proc/net/tcp the state of a socket that listens (TCP_LISTEN). */
const TCP_LISTENS = "0A";

/** Process id of the one process that listens there; undefined when there is none to be seen. */
export function findListener(address: string): number | undefined {
  try {
    const inode = findInode(address);
    return inode === undefined ? undefined : findOwner(inode);
  } catch {
    // No /proc: another system than Linux.
    return undefined;
  }
}

function findInode(address: string): string | undefined {
  if (address.startsWith("unix:")) return findUnixInode(address.slice("unix:".length));
  const [, host, port] = /^(?:tcp:)?([^:]*):(\d+)$/.exec(address) ?? [];
  if (port === undefined) return undefined;
  const isLocal =
    host === "" || host === "localhost" || (isIPv4(host ?? "") && host === "127.0.0.1");
  return isLocal ? findTcpInode(Number(port)) : undefined;
}

function findUnixInode(path: string): string | undefined {
  // Num RefCount Protocol Flags Type St Inode Path
  for (const line of readFileSync("/proc/net/unix", "utf8").split("\n").slice(1)) {
    const words = line.trim().split(/\s+/);
    if (words[3] === UNIX_LISTENS && words.slice(7).join(" ") === path) return words[6];
  }
  return undefined;
}

function findTcpInode(port: number): string | undefined {
  const digits = port.toString(16).toUpperCase().padStart(4, "0");
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    // sl local rem st queues timer retransmits uid timeout inode
    for (const line of readFileSync(file, "utf8").split("\n").slice(1)) {
      const words = line.trim().split(/\s+/);
      const isIt = words[3] === TCP_LISTENS && words[1]?.endsWith(`:${digits}`) === true;
      if (isIt) return words[9];
    }
  }
  return undefined;
}

function findOwner(inode: string): number | undefined {
  const link = `socket:[${inode}]`;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const folder = `/proc/${name}/fd`;
      if (readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === link)) {
        return Number(name);
      }
    } catch {
      // Another user's, or gone.
    }
  }
  return undefined;
}
