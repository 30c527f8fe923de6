/**
 * The two generations of the language: that of today's bpftrace, and that of 0.17, which Debian 12
 * has, for scripts and comparisons that depend on it.
 */

export type Dialect = "head" | "0.17";
