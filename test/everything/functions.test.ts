/**
 * Whole functions of libraries with a probe on every instruction, while they do real work whose
 * output must be that of a run without probes (K-02, L-04). Where single steps give a count of
 * their own, the hits of each single instruction must be that.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { describe, test } from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import {
  ALL_WAYS,
  AUTO,
  BOOST,
  compareCounts,
  countSteps,
  EMULATE,
  type Everything,
  findMissing,
  isLarge,
  probeEverything,
  STEP,
  STEP_POST,
  type Way,
} from "./support/every.ts";

interface Work {
  readonly name: string;
  readonly argv: (amount: number) => readonly string[];
  /** Small and large. */
  readonly amounts: readonly [number, number];
  readonly where: readonly string[];
  readonly ways: readonly Way[];
  /** Instructions that have to be there, and hits. */
  readonly atLeast: readonly [number, number];
  /** Debian packages that it takes besides the compiler. */
  readonly packages: readonly string[];
  /** Its single steps are few enough to be counted. */
  readonly isSteppable?: true;
}

const chores = (name: string, ...flags: readonly string[]) => {
  return (amount: number): readonly string[] => [
    build("chores.c", ...flags, "-lm"),
    name,
    String(amount),
  ];
};

const WORKS: readonly Work[] = [
  {
    name: "qsort and bsearch",
    packages: ["libc6-dbg"],
    argv: chores("sort"),
    amounts: [60, 1500],
    where: ["libc:qsort", "libc:qsort_r", "libc:msort_with_tmp*", "libc:bsearch", "compareLongs"],
    ways: ALL_WAYS,
    atLeast: [150, 5000],
    isSteppable: true,
  },
  {
    name: "printf and scanf, with doubles",
    packages: ["libc6-dbg"],
    argv: chores("print"),
    amounts: [2, 30],
    where: [
      ...["libc:__vfprintf_internal", "libc:__printf_fp_l", "libc:__printf_fphex"],
      ...["libc:_itoa_word", "libc:__mpn*", "libc:*strtod_l_internal", "libc:__vfscanf_internal"],
    ],
    ways: [AUTO, STEP_POST, EMULATE],
    atLeast: [10_000, 20_000],
    isSteppable: true,
  },
  {
    name: "malloc and free",
    packages: ["libc6-dbg"],
    argv: chores("alloc"),
    amounts: [120, 3000],
    where: [
      ...["libc:malloc", "libc:free", "libc:calloc", "libc:realloc", "libc:_int_*"],
      ...["libc:sysmalloc", "libc:unlink_chunk*", "libc:malloc_consolidate", "libc:tcache*"],
    ],
    ways: [AUTO, STEP_POST, BOOST],
    atLeast: [2500, 5000],
  },
  {
    name: "zlib's inflate",
    packages: ["zlib1g-dev"],
    argv: chores("inflate", "-DWITH_Z", "-l:libz.a"),
    amounts: [400, 5000],
    where: ["inflate*", "adler32*", "fixedtables*"],
    ways: [AUTO],
    atLeast: [3000, 10_000],
  },
  {
    name: "regular expressions",
    packages: ["libc6-dbg"],
    argv: chores("regex"),
    amounts: [1, 6],
    where: ["libc:re*", "libc:*sift_states*", "libc:*transit*", "libc:build_*", "libc:check_*"],
    ways: [AUTO],
    atLeast: [8000, 100_000],
  },
  {
    name: "doubles, read and printed, and libm",
    packages: ["libc6-dbg"],
    argv: chores("double"),
    amounts: [2, 60],
    where: [
      ...["libm:*sin*", "libm:*exp*", "libm:*pow*", "libm:*log*", "libm:*fmod*"],
      ...["libc:__printf_fp_l", "libc:strto*", "libc:*strtod*", "libc:*strtold*"],
    ],
    ways: [AUTO],
    atLeast: [20_000, 10_000],
  },
  {
    name: "SHA-1, SHA-2 and AES of OpenSSL",
    packages: ["libssl-dev"],
    argv: chores("digest", "-DWITH_CRYPTO", "-l:libcrypto.a"),
    amounts: [1, 12],
    where: [
      ...["sha1_block*", "sha256_block*", "sha512_block*", "SHA1*", "SHA256*", "SHA512*"],
      ...["AES_*", "aes_*", "_x86_64_AES*"],
    ],
    ways: [AUTO],
    atLeast: [10_000, 4000],
  },
  {
    name: "perl's regular expressions",
    packages: ["perl-base"],
    argv: (amount) => [
      "/usr/bin/perl",
      "-e",
      `for (1..${amount}) { print join("|", "ab1cd22ef$_" =~ /^([a-z]+?)(\\d+)(?:x|c(d))(?<=d)(\\d*)\\w*$/), "\\n" }`,
    ],
    amounts: [2, 30],
    where: ["perl:Perl_re*", "perl:Perl_pp_match", "perl:Perl_pregcomp"],
    ways: [AUTO],
    atLeast: [4000, 1000],
  },
  {
    name: "a C++ exception on its way",
    packages: [],
    argv: (amount) => [build("throws.cpp", "-static-libgcc", "-static-libstdc++"), String(amount)],
    amounts: [3, 40],
    where: [
      ...["_Unwind_*", "uw_*", "execute_cfa_program", "extract_cie_info", "search_object"],
      ...["__cxa_*", "__gxx_personality_v0", "read_encoded_value*", "outer", "middle", "thrower"],
      ...["libc:dl_iterate_phdr", "libc:_dl_find_object"],
    ],
    ways: [AUTO, STEP_POST],
    atLeast: [2500, 8000],
  },
];

