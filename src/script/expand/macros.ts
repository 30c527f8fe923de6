/**
 * Uses of macros, replaced by their bodies. A parameter `$a` stands for the caller's variable,
 * `@m` for the caller's map, and a plain name for an expression, which is put in wherever the name
 * is used. All other variables of a body are its own: where the caller has one of that name, it is
 * called otherwise. Other maps than those passed in are not to be had.
 */

import { limits } from "../../base/limits.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Range } from "../source.ts";
import type { Block, Expression, ForOver, Macro, Statement } from "../syntax/tree.ts";
import { type Rewriter, rewriteBlock, rewriteChildren, rewriteStatement } from "./rewrite.ts";

/** What is passed for a plain name. */
interface Given {
  readonly value: Expression;
  /** It is put in as it is, wherever it is used, so a tree may be larger than what made it. */
  readonly nodeCount: number;
}

/** What a name in a macro's body means. */
interface Bindings {
  readonly macro: Macro;
  /** The use that this body stands for. */
  readonly outer: Bindings | undefined;
  readonly expressions: ReadonlyMap<string, Given>;
  readonly variables: Map<string, string>;
  readonly maps: ReadonlyMap<string, string>;
}

export class MacroExpander implements Rewriter {
  readonly #macros: ReadonlyMap<string, Macro>;
  readonly #diagnostics: Diagnostics;
  /** Undefined outside of macros. */
  #bindings: Bindings | undefined;
  /** Names of variables that this probe or function has already. */
  #taken = new Set<string>();
  #depth = 0;
  #nodeCount = 0;
  #isGivenUp = false;

  constructor(macros: ReadonlyMap<string, Macro>, diagnostics: Diagnostics) {
    this.#macros = macros;
    this.#diagnostics = diagnostics;
  }

