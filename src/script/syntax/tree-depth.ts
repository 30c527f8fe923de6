/**
 * How deep a tree is: whoever walks it does so by recursion, so a tree that is too deep must not
 * get that far. `1 + 1 + 1 ...` is as deep as it is long, though no text in it is nested.
 */

import { limits } from "../../base/limits.ts";
import type { Range } from "../source.ts";

/** A node below which no more may come, if there are any: its range. */
export function findTooDeep(root: object): Range | undefined {
  const waiting: { node: object; depth: number; range: Range | undefined }[] = [
    { node: root, depth: 0, range: undefined },
  ];
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    const { node } = one;
    const isNode = "range" in node;
    const range = isNode ? (node.range as Range) : one.range;
    const depth = one.depth + (isNode ? 1 : 0);
    if (depth > limits.scriptTreeDepthMax) return range;
    for (const [key, value] of Object.entries(node)) {
      if (key === "range" || typeof value !== "object" || value === null) continue;
      waiting.push({ node: value as object, depth, range });
    }
  }
  return undefined;
}
