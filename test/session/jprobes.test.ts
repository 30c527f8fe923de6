/**
 * Jprobes with handlers in TypeScript (K-40), and floating-point registers at hits of all kinds.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { type JprobeArguments, type Probe, type SessionEvent, ToolError } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const ROUNDS = 3;
const ok = { kind: "exited", code: 0 } as const;

function typed(options: Parameters<typeof launchProgram>[1] = {}) {
  return launchProgram([build("typed.c"), String(ROUNDS)], options);
}

function isError(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    assert.ok(!error.message.includes("\n"));
    return true;
  };
}

/** The numbers that the program printed for a function. */
function results(text: string, name: string): number[] {
  return [...text.matchAll(new RegExp(`^${name} (\\S+)$`, "gm"))].map((match) => Number(match[1]));
}

describe("jprobes", { skip: needsGcc }, () => {
  test("K-40 arguments come by name and in order, floating point and all", async () => {
    using program = typed();
    const seen: JprobeArguments[] = [];
    const nine =
      "double nine(double a, double b, double c, double d, double e, double f, double g, double h, double)";
    const probes = [
      program.session.jprobe("scale", {
        prototype: "double scale(double x, float y)",
        handler: (args) => void seen.push(args),
      }),
      program.session.jprobe("third", {
        prototype: "long double third(long double x)",
        handler: (args) => void seen.push(args),
      }),
      program.session.jprobe("nine", {
        prototype: nine,
        handler: (args) => void seen.push(args),
      }),
    ];
    assert.deepEqual((await program.finish()).status, ok);
    for (const probe of probes) {
      assert.equal(probe.kind, "jprobe");
      assert.deepEqual([probe.hits, probe.missed, probe.errors], [ROUNDS, 0, 0]);
    }
    assert.deepEqual(seen.slice(0, 3), [
      { x: 0.5, y: 4 },
      { x: 0 },
      { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, arg8: 0.25 },
    ]);
    assert.deepEqual(Object.values(seen[5] ?? {}), [1, 2, 3, 4, 5, 6, 7, 8, 1.25]);
  });

  test("K-40 text is read where it is asked for, and is undefined for what is no text", async () => {
    using program = typed();
    const prototype = "int greet(const char *name, char *out, const char *none)";
    const seen: JprobeArguments[] = [];
    const all: JprobeArguments[] = [];
    const none: JprobeArguments[] = [];
    const { session } = program;
    const probes = [
      session.jprobe("greet", {
        prototype,
        strings: ["name", "none"],
        handler: (args) => void seen.push(args),
      }),
      session.jprobe("greet", { prototype, strings: true, handler: (args) => void all.push(args) }),
      session.jprobe("greet", { prototype, handler: (args) => void none.push(args) }),
    ];
    await program.finish();
    for (const probe of probes) assert.equal(probe.errors, 0);
    assert.equal(seen[0]?.["name"], "wörld");
    assert.equal(seen[0]?.["none"], undefined);
    assert.equal(typeof seen[0]?.["out"], "bigint");
    // What the first call left there is what the second finds.
    assert.equal(all[1]?.["out"], "hello wörld");
    assert.deepEqual(
      Object.values(none[0] ?? {}).map((value) => typeof value),
      ["bigint", "bigint", "bigint"],
    );
    assert.equal(none[0]?.["none"], 0n);
  });

  test("variable arguments are read one after the other, by the types that they were passed as", async () => {
    using program = typed();
    const seen: unknown[][] = [];
    const types: Readonly<Record<string, string>> = {
      i: "int",
      l: "long",
      d: "double",
      L: "long double",
      s: "const char *",
    };
    const probe = program.session.jprobe("vsum", {
      prototype: "long vsum(const char *spec, ...)",
      strings: true,
      handler(args, hit, rest) {
        const values = [...(args.spec ?? "")].map((letter) => {
          const value = rest.next(types[letter] ?? "");
          return letter === "s" ? hit.readCString(value as bigint) : value;
        });
        assert.throws(() => rest.next("float"), isError("usage", /`float`/));
        assert.throws(() => rest.next("short"), isError("usage", /`short`/));
        assert.throws(() => rest.next("struct s"), isError("usage", /`struct s`/));
        seen.push(values);
      },
    });
    const strict = program.session.jprobe("nothing", {
      prototype: "void nothing(void)",
      handler(args, _hit, rest) {
        assert.deepEqual(args, {});
        assert.throws(
          () => rest.next("int"),
          isError("usage", /nothing has no variable arguments/),
        );
      },
    });
    await program.finish();
    assert.deepEqual([probe.errors, strict.errors], [0, 0]);
    const doubles = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    for (const [n, values] of seen.entries()) {
      const rest = [-1, "text", 0.5, 2.5, -2, 1n << 40n, 3n, ...doubles, -4, "!", BigInt(n)];
      assert.deepEqual(values, rest);
    }
    assert.equal(seen.length, ROUNDS);
  });

  test("K-40 changed arguments do not reach the function, and those set at the hit do", async () => {
    using program = typed();
    const probe = program.session.jprobe("scale", {
      prototype: "double scale(double x, float y)",
      handler(args, hit) {
        args.x = 1000;
        args.y = 1000;
        hit.setFloatArg(1, 8, "float");
      },
    });
    const { text } = await program.finish();
    assert.equal(probe.errors, 0);
    assert.deepEqual(results(text, "scale"), [4, 12, 20]);
  });

  test("the prototype of a known function may be left out, also for a pattern of functions", async () => {
    const events: SessionEvent[] = [];
    using program = typed({ onEvent: (event) => void events.push(event) });
    const lengths: bigint[] = [];
    const write = program.session.jprobe(
      "libc:write",
      ({ fd, count }: { fd: number; count: bigint }) => {
        assert.equal(fd, 1);
        lengths.push(count);
      },
    );
    const many = program.session.jprobe("libc:str*cmp", () => {});
    const { text } = await program.finish();
    assert.equal(write.errors, 0);
    assert.equal(
      lengths.reduce((sum, count) => sum + Number(count), 0),
      Buffer.byteLength(text),
    );
    assert.ok(many.registered || many.hits >= 0);
    // Of the functions that the pattern matches some are not known: each is told.
    const refused = events.filter((event) => event.kind === "probe-refused");
    assert.ok(refused.some((event) => /prototype is not known/.test(event.error.message)));
  });

  test("K-05 jprobes, kprobes and return probes share a function, the newest first", async () => {
    using program = typed();
    const order: string[] = [];
    const { session } = program;
    const note = (text: string) => (): void => void order.push(text);
    session.kprobe("half", { pre: note("kprobe") });
    session.jprobe("half", { prototype: "float half(float x)", handler: note("jprobe") });
    session.kretprobe("half", { entry: note("entry"), handler: note("return") });
    await program.finish();
    assert.deepEqual(order.slice(0, 4), ["entry", "jprobe", "kprobe", "return"]);
    assert.equal(order.length, 4 * ROUNDS);
  });

  test("K-06 K-10 disabled, enabled, unregistered, and with a handler that throws", async () => {
    const errors: unknown[] = [];
    using program = typed({ onHandlerError: (error) => void errors.push(error.handler) });
    const { session } = program;
    const prototype = "float half(float x)";
    const seen: unknown[] = [];
    const probe = session.jprobe(
      "half",
      { prototype, handler: ({ x }) => void seen.push(x) },
      { disabled: true },
    );
    const thrower = session.jprobe("half", {
      prototype,
      handler({ x }) {
        if (x === 0) probe.enable();
        if (x === 1) thrower.unregister();
        throw new Error("on purpose");
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual(seen, [0, 1, 2]);
    assert.deepEqual(errors, ["handler", "handler"]);
    assert.deepEqual([thrower.hits, thrower.errors], [2, 2]);
  });

  test("K-07 a batch with a jprobe that fails leaves nothing behind", async () => {
    using program = typed();
    const { session } = program;
    const handlers = { prototype: "float half(float x)", handler: () => {} };
    assert.throws(
      () =>
        session.register([
          { jprobe: "half", handlers },
          { jprobe: "scale", handlers: { handler: () => {} } },
        ]),
      isError("usage", /cannot read the arguments of scale: its prototype is not known/),
    );
    assert.equal(session.probes.length, 0);
    const [probe] = session.register([{ jprobe: "half", handlers, options: {} }]) as [Probe];
    await program.finish();
    assert.equal(probe.hits, ROUNDS);
  });
});

describe("jprobes in other images", { skip: needsGcc }, () => {
  test("a jprobe is placed anew after exec", async () => {
    using program = launchProgram([build("execer.c"), "leader", "2"]);
    const seen: number[] = [];
    const probe = program.session.jprobe("work", {
      prototype: "long work(long n)",
      handler: ({ n }) => void seen.push(Number(n)),
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.equal(probe.errors, 0);
    assert.deepEqual(probe.hits, 15, text);
    assert.deepEqual(seen.slice(0, 5), seen.slice(5, 10));
  });

  test("a followed child's calls are read like its parent's", async () => {
    const processes = new Set<number>();
    using program = launchProgram(["/bin/sh", "-c", "(echo one); (echo two); echo three"], {
      followForks: true,
    });
    const texts: (string | undefined)[] = [];
    const probe = program.session.jprobe("libc:write", {
      prototype: "ssize_t write(int fd, const char *buf, size_t n)",
      handler({ buf, n }, hit) {
        processes.add(hit.thread.processId);
        texts.push(hit.readCString(buf, Number(n)));
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.equal(probe.errors, 0);
    assert.deepEqual(texts, ["one\n", "two\n", "three\n"]);
    assert.equal(processes.size, 3);
  });
});

const PYTHON = "/usr/bin/python3";

describe("jprobes in python3", { skip: existsSync(PYTHON) ? false : "needs python3" }, () => {
  test("K-40 arguments of libc and libm are those of the script", async () => {
    const script = [
      "import math, os, ctypes",
      "print(math.pow(2.5, 3.0), math.pow(-1.25, 2.0))",
      "os.close(os.open('/etc/passwd', os.O_RDONLY | os.O_CLOEXEC))",
      "libc = ctypes.CDLL(None)",
      "buffer = ctypes.create_string_buffer(64)",
      "libc.snprintf(buffer, ctypes.c_size_t(64), b'%d %s %s', -7, b'text', b'more')",
      "print(buffer.value)",
    ].join("\n");
    using program = launchProgram([PYTHON, "-I", "-c", script]);
    const { session } = program;
    const powers: unknown[] = [];
    const opened: unknown[] = [];
    const formats: unknown[] = [];
    const probes = [
      session.jprobe("libm:pow", ({ x, y }: { x: number; y: number }) => void powers.push([x, y]), {
        pending: true,
      }),
      session.jprobe("libc:open64", {
        strings: true,
        handler: ({ path, flags }) => void opened.push([path, flags]),
      }),
      session.jprobe("libc:snprintf", {
        strings: ["format"],
        handler({ format, size }, hit, rest) {
          if (format !== "%d %s %s") return;
          const text = (): unknown => hit.readCString(rest.next("const char *"));
          formats.push([size, rest.next("int"), text(), text()]);
        },
      }),
    ];
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.match(text, /^15\.625 1\.5625\nb'-7 text more'\n/);
    for (const probe of probes) assert.equal(probe.errors, 0, probe.where);
    assert.ok(powers.some((one) => String(one) === "2.5,3"));
    assert.ok(powers.some((one) => String(one) === "-1.25,2"));
    assert.ok(opened.some((one) => String(one) === `/etc/passwd,${0o2000000}`));
    assert.deepEqual(formats, [[64n, -7, "text", "more"]]);
  });
});

describe("what jprobes refuse", { skip: needsGcc }, () => {
  const REFUSED: readonly (readonly [string, RegExp])[] = [
    ["float half(struct point p)", /parameter `p` is `struct point`, whose members are not known/],
    ["float half(point_t)", /parameter `arg0` is `point_t`/],
    ["thing half(int x)", /the return type is `thing`/],
    ["float half(int x, int x)", /half has two parameters `x`/],
    ["float half(int x", /`,` is missing before `the end`/],
    ["float half(unsigned float x)", /`unsigned float` is no type/],
    ["float", /the function's name is missing/],
    ["struct s { int a : 3; }; int f(struct s x)", /bit fields are not known here/],
    ["struct s { }; int f(struct s x)", /has no members/],
    ["struct s { struct t u; }; int f(struct s x)", /the size of member `u` is not known/],
    ["struct s { int a; int a; }; int f(struct s x)", /two members `a`/],
    ["struct s { char a[100000]; }; int f(struct s x)", /aggregateSizeBytesMax/],
    ["struct s { char a[x]; }; int f(struct s x)", /`x` is no number of elements/],
    ["struct s { int a", /missing before `the end`/],
  ];

  test("prototypes that cannot be used, each in a line that says what and why", () => {
    using program = typed();
    for (const [prototype, text] of REFUSED) {
      assert.throws(
        () => program.session.jprobe("half", { prototype, handler: () => {} }),
        isError("usage", text),
        prototype,
      );
    }
    assert.equal(program.session.probes.length, 0);
  });

  test("text of what is no text, and handlers that are none", () => {
    using program = typed();
    const { session } = program;
    const prototype = "int greet(const char *name, char *out, void *none)";
    const handler = (): void => {};
    for (const [strings, text] of [
      [["none"], /parameter `none` of greet as text: its type is `void \*`/],
      [["nobody"], /parameter `nobody` of greet as text: it has name, out, none/],
    ] as const) {
      assert.throws(
        () => session.jprobe("greet", { prototype, strings, handler }),
        isError("usage", text),
      );
    }
    for (const handlers of [{}, { handler, entry: "half" }, { handler: 1 }]) {
      assert.throws(
        () => session.jprobe("greet", handlers as never),
        isError("usage", /(neither a|both a) handler/),
      );
    }
  });

  test("places that are no function's entry", () => {
    using program = typed();
    const { session } = program;
    const handlers = { prototype: "float half(float x)", handler: () => {} };
    assert.throws(
      () => session.jprobe("half+4", handlers),
      isError("where.malformed", /a jprobe goes on a function's entry, without an offset/),
    );
    const half = session.symbols("half")[0]?.address ?? 0n;
    assert.throws(
      () => session.jprobe(half + 4n, handlers),
      isError("probe.refused", /inside half \(\+0x4\).* \[not-entry\]/),
    );
    assert.equal(session.jprobe(half, handlers).sites[0]?.symbol, "half");
  });
});

describe("floating-point registers at a hit", { skip: needsGcc }, () => {
  for (const returnMechanism of ["site", "trampoline"] as const) {
    test(`arguments and results are read and changed, by ${returnMechanism}`, async () => {
      using program = typed({ returnMechanism });
      const { session } = program;
      const seen: number[] = [];
      const probes = [
        session.kprobe("scale", {
          pre(hit) {
            seen.push(hit.floatArg(0), hit.floatArg(1, "float"));
            assert.equal(hit.registers.getFloat("xmm0"), hit.floatArg(0));
            hit.setFloatArg(0, 100);
            assert.equal(hit.floatArg(0), 100);
          },
        }),
        session.kretprobe("scale", {
          handler(hit) {
            assert.equal(hit.floatReturnValue, 400);
            hit.floatReturnValue = -0.125;
          },
        }),
        session.kretprobe("half", {
          handler(hit) {
            const value = hit.registers.getFloat("xmm0", "float");
            hit.registers.setFloat("xmm0", value + 10, "float");
          },
        }),
        session.kretprobe("third", {
          handler: (hit) => void seen.push(hit.registers.getFloat("st0")),
        }),
      ];
      const { status, text } = await program.finish();
      assert.deepEqual(status, ok, text);
      for (const probe of probes) assert.deepEqual([probe.hits, probe.errors], [ROUNDS, 0]);
      assert.deepEqual(seen, [0.5, 4, 0, 1.5, 4, 1, 2.5, 4, 2]);
      assert.deepEqual(results(text, "scale"), [-0.125, -0.125, -0.125]);
      assert.deepEqual(results(text, "half"), [10, 10.5, 11]);
      assert.deepEqual(results(text, "nine"), [36.25, 37.25, 38.25]);
    });
  }

  test("whole registers are read and written, and what there is not is told", async () => {
    using program = typed();
    const probe = program.session.kprobe("scale", {
      pre(hit) {
        const { registers } = hit;
        const bits = registers.get("XMM0");
        assert.equal(BigInt.asUintN(64, bits), doubleBits(hit.floatArg(0)));
        registers.set("xmm9", (0x1234n << 64n) | 5n);
        assert.equal(registers.get("xmm9"), (0x1234n << 64n) | 5n);
        registers.setFloat("xmm9", 1.5);
        assert.equal(registers.get("xmm9"), (0x1234n << 64n) | doubleBits(1.5));
        assert.equal(registers.get("st0") >> 80n, 0n);
        assert.throws(() => registers.get("xmm16"), isError("usage", /no register xmm16/));
        assert.throws(() => registers.getFloat("rax"), isError("usage", /no register rax/));
        assert.throws(() => registers.set("st0", 1), isError("usage", /st0 cannot be written/));
        assert.throws(
          () => registers.getFloat("xmm0", "long double"),
          isError("usage", /xmm0 holds no long double/),
        );
        assert.throws(() => hit.floatArg(8), isError("usage", /argument 8 is not in a register/));
      },
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual([probe.hits, probe.errors], [ROUNDS, 0]);
    assert.deepEqual(results(text, "scale"), [2, 6, 10]);
  });
});

function doubleBits(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0] as bigint;
}
