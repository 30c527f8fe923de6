/**
 * A virtual address as an ELF file writes it, before any load bias is added: a branded number,
 * exact below 2^53. Adding the bias of a loaded module gives an Address; the two types never mix.
 */

declare const moduleOffsetBrand: unique symbol;

/**
 * An unrelocated virtual address, 0 to 2^53 - 1. In a non-PIE program it equals the address at run
 * time.
 */
export type ModuleOffset = number & { readonly [moduleOffsetBrand]: "ModuleOffset" };

/** Take a number as an unrelocated virtual address. */
export function toModuleOffset(value: number): ModuleOffset {
  return value as ModuleOffset;
}
