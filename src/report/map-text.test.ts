import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findHistBucket, findLhistBucket } from "./histograms.ts";
import { formatMap } from "./map-text.ts";
import type { OutputDialect } from "./script-dialect.ts";
import type { Shown, ShownAggregate, ShownMap } from "./shown.ts";

function int(value: number): Shown {
  return { kind: "int", value: BigInt(value), sizeBytes: 8, isSigned: true };
}

function string(value: string): Shown {
  return { kind: "string", value };
}

function map(
  name: string,
  entries: readonly (readonly [readonly Shown[], Shown])[],
  more: Partial<ShownMap> = {},
): ShownMap {
  const isScalar = entries[0]?.[0].length === 0;
  return {
    name,
    entries: entries.map(([keys, value]) => ({ keys, value })),
    isScalar,
    top: 0,
    div: 0,
    ...more,
  };
}

function text(shown: ShownMap, dialect: OutputDialect = "0.17"): string {
  return formatMap(shown, dialect, () => 0);
}

function hist(values: readonly number[], bits = 0): ShownAggregate {
  const buckets = new Map<number, bigint>();
  for (const value of values) {
    const bucket = findHistBucket(BigInt(value), bits);
    buckets.set(bucket, (buckets.get(bucket) ?? 0n) + 1n);
  }
  return { kind: "hist", bits, buckets };
}

function lhist(values: readonly number[], min: number, max: number, step: number): ShownAggregate {
  const bounds = { min: BigInt(min), max: BigInt(max), step: BigInt(step) };
  const buckets = new Map<number, bigint>();
  for (const value of values) {
    const bucket = findLhistBucket(BigInt(value), bounds.min, bounds.max, bounds.step);
    buckets.set(bucket, (buckets.get(bucket) ?? 0n) + 1n);
  }
  return { kind: "lhist", ...bounds, buckets };
}

const FULL = "@".repeat(52);
const EMPTY = " ".repeat(52);

