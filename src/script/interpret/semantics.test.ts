import assert from "node:assert/strict";
import test from "node:test";
import { outputOf, ScriptRun } from "../../../test/support/script-run.ts";
import { functionTable } from "../check/functions.ts";
import { isKnownFunction } from "../ir/lower-call.ts";

/**
 * Programs of today's language, with what they print; runs of blanks and empty lines do not count.
 */
function check(cases: readonly (readonly [text: string, output: string])[]): void {
  for (const [text, output] of cases) {
    for (const isSplit of [false, true]) {
      const printed = outputOf(text, { dialect: "head", isSplit });
      assert.equal(printed.replace(/\n+/g, "\n").trim(), output, text);
    }
  }
}

test("integers: signs, widths and division by zero", () => {
  check([
    ['begin { $a = -7; printf("%llu", $a / 2) }', "9223372036854775804"],
    ["begin { $a = -1; $b = (uint64)1; print($a < $b) }", "true"],
    ["begin { print((1 == 1, !5, ~0)) }", "(true, false, -1)"],
    ["begin { $x = (uint8)300; $y = (int8)200; print(($x, $y)) }", "(44, -56)"],
    ["begin { print(-1 >> 1) }", "9223372036854775807"],
    ["begin { $a = 1; $b = $a++ + ++$a; print(($a, $b)) }", "(3, 4)"],
    ["begin { $a = 5; print($a ?: 7); $a = 0; print($a ?: 7) }", "5\n7"],
  ]);
  const script = new ScriptRun("begin { $z = 0; print(5 / $z); print(5 % $z); }", {
    dialect: "head",
  });
  script.fire();
  script.fire();
  const warnings = script.run.events.filter((event) => event.kind === "runtimeWarning");
  assert.equal(warnings.length, 2, "each place tells once");
  const values = script.run.events.flatMap((event) =>
    event.kind === "value" && event.value.kind === "int" ? [event.value.value] : [],
  );
  assert.deepEqual(values, [1n, 1n, 1n, 1n]);
});

test("maps: missing keys, deletion, clearing, counting", () => {
  check([
    ["begin { @x[1] = 2; print(@x[7]); print(len(@x)); clear(@x) }", "@x[7]: 0\n1"],
    ["begin { @x[1] = 2; print(has_key(@x, 1)); print(has_key(@x, 2)); clear(@x) }", "true\nfalse"],
    ["begin { @x[1] = 2; print(delete(@x, 1)); print(delete(@x, 1)); }", "true\nfalse"],
    ["begin { @x[1,2] = 3; print(@x[(1,2)]); clear(@x) }", "@x[1, 2]: 3"],
    ["begin { @x[1] = 1; @x[2] = 5; zero(@x); print(@x[2]); clear(@x) }", "@x[2]: 0"],
    ["begin { @c = count(); @c = count(); if (@c > 1) { print(@c) } clear(@c); }", "@c: 2\n@c: 0"],
    ['begin { @s["a"] = "b"; print(@s["a"]); print(@s["c"]) }', "@s[a]: b\n@s[c]: \n@s[a]: b"],
    ["begin { @m = max(-3); @n = min(3); @a = avg(-3); @a = avg(-4) }", "@a: -3\n@m: -3\n@n: 3"],
    ["begin { @st = stats(3); @st = stats(5) }", "@st: { .count = 2, .average = 4, .total = 8 }"],
  ]);
});

test("loops over maps see the keys that were there and still are", () => {
  check([
    [
      'begin { @x[1] = 10; @x[2] = 20; for ($kv : @x) { printf("%d=%d ", $kv.0, $kv.1) } clear(@x) }',
      "1=10 2=20",
    ],
    [
      "begin { @x[1] = 1; @x[2] = 2; @x[3] = 3; for ($kv : @x) { delete(@x, $kv.0 + 1); " +
        '@x[$kv.0 + 10] = 1; printf("%d ", $kv.0) } clear(@x) }',
      "1 3",
    ],
    [
      'begin { @x[1, "a"] = 5; for ($kv : @x) { printf("%d %s %d", $kv.0.0, $kv.0.1, $kv.1) } clear(@x) }',
      "1 a 5",
    ],
    [
      "begin { for ($i : 1..6) { if ($i == 2) { continue } if ($i == 4) { break } print($i) } }",
      "1\n3",
    ],
    ['begin { for ($i : 0..3) { $i = 7; printf("%d ", $i) } }', "7 7 7"],
    ["begin { unroll(3) { @ += 2 } }", "@: 6"],
  ]);
});

test("functions of texts, bytes and numbers", () => {
  check([
    [
      'begin { print(strlen("abc")); print(strstr("hello", "lo")); print(strstr("a", "b")) }',
      "3\n3\n-1",
    ],
    ['begin { print(strcontains("hello", "ell")); print(strncmp("abc", "abd", 2)) }', "true\n0"],
    ['begin { print(str_concat("ab", "cd")); print(strcap("hello", 2)) }', "abcd\nhe"],
    [
      'config = { max_strlen = 8 } begin { print(str("abcdefghijkl")); print(str("abcdef")) }',
      "abcdefg..\nabcdef",
    ],
    [
      "begin { print(strerror(2)); print(signal_name(9)); print(syscall_name(0)) }",
      "No such file or directory\nSIGKILL\nread",
    ],
    ['begin { print(ntop(0x0100007f)); print(ntop(pton("1::2:0:0:3"))) }', "127.0.0.1\n1::2:0:0:3"],
    ['begin { printf("%x", bswap((uint16)0x1122)) }', "2211"],
    ['begin { printf("%rx", buf("ab", 2)) }', "\\x61\\x62"],
  ]);
});

