/**
 * Paths of control groups by their ids (the inodes of their folders), in every hierarchy that is
 * mounted below /sys/fs/cgroup.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { limits } from "../../base/limits.ts";
import { isGlob, matchesGlob, parseGlob } from "../../symbols/glob.ts";

interface Hierarchy {
  /** As the filter means it: `unified`, or the last part of a version 1 mount's path. */
  readonly name: string;
  readonly root: string;
}

/**
 * `unified:/user.slice`, several joined by commas; empty where no folder has that id.
 * @param filter glob for the names of hierarchies; empty for all
 */
export function findCgroupPath(id: bigint, filter: string): string {
  const glob = filter === "" ? undefined : parseGlob(filter);
  const found: string[] = [];
  for (const { name, root } of listHierarchies()) {
    if (glob !== undefined && !(isGlob(filter) ? matchesGlob(glob, name) : name === filter))
      continue;
    const path = findFolder(root, id);
    if (path !== undefined) found.push(`${name}:${path.slice(root.length) || "/"}`);
  }
  return found.join(",");
}

function listHierarchies(): readonly Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of readFileSync("/proc/self/mounts", "utf8").split("\n")) {
    const [, root, type] = line.split(" ");
    if (root === undefined) continue;
    if (type === "cgroup2") found.push({ name: "unified", root });
    else if (type === "cgroup") found.push({ name: root.slice(root.lastIndexOf("/") + 1), root });
  }
  return found;
}

/** Breadth first, as most are near the root. */
function findFolder(root: string, id: bigint): string | undefined {
  const queue = [root];
  for (let at = 0; at < Math.min(queue.length, limits.cgroupCountMax); at++) {
    const path = queue[at] as string;
    try {
      if (statSync(path, { bigint: true }).ino === id) return path;
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (entry.isDirectory()) queue.push(`${path}/${entry.name}`);
      }
    } catch {
      // It went away meanwhile, or is not ours to see.
    }
  }
  return undefined;
}
