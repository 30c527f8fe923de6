import assert from "node:assert/strict";
import test from "node:test";
import { addReturn, createCallCounts, formatCallTable, toJsonCounts } from "./call-table.ts";
import { createPaint } from "./text.ts";

const PAINT = createPaint({ isColoured: false });

function count(
  name: string,
  durationsNs: readonly number[],
  calls = durationsNs.length,
): ReturnType<typeof createCallCounts> {
  const counts = createCallCounts(name, "libc.so.6");
  counts.calls = calls;
  for (const durationNs of durationsNs) addReturn(counts, BigInt(durationNs));
  return counts;
}

test("functions stand by total time, with a sum and notes on what was lost", () => {
  const rows = [
    count("free", [100, 300]),
    count("malloc", [1000, 2500, 12_000]),
    count("exit", [], 1),
  ];
  const probes = [
    { where: "libc:*", missed: 0, abandoned: 1 },
    { where: "x", missed: 0, abandoned: 0 },
  ];
  assert.equal(
    formatCallTable(rows, probes, { paint: PAINT, hasTimes: true }).join("\n"),
    `calls   total    mean     min     max  function
    3  15.5us  5.17us  1.00us  12.0us  libc.so.6:malloc
    2   400ns   200ns   100ns   300ns  libc.so.6:free
    1       -       -       -       -  libc.so.6:exit
    6  15.9us                          total
libc:*: 1 never returned`,
  );
});

test("without returns there are only counts", () => {
  assert.equal(
    formatCallTable([count("f", [], 12), count("g", [], 100)], [], {
      paint: PAINT,
      hasTimes: false,
    }).join("\n"),
    `calls  function
  100  libc.so.6:g
   12  libc.so.6:f
  112  total`,
  );
});

test("the same as JSON", () => {
  assert.deepEqual(toJsonCounts([count("f", [100, 300])]), [
    {
      function: "f",
      module: "libc.so.6",
      calls: 2,
      returns: 2,
      total_ns: 400,
      mean_ns: 200,
      min_ns: 100,
      max_ns: 300,
    },
  ]);
});