test("a failing read gives 0 or an empty text, and is told where that is asked for", () => {
  for (const isSplit of [false, true]) {
    const text = 'uprobe:/bin/x:f { printf("[%s] %d\\n", str(arg0), *(uint32*)arg1) }';
    const script = new ScriptRun(text, { dialect: "head", reportsFailures: true, isSplit });
    script.fire();
    assert.deepEqual(
      script.run.events.map((event) => (event.kind === "helperError" ? event.helper : event.kind)),
      ["probe_read_str", "probe_read", "printf"],
    );
    assert.equal(script.run.text, "[] 0\n");
    const quiet = new ScriptRun(text, { dialect: "head", isSplit });
    quiet.fire();
    assert.deepEqual(
      quiet.run.events.map((event) => event.kind),
      ["printf"],
    );
  }
});

test("a full map takes no more keys, and an lru map forgets the oldest", () => {
  const full = "config = { max_map_keys = 2 } begin { @[1] = 1; @[2] = 2; @[3] = 3; @[2] = 4 }";
  const script = new ScriptRun(full, { dialect: "head" });
  script.fire();
  script.finish();
  const [warning] = script.run.events;
  assert.ok(warning?.kind === "runtimeWarning" && /full/.test(warning.message));
  assert.match(script.output, /@\[1\]: 1\n@\[2\]: 4\n$/);

  const lru = "let @ = lruhash(2); begin { @[1] = 1; @[2] = 2; $x = @[1]; @[3] = 3 }";
  assert.equal(outputOf(lru, { dialect: "head" }).trim(), "@[1]: 1\n@[3]: 3");

  const old = new ScriptRun("BEGIN { @[0] = 1; $i = 0; while ($i < 4097) { @[$i] = 1; $i++; } }", {
    dialect: "0.17",
    reportsFailures: true,
  });
  old.fire();
  const failures = old.run.events.filter((event) => event.kind === "helperError");
  assert.deepEqual(
    failures.map((event) => event.kind === "helperError" && [event.helper, event.returnCode]),
    [["map_update_elem", -7]],
  );
});

test("a loop without end is ended, told of and counted", () => {
  const script = new ScriptRun("begin { while (1) { @ = 1 } print(2) }", { dialect: "head" });
  script.fire();
  assert.equal(script.executable.loopsEnded, 1);
  assert.deepEqual(
    script.run.events.map((event) => event.kind),
    ["runtimeWarning"],
  );
});

test("exit ends the action at once, with its code", () => {
  const script = new ScriptRun('begin { printf("a"); exit(3); printf("b") } end { printf("c") }', {
    dialect: "head",
  });
  script.fire();
  assert.equal(script.run.text, "ac");
  assert.deepEqual(script.run.exitCodes, [3]);
});

test("what a test probe returns is given", () => {
  assert.equal(new ScriptRun("test:a { return 5 }", { dialect: "head" }).fire(), 5);
  assert.equal(
    new ScriptRun("test:a { if (0) { return 5 } }", { dialect: "head" }).fire(),
    undefined,
  );
});

test("maps come at the end by name, unless the settings forbid", () => {
  const text = "begin { @b = 1; @a = 2; @[1] = 3 }";
  assert.equal(
    outputOf(text.replace("@[1]", "@c"), { dialect: "head" }).trim(),
    "@a: 2\n@b: 1\n@c: 3",
  );
  const silent = `config = { print_maps_on_exit = false } ${text}`;
  assert.equal(outputOf(silent, { dialect: "head" }), "");
});

test("deeds reach the target and the run", () => {
  const text =
    'uprobe:/bin/x:f { signal("KILL"); signal_thread(10); write_user((uint16*)arg0, 0x1234); ' +
    'system("echo %d %s", 5, comm); cat("/etc/%s", "x"); override(7) }';
  const script = new ScriptRun(text, { dialect: "head" });
  script.run.files.set("/etc/x", "text\n");
  script.fire();
  assert.deepEqual(script.firing.signals, [
    { signal: 9, toThread: false },
    { signal: 10, toThread: true },
  ]);
  assert.deepEqual(script.run.commands, ["echo 5 fake"]);
  assert.equal(script.run.text, "text\n");
  const [written] = script.firing.written;
  assert.equal(written?.address, 1n);
  assert.deepEqual([...(written?.bytes ?? [])].slice(0, 2), [0x34, 0x12]);
});

test("every function that outlives the checker is known to lowering", () => {
  for (const { name, call, isAggregation } of functionTable) {
    if (call === "" || isAggregation) continue;
    assert.ok(isKnownFunction(name), name);
  }
});
