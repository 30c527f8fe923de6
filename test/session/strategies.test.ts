/**
 * Programs that notice when anything is not as without probes, each run in every way in which
 * displaced instructions can be executed and returns be caught (K-02, K-36, X-05 to X-15, L-04):
 * what they print must be right, and the hits must be the calls that they counted.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LaunchOptions, Probe, Session } from "../../src/index.ts";
import { build, buildLibrary, type Finish, launchProgram, needsGcc } from "../support/programs.ts";

interface Mode {
  readonly name: string;
  readonly options: LaunchOptions;
  readonly wantsPost: boolean;
}

const DEFAULT: Mode = { name: "default", options: {}, wantsPost: false };
const STEP: Mode = { name: "forced step", options: { strategy: "step" }, wantsPost: false };
const POST: Mode = { name: "with post handlers", options: {}, wantsPost: true };
const STEP_POST: Mode = {
  name: "forced step with post handlers",
  options: { strategy: "step" },
  wantsPost: true,
};
const TRAMPOLINE: Mode = {
  name: "trampoline",
  options: { returnMechanism: "trampoline" },
  wantsPost: false,
};
const ALL = [DEFAULT, STEP, POST, STEP_POST, TRAMPOLINE];
/** The classic trampoline breaks unwinding: that is why it is not the default (K-36). */
const UNWINDABLE = [DEFAULT, STEP, POST];

/** What was put on one location. */
class Watched {
  readonly kprobe: Probe;
  readonly kretprobe: Probe | undefined;
  posts = 0;
  returns = 0;
  faults = 0;
  private readonly wantsPost: boolean;

  constructor(session: Session, where: string, mode: Mode, how: { readonly pending: boolean }) {
    this.wantsPost = mode.wantsPost;
    this.kprobe = session.kprobe(
      where,
      {
        pre: (hit) => assert.equal(hit.registers.pc, hit.address),
        ...(mode.wantsPost ? { post: () => void this.posts++ } : {}),
        fault: () => void this.faults++,
      },
      how,
    );
    this.kretprobe = where.includes("+")
      ? undefined
      : session.kretprobe(
          where,
          {
            entry: (hit, call) => {
              call.data = hit.arg(0);
            },
            handler: (hit, call) => {
              assert.equal(hit.registers.pc, call.returnAddress);
              this.returns++;
            },
          },
          how,
        );
  }

  /** Hits as expected; every call returned but those abandoned. */
  check(
    hitCount: number,
    what: { readonly abandoned?: number; readonly faults?: number } = {},
  ): void {
    const { kprobe, kretprobe } = this;
    const abandoned = what.abandoned ?? 0;
    const faults = what.faults ?? 0;
    const { where } = kprobe;
    assert.deepEqual(
      {
        where,
        hits: kprobe.hits,
        missed: kprobe.missed,
        errors: kprobe.errors,
        faults: this.faults,
      },
      { where, hits: hitCount, missed: 0, errors: 0, faults },
    );
    if (this.wantsPost) assert.equal(this.posts, hitCount - faults, `posts of ${where}`);
    if (kretprobe === undefined) return;
    assert.deepEqual(
      {
        where,
        hits: kretprobe.hits,
        missed: kretprobe.missed,
        errors: kretprobe.errors,
        abandoned: kretprobe.abandoned,
        returns: this.returns,
      },
      { where, hits: hitCount, missed: 0, errors: 0, abandoned, returns: hitCount - abandoned },
    );
  }
}

interface Scenario {
  readonly name: string;
  readonly argv: () => readonly string[];
  readonly where: readonly string[];
  readonly modes?: readonly Mode[];
  readonly options?: LaunchOptions;
  readonly pending?: true;
  readonly check: (watched: readonly Watched[], finish: Finish) => void;
}

/** For programs that print a count under the name of each function. */
function asPrinted(watched: readonly Watched[], { counts }: Finish): void {
  for (const one of watched) one.check(counts.get(one.kprobe.where));
}

/**
 * `NAME!` stands for every instruction of the function NAME, `NAME!syscall` for those that are
 * system calls, of which there may be none.
 */
