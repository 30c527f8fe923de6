/** Kernels of amd64, as they are found from outside: with tables of all makes, old and new. */

import { describeKernel, type Setup } from "./support/kernel-check.ts";

/** A kernel maps all of itself again when it isolates its tables from the user's. */
const SETUPS: readonly Setup[] = [
  { what: "amd64", arch: "amd64" },
  { what: "amd64 with page table isolation", arch: "amd64", append: "pti=on" },
  {
    what: "amd64 with 5 levels",
    arch: "amd64",
    cpu: "max,-cx16",
    append: "pti=on",
    addressBits: 57,
  },
  { what: "amd64, Debian 13", arch: "amd64", release: "trixie" },
];

for (const setup of SETUPS) describeKernel(setup);
