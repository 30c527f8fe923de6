/**
 * Random programs as text, with every construct of today's language in every place where it may
 * stand. They parse; they mean nothing.
 */

import type { Random } from "../../support/random.ts";

const OPERATORS = [
  ...["+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "==", "!=", "<", "<=", ">", ">="],
  ...["&&", "||"],
];
const TYPES = [
  "uint8",
  "int64",
  "string[16]",
  "struct file *",
  "union u",
  "unsigned long",
  "foo *",
];
const VARIABLES = ["$a", "$b", "$c_1"];
const MAPS = ["@", "@m", "@other"];
const NAMES = ["pid", "comm", "arg0", "retval", "args", "x"];
const POINTS = [
  ...["begin", "END", "kprobe:vfs_*", "k:[a-c]*+0x10", "uprobe:/bin/sh:main", "i:s:1", "p:hz:99"],
  ...['uprobe:libc:"f(int, char)"+4', "t:sched:sched_switch", "uprobe:./x@main.c:12", "kr:$1"],
  ...["w:0x1000:8:rw", "test:one", "self:signal:SIGUSR1", "kretfunc:mod:fn", "usdt:*:ns:probe"],
];

export class ProgramGenerator {
  readonly #random: Random;
  #depth = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  program(): string {
    const items = [...this.#head()];
    for (let count = 1 + this.#random.below(3); count > 0; count--) items.push(this.#probe());
    return items.join("\n");
  }

  *#head(): Generator<string> {
    const { below } = this.#random;
    if (below(4) === 0) yield `struct s${below(9)} { ${this.#fields()}};`;
    if (below(4) === 0) yield `enum e { A = 1 << ${below(40)}, B, C = -${below(9)} };`;
    if (below(4) === 0) yield `typedef struct s *s_t; typedef int (*f_t[2])(int, char *);`;
    if (below(4) === 0) yield `config = { max_strlen=${below(99)}; stack_mode=perf }`;
    if (below(4) === 0) yield `import "a\\"b/${below(9)}.bt";`;
    if (below(4) === 0) yield `let @m = lruhash(${below(99)});`;
    if (below(4) === 0) yield `macro f${below(9)}($a, b, @c) ${this.#block(true)}`;
    if (below(4) === 0) yield `fn g($x : ${this.#type()}) : ${this.#type()} ${this.#block(false)}`;
  }

  #fields(): string {
    const all = [
      "int a; ",
      "unsigned long *b[3], c; ",
      "int d : 3; int : 0; ",
      "struct { char e[]; } ",
      "void (*g)(void); ",
      "union { int h; struct t { int i; } j; } __attribute__((packed)) k; ",
    ];
    const picked = all.filter(() => this.#random.below(2) === 0).join("");
    return picked.includes("char e") ? picked.replace("} ", "}; ") : picked;
  }

  #probe(): string {
    const { below, pick } = this.#random;
    const points = Array.from({ length: 1 + below(3) }, () => pick(POINTS));
    const name = below(6) === 0 ? "name=" : "";
    const predicate = below(3) === 0 ? ` / ${this.expression()} / ` : " ";
    return `${name}${points.join(", ")}${predicate}${this.#block(false)}`;
  }

  #block(mayHaveValue: boolean): string {
    const statements = Array.from({ length: this.#random.below(3) }, () => this.#statement());
    const value = mayHaveValue && this.#random.below(2) === 0 ? this.expression() : "";
    return `{ ${statements.join(" ")} ${value} }`;
  }

  #statement(): string {
    if (this.#depth > 2) return "break;";
    this.#depth++;
    const text = this.#deepStatement();
    this.#depth--;
    return text;
  }

  #deepStatement(): string {
    const { below, pick } = this.#random;
    const value = (): string => this.expression();
    const block = (): string => this.#block(false);
    switch (below(13)) {
      case 0:
        return `if (${value()}) ${block()}`;
      case 1:
        return `if ${value()} ${block()} else if comptime ${value()} ${block()} else ${block()}`;
      case 2:
        return `unroll(${value()}) ${block()}`;
      case 3:
        return `while (${value()}) ${block()}`;
      case 4:
        return `for (${pick(VARIABLES)} : ${pick(MAPS)}) ${block()}`;
      case 5:
        return `for ${pick(VARIABLES)} : ${below(9)}..${this.#operand()} ${block()}`;
      case 6:
        return pick(["break;", "continue;", "return;", `return ${value()};`]);
      case 7:
        return pick([`let $a;`, `let $b : ${this.#type()};`, `let $c = ${value()};`]);
      case 8:
        return block();
      case 9:
        return `${pick(VARIABLES)} ${pick(OPERATORS.slice(0, 10))}= ${value()};`;
      case 10:
        return `${pick(MAPS)}[${value()}, ${value()}] = ${value()};`;
      case 11:
        return `_ = ${value()};`;
      default:
        return `(${value()});`;
    }
  }

  expression(): string {
    if (this.#depth > 4) return this.#leaf();
    this.#depth++;
    const text = this.#random.below(4) === 0 ? this.#leaf() : this.#deepExpression();
    this.#depth--;
    return text;
  }

  #deepExpression(): string {
    const { below, pick } = this.#random;
    const value = (): string => this.expression();
    switch (below(15)) {
      case 0:
      case 1:
        return `${this.#operand()} ${pick(OPERATORS)} ${this.#operand()}`;
      case 2:
        return `${pick(["!", "~", "- ", "+ ", "* ", "& "])}${this.#operand()}`;
      case 3:
        return `${value()} ? ${value()} : ${value()}`;
      case 4:
        return `(${this.#type()})${this.#operand()}`;
      case 5:
        return `(${value()})${pick([".x", "->y", ".0", "[1]", "++", "--"])}`;
      case 6:
        return `${pick(MAPS)}[${value()}]`;
      case 7:
        return pick([`()`, `(${value()},)`, `(${value()}, ${value()})`]);
      case 8:
        return `(a=${value()}, b=${value()})`;
      case 9:
        return `f(${value()}, ${value()})`;
      case 10:
        return pick([`sizeof(${this.#type()})`, `sizeof((${value()}))`, `typeof((${value()}))`]);
      case 11:
        return `offsetof(struct s, a.b)`;
      case 12:
        return `({ ${this.#statement()} ${value()} })`;
      case 13:
        return `${pick(["++", "--"])}${pick(VARIABLES)}`;
      default:
        return `(${value()}) ?: ${value()}`;
    }
  }

  /** One that an operator may stand beside: with parentheses, or tight enough. */
  #operand(): string {
    return this.#random.below(2) === 0 ? `(${this.expression()})` : this.#leaf();
  }

  #leaf(): string {
    const { below, pick } = this.#random;
    switch (below(8)) {
      case 0:
        return pick(["0", "0x1fu", "017", "1e6", "1_000ull", "5ms", "18446744073709551615", "3d"]);
      case 1:
        return pick(['"a"', '"\\x01\\377\\n\\\\\\""', '"é"', '""', '"%d {}"']);
      case 2:
        return pick(["true", "false"]);
      case 3:
        return pick(VARIABLES);
      case 4:
        return pick(MAPS);
      case 5:
        return pick(["$1", "$#", "$20"]);
      case 6:
        return "f()";
      default:
        return pick(NAMES);
    }
  }

  #type(): string {
    const { below, pick } = this.#random;
    if (below(8) === 0) return `typeof(${pick(VARIABLES)})`;
    if (below(8) === 0) return "(uint8, string)";
    return pick(TYPES);
  }
}