function checkRun(seen: Everything, work: Work, way: Way, expected: string): void {
  const { finish } = seen;
  assert.equal(finish.text, expected);
  assert.deepEqual(finish.status, { kind: "exited", code: 0 });
  assert.deepEqual([seen.missed, seen.errors], [0, []]);
  if (way.strategy === undefined) {
    const [instructions, hits] = work.atLeast;
    assert.ok(seen.armed.length >= instructions, `${seen.armed.length} instructions`);
    assert.ok(seen.hitCount >= hits, `${seen.hitCount} hits`);
    assert.deepEqual(seen.refused, []);
  }
  if (way.wantsPost) assert.equal(seen.posts, seen.hitCount);
}

function runPlain(argv: readonly string[]): string {
  const [program = "", ...args] = argv;
  const plain = spawnSync(program, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  assert.equal(plain.status, 0, plain.stderr);
  return plain.stdout;
}

for (const work of WORKS) {
  describe(`every instruction of ${work.name}`, {
    skip: needsGcc || findMissing(work.packages),
  }, () => {
    for (const way of isLarge ? ALL_WAYS : work.ways) {
      test(way.name, async () => {
        const argv = work.argv(work.amounts[isLarge ? 1 : 0]);
        const from = argv[0]?.endsWith("chores") === true ? { from: "begun" } : {};
        const where = work.where.map((one) => `${one}+*`);
        const seen = await probeEverything({ argv, where, way, ...from });
        checkRun(seen, work, way, runPlain(argv));
        if (work.isSteppable !== true || isLarge || way !== AUTO) return;
        const steps = await countSteps(argv, seen, constants.signals.SIGURG);
        assert.deepEqual(compareCounts(seen.hits, steps), []);
      });
    }
  });
}

/** Kinds of the table in chores.c, by what the variants' names start with. */
const KINDS: readonly (readonly [kind: number, name: RegExp])[] = [
  [0, /^__(memcpy|memmove)_(?!chk)/],
  [1, /^__memset_(?!chk)/],
  [2, /^__strlen_/],
  [3, /^__memchr_/],
  [4, /^__strchr_/],
  [5, /^__memcmp_/],
  [6, /^__strcmp_/],
  [7, /^__strcpy_/],
  [8, /^__strnlen_/],
  [9, /^__strrchr_/],
];

/** Whether this CPU has what a variant of a string function is made for. */
function runsHere(name: string): boolean {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? "";
  const has = (flag: string): boolean => ` ${flags} `.includes(` ${flag} `);
  if (/chk|rtm|wcs|wmem|small/.test(name)) return false;
  if (/avx512|evex512/.test(name)) return has("avx512vl") && has("avx512bw");
  if (/evex/.test(name)) return has("avx512vl") && has("avx512bw") && has("bmi2");
  if (/avx2/.test(name)) return has("avx2") && has("bmi2");
  if (/avx/.test(name)) return has("avx");
  return true;
}

const skip = needsGcc || findMissing(["libc6-dbg"]);
describe("every instruction of every variant of the string functions", { skip }, () => {
  for (const way of isLarge ? ALL_WAYS : [AUTO, STEP]) {
    test(way.name, async () => {
      const argv = [
        build("chores.c", "-lm"),
        "strings",
        isLarge ? "4200" : way === AUTO ? "300" : "64",
      ];
      const names: string[] = [];
      const seen = await probeEverything({
        argv,
        way,
        from: "begun",
        where: [
          ...["memcpy", "memmove", "memset", "strlen", "memchr", "strchr", "memcmp", "strcmp"],
          ...["strcpy", "strnlen", "strrchr"],
        ].map((name) => `libc:__${name}_*+*`),
        prepare: (session, hit) => {
          const table = hit.arg(0);
          const variants = session
            .symbols("libc:__*")
            .filter(({ name }) => runsHere(name))
            .flatMap((symbol) => {
              const kind = KINDS.find(([, pattern]) => pattern.test(symbol.name))?.[0];
              return kind === undefined ? [] : [{ kind, ...symbol }];
            });
          for (const [index, { kind, address, name }] of variants.entries()) {
            hit.memory.writeU64(table + BigInt(8 + index * 16), BigInt(kind));
            hit.memory.writeU64(table + BigInt(16 + index * 16), address);
            names.push(name);
          }
          hit.memory.writeU64(table, BigInt(variants.length));
        },
      });
      assert.ok(names.length >= 25, names.join(" "));
      assert.equal(
        seen.finish.text,
        `variants ${names.length}\nwrong 0\nat least one each 1\ndone\n`,
        names.join(" "),
      );
      assert.deepEqual([seen.missed, seen.errors], [0, []]);
      assert.ok(seen.armed.length > 5000 || way.strategy !== undefined, `${seen.armed.length}`);
      // Each of them ran with probes in it.
      assert.ok(seen.hitCount > 5000, `${seen.hitCount} hits`);
    });
  }
});
