/**
 * The flags of open(2) whose numbers differ between CPUs (asm/fcntl.h); those that are the same
 * everywhere are among the language's own constants.
 */

const X86_64: Readonly<Record<string, bigint>> = {
  O_DIRECT: 0o40000n,
  O_LARGEFILE: 0o100000n,
  O_DIRECTORY: 0o200000n,
  O_NOFOLLOW: 0o400000n,
  O_TMPFILE: 0o20200000n,
};

const ARM64: Readonly<Record<string, bigint>> = {
  O_DIRECTORY: 0o40000n,
  O_NOFOLLOW: 0o100000n,
  O_DIRECT: 0o200000n,
  O_LARGEFILE: 0o400000n,
  O_TMPFILE: 0o20040000n,
};

/** undefined for a name that is none of them. */
export function findOpenFlag(name: string, arch: "x86_64" | "arm64"): bigint | undefined {
  const flags = arch === "x86_64" ? X86_64 : ARM64;
  return Object.hasOwn(flags, name) ? flags[name] : undefined;
}
