/**
 * The two ways in which a script's output is written: that of today's bpftrace and that of 0.17. By
 * shape the Dialect of script/dialect.ts, as the report knows no scripts.
 */

export type OutputDialect = "head" | "0.17";
