import assert from "node:assert/strict";
import test from "node:test";
import { type ScriptOptions, ScriptRun } from "../../../test/support/script-run.ts";
import { intType, type Type } from "../types.ts";

const HEAD = "struct point { int x; short y; char name[8]; unsigned int low : 3; int high : 5; };";

/** At 0x1000: what the fields of the struct above hold. */
function memory(): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, -5, true);
  view.setInt16(4, 300, true);
  bytes.set(new TextEncoder().encode("abc\0zzz"), 6);
  // low is 5, high is -3: 0b11101 in the five bits above it.
  view.setUint8(14, 0b11101_101);
  view.setBigUint64(32, 0x1000n, true);
  return bytes;
}

function run(text: string, options: Partial<ScriptOptions> = {}): string {
  const outputs = [false, true].map((isSplit) => {
    const script = new ScriptRun(text, { dialect: "head", isSplit, ...options });
    script.firing.args = [0x1000n, 0x1020n, 0xdeadn];
    script.firing.memory.set(0x1000n, memory());
    script.firing.strings.set(0x1006n, "abc");
    script.firing.frames = [
      { address: 0x1000n, place: { name: "malloc", offset: 4, module: "libc" } },
      { address: 0x2000n, place: { name: undefined, offset: 0, module: undefined } },
    ];
    script.fire();
    script.finish();
    return script.output;
  });
  assert.equal(outputs[1], outputs[0], "split or not");
  return outputs[0] ?? "";
}

const probe = (body: string) => `${HEAD} uprobe:/bin/x:f { ${body} }`;

test("fields of a struct are read by their types", () => {
  assert.equal(
    run(probe('$p = (struct point *)arg0; printf("%d %d %s", $p->x, $p->y, $p->name)')),
    "-5 300 abc",
  );
  assert.equal(run(probe('$p = (struct point *)arg0; printf("%d %d", $p->low, $p->high)')), "5 -3");
  assert.equal(
    run(probe('$q = (struct point **)arg1; printf("%d", (*$q)->x)')),
    "-5",
    "a pointer to a pointer",
  );
});

test("a struct is a value: copied, shown, and its fields taken out", () => {
  assert.equal(
    run(probe("$s = *(struct point *)arg0; print($s)")),
    "{ .x = -5, .y = 300, .name = abc, .low = 5, .high = -3 }\n",
  );
  assert.equal(
    run(probe('$s = *(struct point *)arg0; printf("%d %s %d", $s.y, $s.name, $s.high)')),
    "300 abc -3",
  );
  assert.match(run(probe("@ = *(struct point *)arg0")), /^@: \{ \.x = -5, .* \.high = -3 \}\n$/);
});

test("what cannot be read is zeros of its type", () => {
  assert.equal(run(probe('$p = (struct point *)arg2; printf("%d [%s]", $p->x, $p->name)')), "0 []");
  assert.equal(
    run(probe("$s = *(struct point *)arg2; print($s)")),
    "{ .x = 0, .y = 0, .name = , .low = 0, .high = 0 }\n",
  );
});

test("tuples, their elements, and as keys", () => {
  assert.equal(
    run(probe('$t = (1, "a", (2, pid)); print($t); print($t.2.1)')),
    "(1, a, (2, 100))\n100\n",
  );
  assert.equal(run(probe('@[1, "a"] = 2; @[1, "a"] += 3')), "@[1, a]: 5\n");
  assert.equal(run(probe('@[(1, "a")] = count(); @[1, "a"] = count()')), "@[1, a]: 2\n");
});

test("keys that look alike are not the same", () => {
  const text = run(probe('@["1,2", "3"] = 1; @["1", "2,3"] = 2'));
  assert.equal(text, "@[1,2, 3]: 1\n@[1, 2,3]: 2\n");
});

test("stacks and symbols are shown, counted, and keys", () => {
  assert.equal(run(probe("print(usym(0x1000)); print(usym(0x2000))")), "malloc\n0x2000\n");
  assert.equal(run(probe("print(ustack)")), "\n        malloc+4\n        0x2000\n\n");
  assert.match(run(probe("@[ustack] = count(); @[ustack] = count()")), /malloc\+4\n.*\n\]: 2\n/);
  assert.equal(run(probe("print(len(ustack))")), "2\n");
});

test("builtins of the hit", () => {
  assert.equal(
    run(probe('printf("%d %d %s %d %s %s", pid, tid, comm, cpu, func, probe)')),
    "100 101 fake 3 main uprobe:/bin/x:main",
  );
  assert.equal(run(probe('printf("%llx", reg("ip"))')), "1000");
});

test("arguments with types come from where the point has them", () => {
  const name: Type = { kind: "string", sizeBytes: 8 };
  const script = new ScriptRun('uprobe:/bin/x:f { printf("%d %s", args.n, args.name) }', {
    dialect: "head",
    world: {
      findArguments: () => ({
        fields: [
          { name: "n", type: intType(4, true), from: { kind: "argument", index: 0 } },
          { name: "name", type: name, from: { kind: "argument", index: 1 } },
        ],
      }),
    },
  });
  script.firing.fields = [0xffff_fffen, 0x40n];
  script.firing.strings.set(0x40n, "text");
  script.fire();
  assert.equal(script.output, "-2 text");
});

test("join takes the texts of an array of pointers up to a null one", () => {
  const script = new ScriptRun('uprobe:/bin/x:f { join(arg0); join(arg0, ",") }', {
    dialect: "head",
  });
  const bytes = new Uint8Array(256);
  new DataView(bytes.buffer).setBigUint64(0, 0x10n, true);
  new DataView(bytes.buffer).setBigUint64(8, 0x20n, true);
  script.firing.args = [0x1000n];
  script.firing.memory.set(0x1000n, bytes);
  script.firing.strings.set(0x10n, "ls").set(0x20n, "-l");
  script.fire();
  assert.equal(script.output, "ls -l\nls,-l\n");
});

test("hostile sizes and indexes read nothing that is not there", () => {
  assert.equal(
    run(probe('print(str(arg0 + 6, 0)); print(strcap("abc", -1)); print("abc"[7])')),
    "\n\n0\n",
  );
  assert.equal(
    run(probe('print(str(arg0 + 6, -1)); printf("[%r]", buf(arg2, 3))')),
    "\n[\\x00\\x00\\x00]",
  );
  assert.equal(run(probe('@["\\x00`${1}"] = 1; printf("%s", "`${1}\\\\")')).slice(0, 6), "`${1}\\");
});

test("a time series keeps its last intervals", () => {
  const text = "begin { @ = tseries(3, 1s, 2); @ = tseries(5, 1s, 2) }";
  const script = new ScriptRun(text, { dialect: "head" });
  script.run.stepNs = 0n;
  script.fire();
  script.run.now += 1_000_000_000n;
  script.fire();
  script.run.now += 5_000_000_000n;
  script.fire();
  script.finish();
  const [event] = script.run.events;
  const value = event?.kind === "map" ? event.map.entries[0]?.value : undefined;
  assert.ok(value?.kind === "tseries");
  assert.deepEqual(
    value.points.map((point) => point.value),
    [5n],
  );
});
