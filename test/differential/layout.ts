/**
 * Where things lie in the scratch process. Two places of code, one that 32 bits reach and one that
 * they do not, each with windows of data near it and 1.8 GiB to either side; data and a stack that
 * an absolute 32-bit displacement reaches; data far up. Windows that are written to are compared
 * after each run. Code and landings are full of int3: wherever an instruction goes, it traps.
 */

/** A range of the scratch process. */
export interface Window {
  readonly name: string;
  readonly start: bigint;
  readonly sizeBytes: number;
  /** PROT_* bits. */
  readonly rights: number;
}

const READ = 1;
const WRITE = 2;
const EXECUTE = 4;
const SIDE_BYTES = 0x7300_0000n;
/** All windows that are compared have this size, so that an operand in the middle has room. */
export const WINDOW_BYTES = 0x2000;

/** Code with what lies around it. */
export interface Place {
  readonly code: Window;
  /** Filled with int3, as far as a 32-bit branch may go. */
  readonly landings: readonly Window[];
  /** Data for pc-relative operands. */
  readonly around: readonly Window[];
}

function makePlace(name: string, start: bigint): Place {
  const window = (where: string, address: bigint, rights: number): Window => ({
    name: `${where} of ${name} code`,
    start: address,
    sizeBytes: WINDOW_BYTES,
    rights,
  });
  const code = { ...window("text", start, READ | EXECUTE), sizeBytes: 0x4000 };
  return {
    code,
    landings: [
      code,
      window("landing before", start - SIDE_BYTES, READ | EXECUTE),
      window("landing behind", start + SIDE_BYTES, READ | EXECUTE),
    ],
    around: [
      window("data near", start + 0x1_0000n, READ | WRITE),
      window("data before", start - SIDE_BYTES + 0x10_0000n, READ | WRITE),
      window("data behind", start + SIDE_BYTES - 0x10_0000n, READ | WRITE),
    ],
  };
}

const data = (name: string, start: bigint, rights: number = READ | WRITE): Window => ({
  name,
  start,
  sizeBytes: WINDOW_BYTES,
  rights,
});

/** Within 4 GiB, so that every distance between low windows fits an address of 32 bits. */
export const LOW: Place = makePlace("low", 0x8000_0000n);
export const HIGH: Place = makePlace("high", 0x7e12_3400_0000n);

export const LOW_DATA: Window = data("low data", 0x1000_0000n);
export const HIGH_DATA: Window = data("high data", 0x7d00_1000_0000n);
export const STACK: Window = data("stack", 0x2000_0000n);
export const READ_ONLY: Window = data("read-only data", 0x2800_0000n, READ);

/** Where signal frames are built. */
export const SIGNAL_STACK = { start: 0x3000_0000n, sizeBytes: 0x1_0000 } as const;
/** The signal handler: an int3. It is also a landing. */
export const HANDLER: bigint = LOW.code.start + 0x3ff0n;

/** Windows that an instruction may change. */
export const COMPARED: readonly Window[] = [
  LOW_DATA,
  STACK,
  HIGH_DATA,
  ...LOW.around,
  ...HIGH.around,
];

/** All that is mapped. */
export const MAPPED: readonly Window[] = [
  ...COMPARED,
  READ_ONLY,
  ...LOW.landings,
  ...HIGH.landings,
];

const LANDINGS: readonly Window[] = [...LOW.landings, ...HIGH.landings];

/** Whether an address lies where there is nothing but int3. */
export function isLanding(address: bigint): boolean {
  return LANDINGS.some((one) => address >= one.start && address < endOf(one));
}

/** An address in a window of landings where no form is ever placed. */
export function landingIn(window: Window): bigint {
  return endOf(window) - 0x800n;
}

export function endOf(window: Window): bigint {
  return window.start + BigInt(window.sizeBytes);
}
