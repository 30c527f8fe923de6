/** Kernels of arm64, as they are found from outside: with tables of all makes, old and new. */

import { describeKernel, type Setup } from "./support/kernel-check.ts";

const SETUPS: readonly Setup[] = [
  { what: "arm64 with page table isolation", arch: "arm64" },
  { what: "arm64 without", arch: "arm64", append: "nokaslr kpti=off" },
  { what: "arm64 with all that QEMU has", arch: "arm64", cpu: "max,pauth-impdef=on" },
  { what: "arm64, Debian 13", arch: "arm64", release: "trixie" },
];

for (const setup of SETUPS) describeKernel(setup);
