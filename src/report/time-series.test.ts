import assert from "node:assert/strict";
import test from "node:test";
import { formatTimeSeries } from "./time-series.ts";

test("a time series is a chart from its first value to its last", () => {
  const values = [undefined, 3n, 5n, undefined, -1n, -5n, 0n, undefined];
  const start = 66_566n * 1_000_000_000n + 142_000_000n;
  const points = values.map((value, index) => ({
    startWallNs: start + BigInt(index) * 100_000_000n,
    value,
  }));
  const chart = formatTimeSeries({ kind: "tseries", intervalNs: 100_000_000n, points }, () => 3600);
  assert.equal(
    chart,
    `hh:mm:ss.mmm  ___________________________________________________
19:29:26.242 |                         .              o          | 3
19:29:26.342 |                         .                         o 5
19:29:26.442 |                         .                         | -
19:29:26.542 |                   o     .                         | -1
19:29:26.642 o                         .                         | -5
19:29:26.742 |                         o                         | 0
`,
  );
});

test("a time series of whole seconds and one value has no fractions", () => {
  const points = [{ startWallNs: -1_000_000_000n, value: 7n }];
  const lines = formatTimeSeries({ kind: "tseries", intervalNs: 1_000_000_000n, points }, () => 0);
  assert.match(lines, /^hh:mm:ss {2}_+\n23:59:59 o +\| 7\n$/);
});