  /** The body and predicate of one probe or function, each with its uses of macros replaced. */
  expand<T extends { body: Block; predicate?: Expression | undefined }>(definition: T): T {
    if (this.#macros.size === 0) return definition;
    this.#taken = namesIn(definition);
    const { predicate } = definition;
    const body = rewriteBlock(definition.body, this);
    return predicate === undefined
      ? { ...definition, body }
      : { ...definition, body, predicate: this.expression(predicate) };
  }

  expression(expression: Expression): Expression {
    if (this.#isGivenUp || !this.#count(expression.range)) return expression;
    this.#depth++;
    const made = this.#rewrite(expression);
    this.#depth--;
    return made;
  }

  statement(statement: Statement): Statement {
    if (this.#isGivenUp || !this.#count(statement.range)) return statement;
    this.#depth++;
    const made = rewriteStatement(statement, this);
    this.#depth--;
    // A macro without a value, as a statement of its own.
    if (made.kind !== "expression" || made.value.kind !== "blockExpression") return made;
    const { range, statements, value } = made.value;
    return value === undefined ? { kind: "block", range, statements } : made;
  }

  variable(name: string): string {
    const { variables } = this.#bindings ?? {};
    if (variables === undefined) return name;
    const known = variables.get(name);
    if (known !== undefined) return known;
    let own = name;
    for (let number = 1; this.#taken.has(own); number++) own = `${name}_${number}`;
    this.#taken.add(own);
    variables.set(name, own);
    return own;
  }

  map(name: string, of: Expression | ForOver): string {
    if (this.#bindings === undefined) return name;
    const given = this.#bindings.maps.get(name);
    if (given !== undefined) return given;
    const { macro } = this.#bindings;
    const message = `macro ${macro.name} has no parameter ${name}`;
    const hint = "a macro uses only those maps that are passed to it";
    this.#diagnostics.error(of.range, message, hint);
    return name;
  }

  #rewrite(expression: Expression): Expression {
    switch (expression.kind) {
      case "identifier": {
        const given = this.#bindings?.expressions.get(expression.name);
        if (given !== undefined) {
          this.#count(expression.range, given.nodeCount);
          return given.value;
        }
        const macro = this.#macros.get(expression.name);
        return macro?.parameters.length === 0 ? this.#use(macro, expression, []) : expression;
      }
      case "call": {
        const macro = this.#macros.get(expression.name);
        if (macro === undefined) return rewriteChildren(expression, this);
        return this.#use(macro, expression, expression.arguments);
      }
      case "increment":
        this.#checkTarget(expression.target);
        return rewriteChildren(expression, this);
      default:
        return rewriteChildren(expression, this);
    }
  }

  #checkTarget(target: Expression): void {
    if (target.kind !== "identifier") return;
    if (!this.#bindings?.expressions.has(target.name)) return;
    const message = `the macro's parameter ${target.name} is an expression and cannot be changed`;
    this.#diagnostics.error(target.range, message, `call the parameter $${target.name}`);
  }

  #use(macro: Macro, use: Expression, given: readonly Expression[]): Expression {
    // What is passed belongs to the caller: it is expanded before the callee's names mean anything.
    const values = given.map((one): Given => {
      const before = this.#nodeCount;
      const value = this.expression(one);
      return { value, nodeCount: this.#nodeCount - before };
    });
    if (!this.#mayUse(macro, use.range)) return use;
    const bindings = this.#bind(macro, use, values);
    if (bindings === undefined) return use;
    if (this.#isGivenUp) return use;
    const caller = this.#bindings;
    this.#bindings = bindings;
    const statements = macro.body.statements.map((one) => this.statement(one));
    const value = macro.value && this.expression(macro.value);
    this.#bindings = caller;
    if (statements.length === 0 && value !== undefined) return { ...value, range: use.range };
    return { kind: "blockExpression", range: use.range, statements, value };
  }

  #mayUse(macro: Macro, range: Range): boolean {
    const names = [macro.name];
    for (let one = this.#bindings; one !== undefined; one = one.outer) {
      names.unshift(one.macro.name);
      if (one.macro !== macro) continue;
      const message = `macro ${macro.name} uses itself: ${names.join(" > ")}`;
      this.#diagnostics.error(range, message);
      return false;
    }
    if (names.length <= limits.scriptMacroDepthMax) return true;
    this.#giveUp(range, "macros use one another too deep");
    return false;
  }

  #bind(macro: Macro, use: Expression, given: readonly Given[]): Bindings | undefined {
    const { name, parameters } = macro;
    if (given.length !== parameters.length) {
      const counts = `${parameters.length} arguments, but got ${given.length}`;
      this.#diagnostics.error(use.range, `macro ${name} takes ${counts}`);
      return undefined;
    }
    const expressions = new Map<string, Given>();
    const variables = new Map<string, string>();
    const maps = new Map<string, string>();
    let isRight = true;
    for (const [index, parameter] of parameters.entries()) {
      const one = given[index] as Given;
      const { value } = one;
      if (parameter.name.startsWith("$")) {
        if (value.kind === "variable") variables.set(parameter.name, value.name);
        else isRight = this.#refuse(macro, value, `${parameter.name} is a variable`);
      } else if (parameter.name.startsWith("@")) {
        if (value.kind === "map" && value.keys === undefined) maps.set(parameter.name, value.name);
        else isRight = this.#refuse(macro, value, `${parameter.name} is a map`);
      } else {
        expressions.set(parameter.name, one);
      }
    }
    if (!isRight) return undefined;
    return { macro, outer: this.#bindings, expressions, variables, maps };
  }

  #refuse(macro: Macro, value: Expression, what: string): false {
    this.#diagnostics.error(value.range, `macro ${macro.name}: its parameter ${what}`);
    return false;
  }

  /** Whether some more nodes may be made. */
  #count(range: Range, nodeCount = 1): boolean {
    this.#nodeCount += nodeCount;
    if (this.#nodeCount > limits.scriptMacroNodeCountMax) {
      this.#giveUp(range, "macros expand to too much");
    } else if (this.#depth > limits.scriptTreeDepthMax) {
      this.#giveUp(range, `macros expand to more than ${limits.scriptTreeDepthMax} levels`);
    }
    return !this.#isGivenUp;
  }

  #giveUp(range: Range, message: string): void {
    this.#isGivenUp = true;
    this.#diagnostics.error(range, message);
  }
}

/** Every variable of a tree. */
function namesIn(root: object): Set<string> {
  const names = new Set<string>();
  const waiting: object[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    for (const [key, value] of Object.entries(node)) {
      if (typeof value === "string" && value.startsWith("$")) names.add(value);
      else if (key !== "range" && typeof value === "object" && value !== null) waiting.push(value);
    }
  }
  return names;
}
