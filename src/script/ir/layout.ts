/** How many bytes a value of a type of the language takes in memory. */

import type { Type } from "../types.ts";

export function sizeBytesOf(type: Type): number {
  switch (type.kind) {
    case "int":
    case "string":
    case "buffer":
      return type.sizeBytes;
    case "pointer":
      return 8;
    case "array":
      return type.count * sizeBytesOf(type.element);
    case "struct":
      return type.struct.sizeBytes;
    default:
      // `void *` moves by bytes, as GNU C has it.
      return 1;
  }
}