describe("the text of a map", () => {
  it("orders integers by value, and equal ones by key", () => {
    const shown = map("@d", [
      [[int(3)], int(100)],
      [[int(4)], int(50)],
      [[int(9)], int(1)],
      [[int(2)], int(-1)],
      [[int(1)], int(1)],
    ]);
    assert.equal(text(shown), "@d[2]: -1\n@d[1]: 1\n@d[9]: 1\n@d[4]: 50\n@d[3]: 100\n");
    assert.equal(text({ ...shown, top: 2 }), "@d[4]: 50\n@d[3]: 100\n");
    assert.equal(text({ ...shown, top: 3, div: 10 }), "@d[9]: 0\n@d[4]: 5\n@d[3]: 10\n");
  });

  it("orders other values by key; in 0.17 negative integers come last", () => {
    const shown = map("@e", [
      [[int(1), int(2)], string("v")],
      [[int(0), int(5)], string("w")],
      [[int(-1), int(1)], string("x")],
    ]);
    assert.equal(text(shown), "@e[0, 5]: w\n@e[1, 2]: v\n@e[-1, 1]: x\n");
    assert.equal(text(shown, "head"), "@e[-1, 1]: x\n@e[0, 5]: w\n@e[1, 2]: v\n");
    const keys = ["b", "a", "ab"].map((key): [Shown[], Shown] => [[string(key)], string("1")]);
    assert.equal(text(map("@k", keys)), "@k[a]: 1\n@k[ab]: 1\n@k[b]: 1\n");
  });

  it("shows keys of 64 bits as signed in 0.17", () => {
    const key = (sizeBytes: number, value: bigint): Shown => ({
      kind: "int",
      value,
      sizeBytes,
      isSigned: false,
    });
    const keys = [key(8, (1n << 64n) - 1n), key(4, 4_000_000_000n)];
    assert.equal(text(map("@", [[keys, int(1)]])), "@[-1, 4000000000]: 1\n");
    assert.equal(
      text(map("@", [[keys, int(1)]]), "head"),
      "@[18446744073709551615, 4000000000]: 1\n",
    );
  });

  it("takes a tuple as the only key for its elements", () => {
    const key: Shown = {
      kind: "tuple",
      elements: [int(1), { kind: "tuple", elements: [int(2), string("b")] }],
    };
    assert.equal(text(map("@", [[[key], int(5)]]), "head"), "@[1, (2, b)]: 5\n");
  });

  it("shows averages and statistics, followed by a blank line in 0.17", () => {
    const averages = map("@avk", [
      [[int(1)], { kind: "avg", average: 10n, count: 1n }],
      [[int(2)], { kind: "avg", average: -5n, count: 2n }],
    ]);
    assert.equal(text(averages), "@avk[2]: -5\n@avk[1]: 10\n\n");
    assert.equal(text({ ...averages, top: 1, div: 2 }), "@avk[1]: 5\n\n");
    assert.equal(text(averages, "head"), "@avk[2]: -5\n@avk[1]: 10\n");
    const stats = map(
      "@st",
      [
        [[string("k")], { kind: "stats", count: 2n, average: 6n, total: 13n }],
        [[string("j")], { kind: "stats", count: 1n, average: -4n, total: -4n }],
      ],
      { top: 1, div: 2 },
    );
    assert.equal(
      text(stats),
      "@st[j]: count 1, average -4, total -4\n@st[k]: count 2, average 6, total 13\n\n",
    );
    assert.equal(
      text(stats, "head"),
      "@st[j]: { .count = 1, .average = -4, .total = -4 }\n@st[k]: { .count = 2, .average = 6, .total = 13 }\n",
    );
  });

  it("is a blank line for an empty map in 0.17, and nothing in head", () => {
    assert.equal(text(map("@x", [])), "\n");
    assert.equal(text(map("@x", []), "head"), "");
  });

  it("draws histograms of powers of two", () => {
    const shown = map("@h", [[[], hist([-1, 0, 1, 3, 2, 2048])]]);
    const half = "@".repeat(26).padEnd(52);
    assert.equal(
      text(shown),
      `@h: \n(..., 0)               1 |${half}|\n[0]                    1 |${half}|\n` +
        `[1]                    1 |${half}|\n[2, 4)                 2 |${FULL}|\n` +
        `[4, 8)                 0 |${EMPTY}|\n[8, 16)                0 |${EMPTY}|\n` +
        `[16, 32)               0 |${EMPTY}|\n[32, 64)               0 |${EMPTY}|\n` +
        `[64, 128)              0 |${EMPTY}|\n[128, 256)             0 |${EMPTY}|\n` +
        `[256, 512)             0 |${EMPTY}|\n[512, 1K)              0 |${EMPTY}|\n` +
        `[1K, 2K)               0 |${EMPTY}|\n[2K, 4K)               1 |${half}|\n\n`,
    );
  });

  it("orders histograms by their counts, and divides only those of powers of two", () => {
    const shown = map("@hk", [
      [[string("b")], hist([2, 2])],
      [[string("a")], hist([1])],
    ]);
    assert.equal(
      text({ ...shown, div: 2 }),
      `@hk[a]: \n[1]                    0 |${FULL}|\n\n@hk[b]: \n[2, 4)                 1 |${FULL}|\n\n`,
    );
    assert.equal(text({ ...shown, top: 1 }), `@hk[b]: \n[2, 4)                 2 |${FULL}|\n\n`);
    const linear = map("@l", [[[], lhist([3], 0, 10, 1)]], { div: 2 });
    assert.equal(text(linear, "head"), `@l:\n[3, 4)                 1 |${FULL}|\n\n`);
  });

  it("names the buckets of a linear histogram, and cuts none at the upper end", () => {
    const rows = (shown: ShownAggregate, dialect: OutputDialect): string[] =>
      text(map("@", [[[], shown]]), dialect)
        .split("\n")
        .filter((line) => line.includes("|"))
        .map((line) => line.slice(0, 24).replace(/ +/g, " "));
    assert.deepEqual(rows(lhist([-5, 0, 19, 100], 0, 20, 10), "0.17"), [
      "(..., 0) 1",
      "[0, 10) 1",
      "[10, 20) 1",
      "[20, ...) 1",
    ]);
    assert.deepEqual(rows(lhist([15, 24, 25], 0, 25, 10), "0.17"), ["[10, 20) 1", "[25, ...) 2"]);
    assert.deepEqual(rows(lhist([1024, 1600], 0, 2048, 512), "0.17"), [
      "[1K, 1536) 1",
      "[1536, 2K) 1",
    ]);
    assert.deepEqual(rows(lhist([1024], 0, 2048, 512), "head"), ["[1024, 1536) 1"]);
    assert.deepEqual(rows(lhist([1 << 20, 3 << 20], 0, 2 << 20, 1 << 20), "head"), [
      "[1M, 2M) 1",
      "[2M, ...) 1",
    ]);
    assert.deepEqual(rows(lhist([-7], -10, 10, 5), "head"), ["[-10, -5) 1"]);
  });

  it("shows stacks as values and as keys", () => {
    const frames = [
      { address: 0x401136n, name: "main", offset: 4, module: "/bin/x" },
      { address: 0x7f00n, name: undefined, offset: 0, module: undefined },
    ];
    const stack = (mode: "bpftrace" | "perf" | "raw"): Shown => ({ kind: "stack", frames, mode });
    assert.equal(
      text(map("@v", [[[], stack("bpftrace")]])),
      "@v: \n        main+4\n        0x7f00\n\n",
    );
    assert.equal(
      text(map("@s", [[[stack("bpftrace"), int(3)], int(1)]])),
      "@s[\n    main+4\n    0x7f00\n, 3]: 1\n",
    );
    assert.equal(
      text(map("@w", [[[], stack("perf")]])),
      "@w: \n\t401136 main+4 (/bin/x)\n\t7f00 0x7f00 ([unknown])\n\n",
    );
    assert.equal(
      text(map("@r", [[[stack("raw")], int(1)]])),
      "@r[\n    0x401136\n    0x7f00\n]: 1\n",
    );
  });

  it("shows pointers as keys in hexadecimal, as values only in head", () => {
    const pointer: Shown = { kind: "pointer", value: 100n };
    const shown = map("@p", [[[pointer], pointer]]);
    assert.equal(text(shown), "@p[0x64]: 100\n");
    assert.equal(text(shown, "head"), "@p[0x64]: 0x64\n");
  });

  it("shows structures, arrays, tuples and buffers", () => {
    const shown: Shown = {
      kind: "fields",
      fields: [
        { name: "x", value: int(-5) },
        { name: "y", value: { kind: "fields", fields: [{ name: "s", value: string("ab") }] } },
        { name: "arr", value: { kind: "array", elements: [int(1), int(-2)] } },
        { name: "b", value: { kind: "buffer", bytes: Uint8Array.of(0x41, 1) } },
        { name: "ok", value: { kind: "bool", value: true } },
      ],
    };
    const tuple: Shown = { kind: "tuple", elements: [int(1), shown] };
    assert.equal(
      text(map("@t", [[[], tuple]]), "head"),
      "@t: (1, { .x = -5, .y = { .s = ab }, .arr = [1,-2], .b = A\\x01, .ok = true })\n",
    );
  });
});

