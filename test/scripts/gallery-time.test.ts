/** Scripts of the gallery that look at threads, times and the network, on known programs. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { needsGcc } from "../support/programs.ts";
import { job, readHistogram, readMap, runTool, sumOf, sumOfStacks } from "./support/gallery.ts";

describe("threads and time", { skip: needsGcc }, () => {
  test("sleeps", async () => {
    const end = await runTool("sleeps", job("sleeps"));
    assert.equal(sumOf(readHistogram(end, "slept_ms", "gallery")), 3, end.stdout);
    const total = sumOfStacks(readMap(end, "total_ms"), (frames) => frames.includes("nap"));
    assert.ok(total >= 60 && total < 2000, end.stdout);
  });

  test("mutex-waits", async () => {
    const end = await runTool("mutex-waits", job("locks"), ["100000"]);
    const [, lock] = /^@waits_us\[(0x[0-9a-f]+)\]:$/m.exec(end.stdout) ?? [];
    assert.equal(sumOf(readHistogram(end, "waits_us", lock)), 1, end.stdout);
    const us = sumOfStacks(readMap(end, "waited_us"), ([first]) => first === "contender");
    assert.ok(us >= 100_000, end.stdout);
  });

  test("thread-starts", async () => {
    const { stdout } = await runTool("thread-starts", job("threads"));
    const pattern = /^\d\d:\d\d:\d\d\.\d{6} \d+ +gallery +idle$/gm;
    assert.equal(stdout.match(pattern)?.length, 3, stdout);
  });

  test("cpu-stacks", async () => {
    const end = await runTool("cpu-stacks", job("burn"));
    const samples = readMap(end, "samples");
    const inBurn = sumOfStacks(samples, (frames) => frames.includes("burn"));
    // 600 ms of its CPU are 59 periods.
    assert.ok(inBurn >= 10 && inBurn <= 75, end.stdout);
    const others = sumOfStacks(samples, (frames) => !frames.includes("burn"));
    assert.ok(inBurn > 2 * others, end.stdout);
  });

  test("loop-delays", async () => {
    const end = await runTool("loop-delays", job("loop"));
    const busy = readHistogram(end, "busy_us", "gallery");
    assert.equal(sumOf(busy), 3, end.stdout);
    assert.ok([...busy].every(([bucket, count]) => count === 0 || !/^\[\d+,/.test(bucket)));
  });
});

describe("libraries and the network", { skip: needsGcc }, () => {
  test("library-loads", async () => {
    const { stdout } = await runTool("library-loads", job("loads"));
    assert.match(stdout, /^\d+ +gallery +libm\.so\.6\n\d+ +gallery +cos$/m);
  });

  test("connects", async () => {
    const { stdout } = await runTool("connects", job("connects"));
    assert.match(stdout, /^\d+ +gallery +-1 {2}127\.0\.0\.7 port 9$/m);
    assert.match(stdout, /^\d+ +gallery +-1 {2}::1 port 1234$/m);
    assert.match(stdout, /^\d+ +gallery +-1 {2}\/nonexistent\/socket$/m);
  });

  test("dns-times", async () => {
    const { stdout } = await runTool("dns-times", ["-c", "getent ahosts localhost"]);
    const [, ms] = /^\d+ +getent +(\d+\.\d{3}) {2}localhost$/m.exec(stdout) ?? [];
    assert.ok(Number(ms) > 0, stdout);
    const none = await runTool("dns-times", ["-c", "bash -c 'getent ahosts 1.2.3.4.5 || true'"]);
    assert.match(none.stdout, /^\d+ +getent +\d+\.\d{3} {2}1\.2\.3\.4\.5 \(not found\)$/m);
  });
});
