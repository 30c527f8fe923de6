/** The types that the compiler works out from a prototype: this file is checked by compiling it. */

import assert from "node:assert/strict";
import test from "node:test";
import type { ArgumentValue, JprobeArguments, Probe, Session } from "./api.ts";
import type { PrototypeArguments, TypeValue } from "./prototype-types.ts";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Nothing but true is a value of the right type. */
function holds<T extends true>(value: T): void {
  assert.ok(value);
}

test("a prototype gives the names and types of its parameters", () => {
  type Write = PrototypeArguments<"ssize_t write(int fd, const void *buf, size_t n)">;
  holds<Same<Write, { fd: number; buf: bigint; n: bigint }>>(true);
  type Open = PrototypeArguments<"int open(const char *path, int flags, ...)">;
  holds<Same<Open, { path: bigint; flags: number }>>(true);
  type Mixed =
    PrototypeArguments<"void f(bool a, unsigned long long b, double c, enum e d, uint8_t e)">;
  holds<Same<Mixed, { a: boolean; b: bigint; c: number; d: number; e: number }>>(true);
  type Pointers = PrototypeArguments<"int f(char **a, struct s *restrict b, int c[2], FILE* d)">;
  holds<Same<Pointers, { a: bigint; b: bigint; c: bigint; d: bigint }>>(true);
  type Other = PrototypeArguments<"int f(point_t a, struct s b)">;
  holds<Same<Other, { a: ArgumentValue; b: ArgumentValue }>>(true);
});

test("text is asked for by name, or for all", () => {
  type Link = "int link(const char *from, char to[], unsigned char *other)";
  type None = PrototypeArguments<Link>;
  holds<Same<None, { from: bigint; to: bigint; other: bigint }>>(true);
  type All = PrototypeArguments<Link, true>;
  holds<Same<All, { from: string | undefined; to: string | undefined; other: bigint }>>(true);
  type One = PrototypeArguments<Link, readonly ["to"]>;
  holds<Same<One, { from: bigint; to: string | undefined; other: bigint }>>(true);
});

test("a type has its value", () => {
  holds<Same<TypeValue<"int">, number>>(true);
  holds<Same<TypeValue<"long double">, number>>(true);
  holds<Same<TypeValue<"unsigned long">, bigint>>(true);
  holds<Same<TypeValue<"const char *">, bigint>>(true);
  holds<Same<TypeValue<string>, ArgumentValue>>(true);
});

test("no parameters are none, and what is not understood is of any type", () => {
  holds<Same<keyof PrototypeArguments<"int f(void)">, never>>(true);
  holds<Same<keyof PrototypeArguments<"int f();">, never>>(true);
  holds<Same<PrototypeArguments<string>, JprobeArguments>>(true);
  holds<Same<PrototypeArguments<"int f(int, int)">, JprobeArguments>>(true);
  holds<Same<PrototypeArguments<"int f(int a, struct s)">, JprobeArguments>>(true);
  holds<Same<PrototypeArguments<"int f(int (*g)(int), int b)">, JprobeArguments>>(true);
  holds<Same<PrototypeArguments<"struct s { int a; }; int f(struct s a)">, JprobeArguments>>(true);
});

/** As `trapline types` writes them. */
interface KernelFunctions {
  vfs_read: (args: {
    readonly file: bigint;
    readonly buf: bigint;
    readonly count: bigint;
    readonly pos: bigint;
  }) => bigint;
}

type KernelArguments<F extends keyof KernelFunctions> = Parameters<KernelFunctions[F]>[0];

test("a kernel's declarations type the argument of a handler that names its function", () => {
  const register = (session: Pick<Session, "jprobe">): Probe =>
    session.jprobe("vfs_read", ({ file, count }: KernelArguments<"vfs_read">, hit) => {
      holds<Same<typeof file, bigint>>(true);
      holds<Same<typeof count, bigint>>(true);
      holds<Same<typeof hit.address extends bigint ? true : false, true>>(true);
      // @ts-expect-error: no such parameter
      type None = KernelArguments<"vfs_read">["size"];
      return undefined as None | undefined;
    });
  assert.equal(typeof register, "function");
});