describe("buckets of hist", () => {
  it("lie one behind another for any number of sub-buckets", () => {
    for (let bits = 0; bits <= 5; bits++) {
      let last = 0;
      for (let value = 0n; value < 5000n; value++) {
        const bucket = findHistBucket(value, bits);
        assert.ok(bucket === last || bucket === last + 1, `${value} with ${bits} bits`);
        last = bucket;
      }
    }
    assert.equal(findHistBucket(-1n, 3), 0);
    assert.equal(findHistBucket(1n << 62n, 0), 64);
    assert.equal(findHistBucket((1n << 63n) - 1n, 0), 64);
  });

  it("are called by bounds that hold their values", () => {
    for (let bits = 0; bits <= 5; bits++) {
      for (const value of [0, 1, 2, 3, 7, 31, 32, 33, 100, 1023, 1024, 99_999]) {
        const line = text(map("@", [[[], hist([value], bits)]]), "head").split("\n")[1]!;
        const [, start, end] = /^\[(\w+)(?:, (\w+))?/.exec(line)!;
        const scale = (bound: string): number =>
          Number.parseInt(bound, 10) * (bound.endsWith("K") ? 1024 : 1);
        assert.ok(scale(start!) <= value && value < (end ? scale(end) : value + 1), line);
        assert.equal(end === undefined, scale(start!) === value && value < 2 << bits, line);
      }
    }
  });

  it("have sub-buckets of equal width", () => {
    const lines = text(map("@", [[[], hist([8, 9, 16, 18, 20, 1000], 3)]]), "head").split("\n");
    assert.deepEqual(
      lines
        .slice(1)
        .filter((line) => /\) +1|\] +1/.test(line))
        .map((line) => line.slice(0, 16).replaceAll(" ", "")),
      ["[8]", "[9]", "[16,18)", "[18,20)", "[20,22)", "[960,1024)"],
    );
  });
});
