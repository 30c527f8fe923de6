/**
 * Scripts of the gallery that look at calls, memory and files, on a program whose work is known.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import { job, readHistogram, readMap, runTool, sumOf, sumOfStacks } from "./support/gallery.ts";

describe("calls", { skip: needsGcc }, () => {
  test("call-counts", async () => {
    const end = await runTool("call-counts", job("calls"), [`${build("gallery.c")}:*e*`]);
    const counts = readMap(end, "calls");
    assert.deepEqual([counts.get("once"), counts.get("step")], [12, 12], end.stdout);
    assert.equal(counts.get("burn"), undefined);
  });

  test("call-times", async () => {
    const end = await runTool("call-times", job("calls"), [`${build("gallery.c")}:step`]);
    const us = readHistogram(end, "us", "step");
    assert.equal(sumOf(us), 12, end.stdout);
    const slow = [...us].filter(([bucket]) => /^\[(256K|512K|1M|2M)/.test(bucket));
    assert.equal(sumOf(new Map(slow)), 2, end.stdout);
  });

  test("slow-calls", async () => {
    const end = await runTool("slow-calls", job("calls"), [`${build("gallery.c")}:step`, "300000"]);
    const lines = [...end.stdout.matchAll(/^\d+ +gallery +(\d+)\n +step\+0\n +(\w+)\+\d+$/gm)];
    assert.equal(lines.length, 2, end.stdout);
    for (const line of lines) assert.ok(Number(line[1]) >= 400_000 && line[2] === "main");
  });

  test("call-errors", async () => {
    const end = await runTool("call-errors", job("files"));
    const failed = readMap(end, "failed");
    assert.equal(failed.get("open") ?? failed.get("open64"), 3, end.stdout);
    assert.equal(failed.get("read"), undefined);
  });
});

describe("memory", { skip: needsGcc }, () => {
  test("malloc-sizes", async () => {
    const end = await runTool("malloc-sizes", job("malloc"));
    assert.equal(readHistogram(end, "malloc").get("[64K, 128K)"), 5, end.stdout);
    assert.equal(readHistogram(end, "calloc").get("[128K, 256K)"), 3);
    assert.equal(readHistogram(end, "realloc").get("[256K, 512K)"), 2);
  });

  test("malloc-callers", async () => {
    const end = await runTool("malloc-callers", job("malloc"));
    const bytes = readMap(end, "bytes");
    assert.equal(
      sumOfStacks(bytes, ([first, second]) => first === "malloc" && second === "keep"),
      500_000,
      end.stdout,
    );
    assert.equal(
      sumOfStacks(bytes, ([first]) => first === "calloc"),
      600_000,
    );
  });

  test("malloc-unfreed", async () => {
    const end = await runTool("malloc-unfreed", job("malloc"));
    const unfreed = readMap(end, "unfreed");
    assert.equal(
      sumOfStacks(unfreed, ([first]) => first === "keep"),
      200_000,
      end.stdout,
    );
    assert.doesNotMatch(end.stdout, /^@(size|stack|asked)/m);
  });

  test("copy-sizes", async () => {
    const end = await runTool("copy-sizes", job("copies"));
    const bytes = readHistogram(end, "bytes");
    assert.deepEqual([bytes.get("[64K, 128K)"), bytes.get("[128K, 256K)")], [7, 2], end.stdout);
    const sums = readMap(end, "bytes_by");
    assert.equal(
      sumOfStacks(sums, (frames) => frames[1] === "copy"),
      770_000,
      end.stdout,
    );
  });
});

describe("files and variables", { skip: needsGcc }, () => {
  test("file-opens", async () => {
    const { stdout } = await runTool("file-opens", job("files"));
    assert.match(stdout, /^PID +COMM +FD PATH$/m);
    assert.equal(stdout.match(/^\d+ +gallery +-1 \/nonexistent\/gallery$/gm)?.length, 3, stdout);
    assert.equal(stdout.match(/^\d+ +gallery +\d+ \/dev\/(zero|null)$/gm)?.length, 2);
  });

  test("io-by-file", async () => {
    const end = await runTool("io-by-file", job("files"));
    const reads = [...readMap(end, "read_bytes")].filter(([key]) => key.endsWith(", /dev/zero"));
    const writes = [...readMap(end, "written_bytes")].filter(([key]) =>
      key.endsWith(", /dev/null"),
    );
    assert.deepEqual([reads[0]?.[1], writes[0]?.[1]], [400, 350], end.stdout);
    assert.equal(reads.length + writes.length, 2);
  });

  test("io-sizes", async () => {
    const end = await runTool("io-sizes", job("files"));
    assert.equal(readHistogram(end, "read_bytes", "gallery").get("[64, 128)"), 4, end.stdout);
    assert.equal(readHistogram(end, "written_bytes", "gallery").get("[64, 128)"), 5);
  });

  test("env-reads", async () => {
    const end = await runTool("env-reads", job("variables"));
    assert.equal(end.stdout.match(/^GALLERY_SET=a value$/gm)?.length, 1, end.stdout);
    assert.equal(end.stdout.match(/^GALLERY_UNSET is not set$/gm)?.length, 1);
    const reads = readMap(end, "reads");
    assert.deepEqual([reads.get("GALLERY_SET"), reads.get("GALLERY_UNSET")], [3, 2]);
  });
});
