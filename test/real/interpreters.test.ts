/** bash, python3 and perl: scripts that make a known number of calls. */

import assert from "node:assert/strict";
import test from "node:test";
import { countHits } from "./support/count.ts";
import { needs, runPlain } from "./support/tools.ts";

const BASH = [
  "/bin/bash",
  "--norc",
  "-c",
  'for i in 1 2 3 4 5; do (exit $i); echo "$i $?"; done; for i in 1 2 3; do /bin/true; done; echo $(echo sub)',
];
const BASH_OUTPUT = "1 1\n2 2\n3 3\n4 4\n5 5\nsub\n";

test("bash forks as often as its script says, and its children are let go", async () => {
  const seen = await countHits(BASH, ["libc:fork", "libc:execve", "libc:exit"]);
  // Five subshells, three programs, one substitution; the exit is that of the shell itself.
  assert.deepEqual(seen.hits, { "libc:fork": 9, "libc:execve": 0, "libc:exit": 1 });
  assert.equal(seen.stdout, BASH_OUTPUT);
  assert.deepEqual(seen.status, { kind: "exited", code: 0 });
  assert.deepEqual(
    seen.events.filter((event) => event.kind === "process-started"),
    [],
  );
});

test("followed, bash's children count too, through their execs", async () => {
  const seen = await countHits(BASH, ["libc:fork", "libc:execve", "libc:exit"], {
    followForks: true,
  });
  assert.equal(seen.hits["libc:fork"], 9);
  assert.equal(seen.hits["libc:execve"], 3);
  assert.equal(seen.stdout, BASH_OUTPUT);
  const kinds = (kind: string): number => seen.events.filter((event) => event.kind === kind).length;
  assert.equal(kinds("process-started"), 9);
  assert.equal(kinds("process-exited"), 10);
  assert.equal(kinds("exec"), 3);
  const codes = seen.events.flatMap((event) =>
    event.kind === "process-exited" && event.status.kind === "exited" ? [event.status.code] : [],
  );
  assert.deepEqual(codes.sort(), [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
});

test("a pipeline of bash runs as unprobed, whether followed or not", async () => {
  const script = "seq 1 300 | sort -r | while read line; do echo $line; done | md5sum; exit 3";
  const argv = ["/bin/bash", "--norc", "-c", script];
  const plain = runPlain(argv);
  for (const followForks of [false, true]) {
    const where = ["libc:read", "libc:write", "libc:malloc", "libc:fork"];
    const seen = await countHits(argv, where, { followForks });
    assert.equal(seen.stdout, plain.stdout);
    assert.equal(seen.stderr, "");
    assert.deepEqual(seen.status, { kind: "exited", code: 3 });
    assert.equal(seen.hits["libc:fork"], 4);
  }
});

const PYTHON = `
import ctypes, zlib, os
libc = ctypes.CDLL(None)
for n in range(41): libc.a64l(b"ab")
total = 0
for n in range(37):
    data = zlib.compress(bytes([n]) * 1000)
    total += len(zlib.decompress(data))
for n in range(29): total += zlib.crc32(b"text", n) & 1
compressor = zlib.compressobj(wbits=-15)
for n in range(11): compressor.compress(b"x")
print(total, os.getpid() > 0)
`;

test(
  "python3 calls functions through ctypes and zlib as often as its script",
  needs("/usr/bin/python3"),
  async () => {
    const argv = ["/usr/bin/python3", "-I", "-c", PYTHON];
    const where = ["libz:deflateInit2_", "libz:deflate", "libz:inflateEnd", "libz:crc32"];
    const seen = await countHits(argv, ["libc:a64l", ...where], { pending: true });
    assert.equal(seen.stdout, runPlain(argv).stdout);
    assert.deepEqual(seen.hits, {
      "libc:a64l": 41,
      "libz:deflateInit2_": 38,
      "libz:deflate": 37 + 11,
      "libz:inflateEnd": 37,
      "libz:crc32": 29,
    });
  },
);

test("python3's C functions nest as its recursion does", needs("/usr/bin/python3"), async () => {
  const script = "import math, sys\nx = [math.factorial(n) for n in range(200)]\nprint(len(x))";
  let depth = 0;
  let deepest = 0;
  let opened = 0;
  let closed = 0;
  const argv = ["/usr/bin/python3", "-I", "-c", script];
  const seen = await countHits(argv, [], {
    prepare(session) {
      session.kretprobe("_PyEval_EvalFrameDefault", {
        entry() {
          opened++;
          deepest = Math.max(deepest, ++depth);
        },
        handler() {
          depth--;
          closed++;
        },
      });
    },
  });
  assert.equal(seen.stdout, "200\n");
  assert.ok(opened > 20, String(opened));
  assert.equal(opened, closed);
  assert.ok(deepest > 1);
});

test("perl calls libm and libc as often as its script", needs("/usr/bin/perl"), async () => {
  const script =
    "my $s = 0; $s += sin($_) for 1..53; $s += cos($_) for 1..17; getppid() for 1..23; printf qq(%.6f\\n), $s";
  const argv = ["/usr/bin/perl", "-e", script];
  const seen = await countHits(argv, ["libm:sin", "libm:cos", "libc:getppid"]);
  assert.deepEqual(seen.hits, { "libm:sin": 53, "libm:cos": 17, "libc:getppid": 23 });
  assert.equal(seen.stdout, runPlain(argv).stdout);
});
