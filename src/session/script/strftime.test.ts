/** Times against what date(1) prints. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import { formatTime } from "./strftime.ts";

const FORMATS = [
  ...["%Y-%m-%d %H:%M:%S", "%F %T", "%D %R %r", "%a %A %b %B %h", "%e %j %k %l %I %p %P"],
  ...["%C %y %G %g %V %U %W %u %w", "%s %z", "%c | %x | %X", "100%% %n%t."],
];

test("every letter is as date(1) has it, on days at the edges of years and weeks", () => {
  for (const seconds of [
    0, 951782400, 1000000000, 1419984000, 1451606399, 1735603200, 1767139200,
  ]) {
    for (const format of FORMATS) {
      const env = { ...process.env, LC_ALL: "C" };
      const expected = execFileSync("date", ["-d", `@${seconds}`, `+${format}`], { env });
      assert.equal(`${formatTime(format, BigInt(seconds) * 1_000_000_000n)}\n`, String(expected));
    }
  }
});

test("%f is microseconds, and a letter that is none stays", () => {
  assert.equal(formatTime("%S.%f %Q", 1_000_000_123_456_789n * 1000n + 5n), "43.456789 %Q");
});
