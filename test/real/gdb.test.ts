/** gdb itself, a large C++ program that throws: calls counted, output as without probes. */

import assert from "node:assert/strict";
import test from "node:test";
import { countHits } from "./support/count.ts";
import { needs, runPlain } from "./support/tools.ts";

const ERRORS = 7;
const ARGV = makeArgv(ERRORS);

/** gdb throws once for each name it does not know. */
function makeArgv(errors: number): readonly string[] {
  return [
    ...["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "p 1+1"],
    ...Array.from({ length: errors }, (_, index) => ["-ex", `p nosuchsymbol${index}`]).flat(),
    ...["-ex", "p 6*7"],
  ];
}

test("what gdb throws is counted: once for each of its errors", needs("gdb"), async () => {
  const plain = runPlain(ARGV);
  let abandoned = 0;
  let returned = 0;
  const seen = await countHits(ARGV, ["libstdc++:__cxa_throw", "libstdc++:__cxa_begin_catch"], {
    prepare(session) {
      session.kretprobe("libstdc++:__cxa_throw", {
        handler() {
          returned++;
        },
        abandoned() {
          abandoned++;
        },
      });
    },
  });
  assert.equal(seen.stdout, plain.stdout);
  assert.equal(seen.stderr, plain.stderr);
  assert.deepEqual(seen.status, { kind: "exited", code: plain.code });
  assert.match(seen.stdout, /\$1 = 2(?:.|\n)*\$2 = 42/);
  const throws = seen.hits["libstdc++:__cxa_throw"] ?? 0;
  const quiet = await countHits(makeArgv(0), ["libstdc++:__cxa_throw"]);
  assert.equal(throws - (quiet.hits["libstdc++:__cxa_throw"] ?? 0), ERRORS);
  assert.ok((seen.hits["libstdc++:__cxa_begin_catch"] ?? 0) >= throws);
  assert.equal(returned, 0);
  assert.equal(abandoned, throws);
});

const returnWhere = [
  ...["libpython*:Py*_New*", "libstdc++:std::__cxx11::basic_string*append*", "libc:_IO_new_f*"],
];

for (const returnMechanism of ["site", "trampoline"] as const) {
  test(
    `return probes by ${returnMechanism} leave gdb's exceptions alone`,
    needs("gdb"),
    async () => {
      const plain = runPlain(ARGV);
      let entered = 0;
      let returned = 0;
      const seen = await countHits(ARGV, [], {
        returnMechanism,
        prepare(session) {
          for (const where of returnWhere) {
            if (session.symbols(where).length === 0) continue;
            session.kretprobe(where, {
              entry() {
                entered++;
              },
              handler() {
                returned++;
              },
            });
          }
        },
      });
      assert.equal(seen.stdout, plain.stdout);
      assert.equal(seen.stderr, plain.stderr);
      assert.deepEqual(seen.status, { kind: "exited", code: plain.code });
      assert.ok(entered > 100, String(entered));
      assert.equal(returned, entered);
    },
  );
}
