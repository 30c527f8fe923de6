/**
 * Makes the blocks of one probe: numbers values and locals, and knows which block is being
 * written.
 */

import { assert } from "../../base/errors.ts";
import type { Range } from "../source.ts";
import type { Type } from "../types.ts";
import type { Attributes, Block, IrLocal, IrType, LocalId, Node, ValueId } from "./ir.ts";
import type { OpName } from "./ops.ts";

const NOTHING: Attributes = {};

export class IrBuilder {
  readonly valueTypes: IrType[] = [];
  readonly locals: IrLocal[] = [];
  readonly #constants = new Map<ValueId, bigint>();
  #block: Node[] = [];

  /** An instruction that gives a value of this type. */
  value(
    op: OpName,
    type: IrType,
    operands: readonly ValueId[],
    range: Range,
    attributes: Attributes = NOTHING,
  ): ValueId {
    const result = this.valueTypes.length;
    this.valueTypes.push(type);
    if (op === "const" && typeof attributes.value === "bigint") {
      this.#constants.set(result, attributes.value);
    }
    this.#block.push({ kind: "op", op, result, operands, attributes, range });
    return result;
  }

  /** An instruction that gives nothing. */
  effect(
    op: OpName,
    operands: readonly ValueId[],
    range: Range,
    attributes: Attributes = NOTHING,
  ): void {
    this.#block.push({ kind: "op", op, result: undefined, operands, attributes, range });
  }

  node(node: Node): void {
    this.#block.push(node);
  }

  /** What `write` writes, as a block of its own. */
  block(write: () => void): Block {
    const outer = this.#block;
    const inner: Node[] = [];
    this.#block = inner;
    write();
    this.#block = outer;
    return inner;
  }

  local(name: string, type: IrType, of: Type): LocalId {
    this.locals.push({ name, type, of });
    return this.locals.length - 1;
  }

  /** The integer that a value is always. */
  findConstant(value: ValueId): bigint | undefined {
    return this.#constants.get(value);
  }

  typeOf(value: ValueId): IrType {
    const type = this.valueTypes[value];
    assert(type !== undefined, `value ${value} has no type`);
    return type;
  }
}
