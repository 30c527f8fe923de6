import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OutputDialect } from "./script-dialect.ts";
import type { ScriptEvent } from "./script-event.ts";
import { ScriptWriter, type ScriptWriterOptions } from "./script-writer.ts";
import type { Shown, ShownMap } from "./shown.ts";

interface Written {
  out: string;
  err: string;
}

function write(
  events: readonly ScriptEvent[],
  options: Partial<ScriptWriterOptions> & { readonly dialect: OutputDialect },
): Written {
  const written: Written = { out: "", err: "" };
  const writer = new ScriptWriter({
    format: "text",
    isQuiet: false,
    utcOffsetSeconds: () => 0,
    emit: (stream, text) => {
      written[stream] += text;
    },
    ...options,
  });
  writer.attached(1);
  const maps = events.filter(({ kind }) => kind === "map");
  for (const event of events) if (event.kind !== "map") writer.write(event);
  if (maps.length > 0) writer.startFinalMaps();
  for (const event of maps) writer.write(event);
  return written;
}

function int(value: bigint): Shown {
  return { kind: "int", value, sizeBytes: 8, isSigned: true };
}

function map(name: string, keys: readonly Shown[], value: Shown): ScriptEvent {
  const shown: ShownMap = {
    name,
    entries: [{ keys, value }],
    isScalar: keys.length === 0,
    top: 0,
    div: 0,
  };
  return { kind: "map", map: shown };
}

const SOURCE = { name: "stdin", text: "begin { $a = *(int32*)5; }\n" };
const PLACE = { source: SOURCE, start: 13, end: 14 };
const EVENTS: readonly ScriptEvent[] = [
  { kind: "printf", text: "hi\n" },
  { kind: "value", value: { kind: "tuple", elements: [int(1n), { kind: "string", value: "a" }] } },
  {
    kind: "helperError",
    helper: "probe_read",
    returnCode: -14,
    message: "Bad address",
    range: PLACE,
  },
  map("@x", [int(1n)], int(5n)),
];
const WARNING =
  "stdin:1:14-15: WARNING: Failed to probe_read: Bad address (-14)\n" +
  "begin { $a = *(int32*)5; }\n             ~\n";

/** A map's line, read again. */
function readMap(event: ScriptEvent, dialect: OutputDialect): unknown {
  const { out } = write([event], { dialect, format: "json", isQuiet: true });
  return (JSON.parse(out) as { data: unknown }).data;
}

describe("output as text", () => {
  it("puts everything on one stream in 0.17", () => {
    const { out, err } = write(EVENTS, { dialect: "0.17" });
    assert.equal(out, `Attaching 1 probe...\nhi\n(1, a)\n${WARNING}\n\n@x[1]: 5\n`);
    assert.equal(err, "");
  });

  it("keeps the program's output apart in head", () => {
    const { out, err } = write(EVENTS, { dialect: "head" });
    assert.equal(out, "hi\n(1, a)\n\n\n@x[1]: 5\n");
    assert.equal(err, `Attached 1 probe\n${WARNING}`);
  });

  it("has no banner when it is to be quiet", () => {
    assert.equal(write([], { dialect: "0.17", isQuiet: true }).out, "");
    assert.equal(write([], { dialect: "head", isQuiet: true }).err, "");
  });

  it("tells errors and warnings of the program on the error stream", () => {
    const events: readonly ScriptEvent[] = [
      { kind: "errorf", text: "no", range: PLACE },
      { kind: "warnf", text: "well", range: PLACE },
    ];
    const { err } = write(events, { dialect: "head", isQuiet: true });
    assert.match(err, /^stdin:1:14-15: ERROR: no\n.*\n +~\nstdin:1:14-15: WARNING: well\n/);
  });
});

