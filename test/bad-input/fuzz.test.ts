/** Random locations and addresses: only ToolErrors come out, and the program runs on unharmed. */

import assert from "node:assert/strict";
import test from "node:test";
import { launch, type Session, ToolError } from "../../src/index.ts";
import { Output, PLAIN_ENV, runPlain, Scratch } from "../real/support/tools.ts";
import { makeRandom, type Random } from "../support/random.ts";

const SEEDS = [1, 2, 3];
const ROUNDS = 400;

const PIECES = [
  ...["malloc", "free", "libc", "ld-linux-x86-64", "ls", "[vdso]", "vdso", "main", "_init", "*"],
  ...[
    "?",
    "[a-",
    "]",
    "[!x]",
    "::",
    ":",
    ":::",
    "+",
    "-",
    "0x",
    "0",
    "1a",
    "ffffffffffffffff",
    "4",
  ],
  ...["(", ")", "<", ">", "~", "operator", "()", "[]", "&", " ", "\t", "/", "/usr/lib/", "..", "."],
  ...[".so", ".so.6", "@plt", "é", "\u{1f600}", "\\", "'", "$", "%s", "\0", "\n", "\u202e", "a"],
];

function makeText(random: Random): string {
  return Array.from({ length: 1 + random.below(7) }, () => random.pick(PIECES)).join("");
}

function makeAddress(random: Random, session: Session): bigint {
  const module = random.pick(session.modules());
  switch (random.below(4)) {
    case 0:
      return BigInt.asUintN(
        64,
        (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32)),
      );
    case 1:
      return random.pick([0n, 1n, (1n << 64n) - 1n, 1n << 47n, (1n << 47n) - 1n, -1n, 1n << 64n]);
    default:
      return module.base + BigInt(random.below(module.sizeBytes));
  }
}

function attempt(what: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ToolError, `${what}: ${(error as Error).stack}`);
    for (const char of error.message)
      assert.ok(char >= " ", `${what}: ${JSON.stringify(error.message)}`);
  }
}

for (const seed of SEEDS) {
  test(`random locations on ls, seed ${seed}`, async () => {
    const random = makeRandom(seed);
    using scratch = new Scratch();
    using output = new Output(scratch.file("stdout"));
    const argv = ["/bin/ls", "-la", "/usr"];
    using session = launch(argv, { env: PLAIN_ENV, stdio: ["ignore", output.fd, output.fd] });
    for (let round = 0; round < ROUNDS; round++) {
      const where = random.below(2) === 0 ? makeText(random) : makeAddress(random, session);
      const what = `seed ${seed}, round ${round}, ${typeof where === "bigint" ? `0x${where.toString(16)}` : JSON.stringify(where)}`;
      // A glob may stand for thousands of functions: those are looked at, not probed.
      attempt(what, () => session.check(where));
      if (typeof where === "string" && /[*?[]/.test(where)) continue;
      if (random.below(4) === 0) attempt(what, () => session.kretprobe(where, { handler() {} }));
      else attempt(what, () => session.kprobe(where, { pre() {}, post() {} }));
    }
    for (const probe of session.probes) if (random.below(4) === 0) probe.unregister();
    const status = await session.run();
    const plain = runPlain(argv);
    const hits = session.probes.filter((probe) => probe.hits > 0).length;
    const detail = `seed ${seed}: ${session.probes.length} probes, ${hits} hit`;
    assert.deepEqual(status, { kind: "exited", code: 0 }, detail);
    assert.equal(output.text, plain.stdout, detail);
  });
}
