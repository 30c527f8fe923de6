/**
 * The intermediate form of a checked program: for each probe a tree of blocks whose instructions
 * give numbered values, each assigned once, beside mutable locals. Small enough to be executed by
 * more than one means: nothing in it depends on JavaScript, and each instruction says by its
 * effect whether it looks at the machine, at the program's own state, or at neither (ops.ts).
 *
 * Integers are of 64 bits; a type says how those are read. A value of a narrower type of the
 * language is already within it.
 */

import type { Config, MapInfo } from "../check/typed-tree.ts";
import type { Range } from "../source.ts";
import type { AttachPoint } from "../syntax/tree.ts";
import type { Aggregate, Space, StackMode, Type } from "../types.ts";
import type { OpName } from "./ops.ts";

export type IrType =
  | "s64"
  | "u64"
  | "bool"
  /** Bytes without a NUL. */
  | "string"
  /** A struct, array or buffer. */
  | "bytes"
  /** A tuple or record. */
  | "tuple"
  | "stack"
  | "symbol"
  /** What can only be shown. */
  | "text";

export type ValueId = number;
export type LocalId = number;
export type CellId = number;

export interface IrProgram {
  readonly config: Config;
  readonly maps: readonly MapInfo[];
  readonly probes: readonly IrProbe[];
}

export interface IrProbe {
  readonly name: string | undefined;
  readonly points: readonly AttachPoint[];
  readonly locals: readonly IrLocal[];
  /** By number. */
  readonly valueTypes: readonly IrType[];
  /** What must be read at the hit; empty until capture.ts has split the probe. */
  readonly capture: Block;
  /** What the capture section leaves for the body, as a record of these types. */
  readonly cells: readonly IrType[];
  readonly body: Block;
}

export interface IrLocal {
  /** Empty for one that lowering made. */
  readonly name: string;
  readonly type: IrType;
  /** What it is before it is set: 0, empty, or zeros of its type. */
  readonly of: Type;
}

export type Block = readonly Node[];

export type Node =
  | Instruction
  | {
      readonly kind: "if";
      readonly condition: ValueId;
      readonly onTrue: Block;
      readonly onFalse: Block;
    }
  /** For ever, until a break or return in it. */
  | { readonly kind: "loop"; readonly range: Range; readonly body: Block }
  /**
   * For each key that the map has when the loop begins and still has when its turn comes. The
   * local is set to the tuple of key and value.
   */
  | {
      readonly kind: "forMap";
      readonly range: Range;
      readonly map: number;
      readonly local: LocalId;
      readonly body: Block;
    }
  | { readonly kind: "break" | "continue" }
  | { readonly kind: "return"; readonly value: ValueId | undefined };

export interface Instruction {
  readonly kind: "op";
  readonly op: OpName;
  /** undefined for what gives nothing. */
  readonly result: ValueId | undefined;
  readonly operands: readonly ValueId[];
  readonly attributes: Attributes;
  readonly range: Range;
}

/** What of an instruction is known beforehand; ops.ts says which an operation has. */
export interface Attributes {
  /** The value of a const. */
  readonly value?: bigint | boolean | string;
  /** Of an argument, field, element: the number. */
  readonly index?: number;
  /** Of a register, clock, function: the name. */
  readonly name?: string;
  readonly relation?: "==" | "!=" | "<" | "<=" | ">" | ">=";
  readonly sizeBytes?: number;
  readonly isSigned?: boolean;
  readonly space?: Space;
  readonly mode?: StackMode;
  /** Of a bit-field, from the address. */
  readonly bits?: { readonly offset: number; readonly count: number };
  readonly map?: number;
  readonly local?: LocalId;
  readonly cell?: CellId;
  readonly aggregate?: Aggregate;
  readonly format?: string;
  readonly top?: number;
  readonly div?: number;
  /** Of what is shown or made zero: the operands' types in the language. */
  readonly types?: readonly Type[];
  /** A read of the machine that stays where it is though the probe is split. */
  readonly isLate?: boolean;
}