describe("output as JSON lines", () => {
  it("has the form of 0.17, without its blank lines", () => {
    const { out } = write(EVENTS, { dialect: "0.17", format: "json" });
    assert.equal(
      out,
      `{"type": "attached_probes", "data": {"probes": 1}}
{"type": "printf", "data": "hi\\n"}
{"type": "value", "data": [1,"a"]}
{"type": "helper_error", "helper": "probe_read", "retcode": -14, "line": 1, "col": 14}
{"type": "map", "data": {"@x": {"1": 5}}}
`,
    );
  });

  it("has the form of head", () => {
    const { out } = write(EVENTS, { dialect: "head", format: "json" });
    const lines = out.trim().split("\n");
    assert.equal(lines[0], '{"type": "attached_probes", "count": 1, "data": {"probes": 1}}');
    assert.deepEqual(JSON.parse(lines[3]!), {
      type: "helper_error",
      msg: "Bad address",
      helper: "probe_read",
      retcode: -14,
      filename: "stdin",
      line: 1,
      col: 14,
    });
  });

  it("gives integers that no double holds as texts in head, as digits in 0.17", () => {
    const event = map("@n", [], int(18_446_744_073_709_551_615n));
    assert.deepEqual(readMap(event, "head"), { "@n": "18446744073709551615" });
    assert.match(
      write([event], { dialect: "0.17", format: "json" }).out,
      /"@n": 18446744073709551615\}/,
    );
    assert.deepEqual(readMap(map("@n", [], int(1n << 60n)), "head"), { "@n": 2 ** 60 });
  });

  it("names the kinds of maps", () => {
    const hist = {
      kind: "hist",
      bits: 0,
      buckets: new Map([
        [0, 1n],
        [3, 2n],
      ]),
    } as const;
    const lhist = {
      kind: "lhist",
      min: 0n,
      max: 20n,
      step: 10n,
      buckets: new Map([
        [0, 1n],
        [3, 1n],
      ]),
    } as const;
    const { out } = write(
      [
        map("@h", [], hist),
        map("@l", [{ kind: "string", value: "a b" }, int(2n)], lhist),
        map("@a", [], { kind: "avg", average: 4n, count: 1n }),
        map("@s", [], { kind: "stats", count: 2n, average: 6n, total: 12n }),
      ],
      { dialect: "head", format: "json", isQuiet: true },
    );
    assert.equal(
      out,
      `{"type": "hist", "data": {"@h": [{"max": -1, "count": 1}, {"min": 0, "max": 0, "count": 0}, {"min": 1, "max": 1, "count": 0}, {"min": 2, "max": 3, "count": 2}]}}
{"type": "hist", "data": {"@l": {"a b,2": [{"max": -1, "count": 1}, {"min": 0, "max": 9, "count": 0}, {"min": 10, "max": 19, "count": 0}, {"min": 20, "count": 1}]}}}
{"type": "stats", "data": {"@a": 4}}
{"type": "stats", "data": {"@s": {"count": 2, "average": 6, "total": 12}}}
`,
    );
  });

  it("shows every kind of value", () => {
    const value: Shown = {
      kind: "fields",
      fields: [
        { name: "b", value: { kind: "bool", value: true } },
        { name: "e", value: { kind: "enum", value: 2n, name: "RED" } },
        { name: "f", value: { kind: "buffer", bytes: Uint8Array.of(1, 255) } },
        { name: "p", value: { kind: "pointer", value: 100n } },
        { name: "t", value: { kind: "text", of: "timestamp", value: "2026" } },
        { name: "n", value: { kind: "none" } },
      ],
    };
    assert.deepEqual(readMap(map("@", [], value), "head"), {
      "@": { b: true, e: 2, f: [1, 255], p: 100, t: "2026", n: null },
    });
    assert.deepEqual(readMap(map("@", [], value), "0.17"), {
      "@": { b: 1, e: 2, f: "\\x01\\xff", p: 100, t: "2026", n: null },
    });
  });

  it("is UTF-8 whatever bytes a text has", () => {
    const text = 'a"\\\n\x01\xc3\xa9\xff\u0080';
    const { out } = write([{ kind: "printf", text }], {
      dialect: "head",
      format: "json",
      isQuiet: true,
    });
    const bytes = Uint8Array.from(out, (character) => character.charCodeAt(0));
    const decoded = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    assert.deepEqual(JSON.parse(decoded), { type: "printf", data: 'a"\\\n\x01é\ufffd\ufffd' });
  });

  it("leaves out maps that are empty", () => {
    const empty: ScriptEvent = {
      kind: "map",
      map: { name: "@", entries: [], isScalar: false, top: 0, div: 0 },
    };
    assert.equal(write([empty], { dialect: "head", format: "json", isQuiet: true }).out, "");
  });

  it("tells when an interval of a time series began", () => {
    const points = [
      { startWallNs: 500_000_000n, value: 9n },
      { startWallNs: 600_000_000n, value: undefined },
    ];
    const series = { kind: "tseries", intervalNs: 100_000_000n, points } as const;
    assert.deepEqual(readMap(map("@", [], series), "head"), {
      "@": [{ interval_start: "1970-01-01 00:00:00.500000000", value: 9 }],
    });
  });
});
