import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { formatTime, type ZoneMoment } from "./strftime.ts";

const LETTERS = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ";
const UTC: ZoneMoment = { utcOffsetSeconds: 0, abbreviation: "UTC" };

function show(format: string, seconds: number, zone: ZoneMoment = UTC): string {
  return formatTime(format, BigInt(seconds) * 1_000_000_000n, () => zone);
}

/** Ends and beginnings of years, leap days, noon and midnight, before 1970. */
const MOMENTS = [
  0, 86_399, 43_200, 46_800, 951_782_400, 1_109_548_799, 1_230_768_000, 1_262_304_000,
  1_293_839_999, 1_356_998_399, 1_483_228_800, 1_600_000_000, 1_704_067_199, 1_735_603_200,
  4_102_444_800, -1, -86_400, -1_000_000_000,
];

describe("strftime", () => {
  it("gives what the C library's date gives, letter by letter", (t) => {
    const formats = [
      ...[...LETTERS].map((letter) => `%${letter}`),
      "%-d",
      "%_d",
      "%0e",
      "%-e",
      "%^a",
      "%#p",
      "%#Z",
      "%^B",
      "%_H",
      "%-j",
      "%5d",
      "%_5m",
      "%06Y",
      "%10A",
      "%010A",
      "%Ey",
      "%Od",
      "%-I",
      "%%",
    ];
    const format = formats.join("|");
    const zone = { utcOffsetSeconds: -12_600, abbreviation: "NST" };
    for (const [name, moment] of [
      ["UTC0", UTC],
      ["NST3:30", zone],
    ] as const) {
      const env = { TZ: name, LC_ALL: "C", PATH: process.env["PATH"] };
      const input = MOMENTS.map((seconds) => `@${seconds}`).join("\n");
      let expected: string;
      try {
        const args = ["-f", "-", `+${format};`];
        expected = execFileSync("date", args, { input, env, encoding: "utf8" });
      } catch {
        t.skip("needs date of GNU");
        return;
      }
      const actual = MOMENTS.map((seconds) => `${show(format, seconds, moment)};\n`);
      for (const [index, text] of expected.split(";\n").slice(0, -1).entries()) {
        assert.equal(actual[index], `${text};\n`, `${MOMENTS[index]} ${name}`);
      }
    }
  });

  it("has %f for microseconds", () => {
    assert.equal(
      formatTime("%S.%f", 1_000_042_999n, () => UTC),
      "01.000042",
    );
    assert.equal(
      formatTime("%s.%f", -1n, () => UTC),
      "-1.999999",
    );
  });

  it("asks for the zone of the moment, and leaves what it does not know", () => {
    const zoneAt = (wallNs: bigint): ZoneMoment =>
      wallNs < 0n ? UTC : { utcOffsetSeconds: 19_800, abbreviation: "IST" };
    assert.equal(formatTime("%H:%M %Z %z", 0n, zoneAt), "05:30 IST +0530");
    assert.equal(formatTime("%Z %q %", -1n, zoneAt), "UTC %q %");
  });
});