function expand(session: Session, where: string): readonly string[] {
  const [name = "", only] = where.split("!");
  if (only === undefined) return [where];
  const sizeBytes = session.symbols(name).find((one) => one.sizeBytes > 0)?.sizeBytes ?? 0;
  const all: string[] = [];
  for (let offset = 0; offset < sizeBytes; ) {
    const check = session.check(`${name}+${offset}`)[0];
    if (only === "" || check?.instruction === only) {
      all.push(offset === 0 ? name : `${name}+${offset}`);
    }
    offset += check?.bytes.length ?? sizeBytes;
  }
  return all;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "calls of every shape",
    argv: () => [build("calls.c")],
    where: [
      ...["f", "g", "h", "fib", "sum_all", "tail_first", "tail_second", "return_char"],
      ...["return_short", "return_bool", "return_pair", "return_big", "return_double"],
      ...["return_pointer", "six_and_more", "no_arguments"],
    ],
    check: asPrinted,
  },
  {
    name: "X-05 X-06 registers, flags and vectors, at each instruction of a function",
    argv: () => [build("cpuregs.c"), "20"],
    where: ["touched!"],
    check: (watched, { text }) => {
      assert.match(text, /^general 20\nvector 20\nx87 20\nred zone 20\nOK\n$/);
      // In each round by check_general, check_sse, check_avx where there is AVX, and check_x87.
      const calls = watched[0]?.kprobe.hits ?? 0;
      assert.ok(calls === 80 || calls === 60, `${calls} calls`);
      assert.equal(watched.length, 8);
      for (const one of watched) one.check(calls);
    },
  },
  {
    name: "L-06 the red zone, at each instruction of a leaf",
    argv: () => [build("cpuregs.c"), "20"],
    where: ["leaf!"],
    check: (watched, { text }) => {
      assert.match(text, /^general 20\nvector 20\nx87 20\nred zone 20\nOK\n$/);
      assert.equal(watched.length, 11);
      for (const one of watched) one.check(20);
    },
  },
  {
    name: "K-04 faults",
    argv: () => [build("faulter.c")],
    where: [
      ...["load_at", "store_relative", "divide+5", "call_through+4", "jump_to", "push_at+6"],
      "call_at+6",
      "illegal",
    ],
    check: ([load, store, divide, call, jump, push, callAt, illegal], { text }) => {
      assert.match(text, /wrong faults 0\nok\n$/);
      // An instruction that faulted is executed again once the program's handler has mended the
      // cause, and the probe fires again.
      const kprobe = (one: Watched | undefined, hits: number, faults: number): void => {
        assert.deepEqual(
          [one?.kprobe.where, one?.kprobe.hits, one?.faults],
          [one?.kprobe.where, hits, faults],
        );
        assert.equal(one?.kprobe.errors, 0);
      };
      kprobe(load, 40, 20);
      kprobe(store, 20, 10);
      kprobe(divide, 20, 10);
      kprobe(call, 20, 10);
      kprobe(jump, 10, 0);
      kprobe(push, 20, 10);
      kprobe(callAt, 20, 10);
      kprobe(illegal, 10, 10);
    },
  },
  {
    name: "X-15 signals",
    argv: () => [build("signals.c"), "150"],
    where: ["work"],
    check: ([work], { text, counts }) => {
      assert.match(text, /^handled 150 150\noutside 0\nok\n$/m);
      work?.check(counts.get("work"));
    },
  },
  {
    name: "K-11 K-12 breakpoints and stops of the program's own",
    argv: () => [build("selftrap.c")],
    where: ["trapper", "plain", "trapper+4"],
    // An int3 is never stepped.
    modes: [DEFAULT, POST, TRAMPOLINE],
    check: ([trapper, plain, int3], { text }) => {
      assert.match(text, /^int3 10\nraised 10\nkilled 10\nplain 30\nstopped 3\nok\n$/);
      trapper?.check(10);
      plain?.check(30);
      // Its trap is the program's: whether it counts as a fault of the copy is not our question.
      assert.deepEqual([int3?.kprobe.hits, int3?.kprobe.errors], [10, 0]);
    },
  },
  {
    name: "K-11 stops and trap signals of the program's own, around its breakpoints",
    argv: () => [build("selftrap.c")],
    where: ["trapper", "plain"],
    modes: [STEP, STEP_POST],
    check: ([trapper, plain], { text }) => {
      assert.match(text, /^int3 10\nraised 10\nkilled 10\nplain 30\nstopped 3\nok\n$/);
      trapper?.check(10);
      plain?.check(30);
    },
  },
  {
    name: "K-36 longjmp",
    argv: () => [build("longjmps.c")],
    where: ["guard", "deep"],
    check: ([guard, deep], { text }) => {
      assert.match(text, /jumped 100\nok\n$/);
      guard?.check(200);
      deep?.check(1000, { abandoned: 500 });
    },
  },
  {
    name: "K-36 C++ exceptions",
    argv: () => [build("throws.cpp")],
    where: ["outer", "middle", "thrower"],
    modes: UNWINDABLE,
    check: (watched, { text }) => {
      assert.match(text, /caught 200\nreturned 100\ndestroyed 900\nok\n$/);
      for (const one of watched) one.check(300, { abandoned: 200 });
    },
  },
  {
    name: "exec by the first thread",
    argv: () => [build("execer.c"), "leader", "3"],
    where: ["work"],
    check: ([work], { text }) => {
      assert.match(text, /image 3: 5 calls\nok\n$/);
      work?.check(20);
    },
  },
  {
    name: "exec by another thread",
    argv: () => [build("execer.c"), "thread", "3"],
    where: ["work"],
    check: ([work], { text }) => {
      assert.match(text, /image 3: 5 calls\nok\n$/);
      work?.check(20);
    },
  },
  {
    name: "a library that comes and goes",
    argv: () => [build("dlopener.c"), buildLibrary("plugin.c"), "3"],
    where: ["plugin.so:plugin_work"],
    pending: true,
    check: ([work], { text }) => {
      assert.match(text, /round 3: 11 calls\nstale writes 0\nok\n$/);
      work?.check(33);
    },
  },
  {
    name: "waits that a stop would cut short",
    argv: () => [build("epoller.c"), "8"],
    where: ["tick"],
    check: ([tick], { text, counts }) => {
      assert.match(text, /\nok\n$/);
      tick?.check(counts.get("tick"));
    },
  },
  {
    name: "a static program",
    argv: () => [build("static.c", "-static")],
    where: ["work"],
    check: asPrinted,
  },
  {
    name: "a static program that is moved about",
    argv: () => [build("static.c", "-static-pie", "-fPIE")],
    where: ["work"],
    check: asPrinted,
  },
];

