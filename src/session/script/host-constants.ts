/**
 * Constants that headers of C define and scripts use by name. Error numbers, signals and flags of
 * files are Node's own tables; the others are of Linux's ABI, the same on x86-64 and arm64
 * (<linux/socket.h>, <linux/in.h>, <linux/mman.h>, <linux/sched.h>).
 */

import { constants as fileConstants } from "node:fs";
import { constants as osConstants } from "node:os";

const KNOWN: Readonly<Record<string, number>> = {
  AF_UNSPEC: 0,
  AF_UNIX: 1,
  AF_LOCAL: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  AF_VSOCK: 40,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  IPPROTO_IP: 0,
  IPPROTO_ICMP: 1,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  PROT_NONE: 0,
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  MAP_SHARED: 1,
  MAP_PRIVATE: 2,
  MAP_FIXED: 16,
  MAP_ANONYMOUS: 32,
  SEEK_SET: 0,
  SEEK_CUR: 1,
  SEEK_END: 2,
  AT_FDCWD: -100,
  TASK_RUNNING: 0,
  TASK_INTERRUPTIBLE: 1,
  TASK_UNINTERRUPTIBLE: 2,
  CLONE_VM: 0x100,
  CLONE_THREAD: 0x10000,
  PAGE_SIZE: 4096,
};

/** undefined for a name that is none of them. */
export function findHostConstant(name: string): bigint | undefined {
  const tables: readonly Readonly<Record<string, unknown>>[] = [
    KNOWN,
    osConstants.errno,
    osConstants.signals,
    fileConstants,
  ];
  for (const table of tables) {
    const value = Object.hasOwn(table, name) ? table[name] : undefined;
    if (typeof value === "number") return BigInt(value);
  }
  return undefined;
}
