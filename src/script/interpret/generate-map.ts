/**
 * Operations on maps to JavaScript. One integer or string is its own key; several parts become one
 * text, and are made into an array only when a key is new.
 */

import { assert } from "../../base/errors.ts";
import type { Instruction, ValueId } from "../ir/ir.ts";
import type { Generator } from "./generate.ts";
import { keyOf } from "./values.ts";

export function generateMapOp(g: Generator, instruction: Instruction, operands: string[]): void {
  const { op, attributes, result } = instruction;
  const map = `m${attributes.map}`;
  const store = g.runtime.maps[attributes.map ?? 0];
  assert(store !== undefined, `map ${attributes.map} does not exist`);
  const keyCount = store.info.keyTypes.length;
  const keys = operands.slice(0, keyCount);
  const key = keyText(g, instruction.operands.slice(0, keyCount));
  const give = (expression: string) => g.line(`const v${result} = ${expression};`);
  const { top = 0, div = 0 } = attributes;
  switch (op) {
    case "mapGet":
      return give(`${map}.get(${key})`);
    case "mapSet": {
      const value = operands[keyCount] ?? "0n";
      const site = g.site(instruction);
      return generateSet(g, store.info.isLru, { map, key, keys, value, site });
    }
    case "mapHas":
      return give(`${map}.table.has(${key})`);
    case "mapDelete":
      return give(`rt.deleteKey(${map}, ${key}, ${g.site(instruction)})`);
    case "mapLength":
      return give(`BigInt(${map}.table.size)`);
    case "mapClear":
      return g.line(`${map}.clear();`);
    case "mapZero":
      return g.line(`${map}.zeroAll();`);
    case "readAggregate":
      return give(`${map}.read(${key})`);
    case "aggregate": {
      const find = store.info.isLru ? `${map}.touch(${key})` : `${map}.table.get(${key})`;
      const add = `${map}.add(${key}, ${g.site(instruction)}, [${keys.join(", ")}])`;
      const given = operands.slice(keyCount);
      if (attributes.aggregate?.kind === "tseries") given.push('run.nowNs("wall")');
      // There max keeps no key for a value below the 0 of one that is missing.
      const isOldMax = attributes.aggregate?.kind === "max" && g.runtime.options.dialect === "0.17";
      const guard = isOldMax ? `if (${given[0]} >= 0n || ${map}.table.has(${key})) ` : "";
      return g.line(`${guard}(${find} ?? ${add}).state.add(${given.join(", ")});`);
    }
    case "printMap":
      return g.line(`rt.printMap(${map}, ${top}, ${div});`);
    case "printMapValue":
      return g.line(`rt.printMapValue(${map}, ${key}, [${keys.join(", ")}], ${top}, ${div});`);
    default:
      assert(false, `${op} has no JavaScript`);
  }
}

interface Setting {
  readonly map: string;
  readonly key: string;
  readonly keys: readonly string[];
  readonly value: string;
  readonly site: number;
}

function generateSet(g: Generator, isLru: boolean, setting: Setting): void {
  const { map, key, keys, value, site } = setting;
  if (isLru) return g.line(`${map}.set(${key}, ${value}, ${site}, [${keys.join(", ")}]);`);
  const add = `${map}.add(${key}, ${site}, [${keys.join(", ")}])`;
  g.line(`(${map}.table.get(${key}) ?? ${add}).value = ${value};`);
}

function keyText(g: Generator, ids: readonly ValueId[]): string {
  const [only] = ids;
  if (only === undefined) return "0";
  const type = g.typeOf(only);
  const isPlain = type === "s64" || type === "u64" || type === "string" || type === "text";
  if (ids.length === 1 && (isPlain || type === "bool")) return g.value(only);
  const parts = ids.map((id) => {
    const value = g.value(id);
    switch (g.typeOf(id)) {
      case "s64":
      case "u64":
        return `\${${value}}`;
      case "string":
      case "text":
        return `\${${value}.length}:\${${value}}`;
      default:
        return `\${${g.constant(keyOf)}(${value})}`;
    }
  });
  return `\`${parts.join(",")}\``;
}