/** Functions of libc that make children; not each libc has each. */
const MAKERS = ["_Fork", "fork", "vfork", "clone", "__clone3", "clone3", "pthread_create"];

const BIRTHS: readonly Scenario[] = [
  {
    name: "X-10 the system calls that make processes",
    argv: () => [build("forker.c"), "fork", "vfork", "spawn", "clone", "clone-vm", "vfork-work"],
    where: MAKERS.map((name) => `libc:${name}!syscall`),
    options: { followForks: true },
    check: (watched, { text }) => {
      assert.equal(text.match(/ child 3$/gm)?.length, 6);
      assert.equal(text.match(/ parent 2$/gm)?.length, 6);
      const hits = watched.map(({ kprobe }) => kprobe.hits);
      // Six children; a system call may be known under two names.
      assert.ok(hits.reduce((sum, count) => sum + count) >= 6, hits.join(" "));
      for (const { kprobe } of watched) assert.deepEqual([kprobe.missed, kprobe.errors], [0, 0]);
    },
  },
  {
    name: "X-10 the system calls that make threads",
    argv: () => [build("threads16.c"), "20"],
    where: MAKERS.map((name) => `libc:${name}!syscall`),
    check: (watched, { text }) => {
      assert.match(text, /^hammered 320\nother 50\nok\n$/);
      assert.ok(watched.some(({ kprobe }) => kprobe.hits === 16));
      for (const { kprobe } of watched) assert.deepEqual([kprobe.missed, kprobe.errors], [0, 0]);
    },
  },
];

const WAYS = ["fork", "vfork", "spawn", "clone", "clone-vm", "vfork-work"];

/** Whether a child of this way is seen without followForks: it runs in its parent's memory. */
const isShared = (way: string): boolean => way === "clone-vm" || way === "vfork-work";

const FORKS: readonly Scenario[] = WAYS.flatMap((way) =>
  [true, false].map((followForks) => ({
    name: `a child by ${way}, ${followForks ? "followed" : "let go clean"}`,
    argv: () => [build("forker.c"), way],
    where: ["work"],
    options: { followForks },
    modes: [DEFAULT, STEP_POST, TRAMPOLINE],
    check: ([work]: readonly Watched[], { text }: Finish) => {
      assert.equal(text, `${way} child 3\n${way} parent 2\nok\n`);
      work?.check(followForks || isShared(way) ? 5 : 2);
    },
  })),
);

for (const scenario of [...SCENARIOS, ...BIRTHS, ...FORKS]) {
  describe(scenario.name, { skip: needsGcc }, () => {
    for (const mode of scenario.modes ?? ALL) {
      test(mode.name, async () => {
        using program = launchProgram(scenario.argv(), { ...mode.options, ...scenario.options });
        const { session } = program;
        const watched = scenario.where
          .flatMap((where) => expand(session, where))
          .map(
            (where) => new Watched(session, where, mode, { pending: scenario.pending === true }),
          );
        const finish = await program.finish();
        assert.deepEqual(finish.status, { kind: "exited", code: 0 }, finish.text);
        scenario.check(watched, finish);
      });
    }
  });
}
