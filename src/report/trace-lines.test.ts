import assert from "node:assert/strict";
import test from "node:test";
import { CallTree, type TracedCall } from "./call-tree.ts";
import { JsonLines } from "./json-lines.ts";
import { createPaint } from "./text.ts";
import { TraceLines } from "./trace-lines.ts";

/**
 * A tree that writes to `lines`, and calls made for it: one microsecond passes with every event.
 */
class Scene {
  readonly lines: string[] = [];
  readonly tree: CallTree;
  #timeNs = 5_000_000_000n;
  #number = 0;

  constructor(options: { isJson?: boolean; isColoured?: boolean; depthMax?: number } = {}) {
    const emit = (line: string): void => void this.lines.push(line);
    const paint = createPaint({ isColoured: options.isColoured ?? false });
    const sink = options.isJson
      ? new JsonLines(emit)
      : new TraceLines({ paint, textLengthMax: 32, hasThreads: false, emit });
    this.tree = new CallTree(sink, options.depthMax ?? Number.POSITIVE_INFINITY);
  }

  create(name: string, stackPointer: number, threadId = 1): TracedCall {
    this.#timeNs += 1000n;
    return {
      number: ++this.#number,
      processId: 1,
      threadId,
      threadName: undefined,
      name,
      module: "libx.so",
      args: [{ kind: "integer", value: 1n }],
      entryNs: this.#timeNs,
      stackPointer: BigInt(stackPointer),
      depth: 0,
      isOpened: false,
      isClosed: false,
    };
  }

  enter(name: string, stackPointer: number, threadId = 1): TracedCall {
    const call = this.create(name, stackPointer, threadId);
    this.tree.enter(call);
    return call;
  }

  leave(call: TracedCall): void {
    this.#timeNs += 1000n;
    this.tree.return(call, { kind: "integer", value: 7n }, this.#timeNs - call.entryNs);
  }

  get text(): string {
    return this.lines.join("\n");
  }
}

test("a leaf is one line, a call with calls inside is a block", () => {
  const scene = new Scene();
  const outer = scene.enter("outer", 900);
  scene.leave(scene.enter("inner", 800));
  scene.leave(scene.enter("inner", 800));
  scene.leave(outer);
  scene.leave(scene.enter("leaf", 900));
  assert.equal(
    scene.text,
    `    0.000000 outer(1) {
    0.000001   inner(1) = 7 <1.00us>
    0.000003   inner(1) = 7 <1.00us>
    0.000005 } outer = 7 <5.00us>
    0.000006 leaf(1) = 7 <1.00us>`,
  );
});

test("calls that were left without a return are closed by the one around them", () => {
  const scene = new Scene();
  const outer = scene.enter("catches", 900);
  scene.enter("throws", 800);
  scene.enter("deep", 700);
  scene.leave(outer);
  assert.equal(
    scene.text,
    `    0.000000 catches(1) {
    0.000001   throws(1) {
    0.000002     deep(1) = ?
    0.000001   } throws = ?
    0.000003 } catches = 7 <3.00us>`,
  );
});

test("calls that were left are closed by the stack pointer of the next one", () => {
  const scene = new Scene();
  scene.enter("left", 800);
  scene.leave(scene.enter("next", 900));
  scene.enter("again", 700);
  scene.leave(scene.enter("again", 700));
  assert.equal(
    scene.text,
    `    0.000000 left(1) = ?
    0.000001 next(1) = 7 <1.00us>
    0.000003 again(1) = ?
    0.000004 again(1) = 7 <1.00us>`,
  );
});

test("a tail call stays inside its caller", () => {
  const scene = new Scene();
  const first = scene.enter("first", 800);
  const second = scene.enter("second", 800);
  scene.leave(second);
  scene.leave(first);
  assert.equal(
    scene.text,
    `    0.000000 first(1) {
    0.000001   second(1) = 7 <1.00us>
    0.000003 } first = 7 <3.00us>`,
  );
});

test("a call on another stack is no sign that the open ones are gone, and late returns are told", () => {
  const scene = new Scene();
  const outer = scene.enter("outer", 0x7000_0000);
  const other = scene.enter("onOtherStack", 0x7f00_0000);
  scene.leave(outer);
  scene.leave(other);
  assert.equal(
    scene.text,
    `    0.000000 outer(1) {
    0.000001   onOtherStack(1) = ?
    0.000002 } outer = 7 <2.00us>
    0.000001   onOtherStack(1) = 7 <2.00us> (late)`,
  );
});

test("threads nest each by itself and are named once there are two", () => {
  const scene = new Scene();
  const one = scene.enter("one", 900, 11);
  const inner = scene.enter("inner", 800, 11);
  const two = scene.enter("two", 900, 22);
  scene.leave(inner);
  scene.leave(two);
  scene.leave(one);
  assert.equal(
    scene.text,
    `    0.000000 one(1) {
    0.000001   inner(1) = 7 <2.00us>
    0.000002 [22] two(1) = 7 <2.00us>
    0.000005 [11] } one = 7 <5.00us>`,
  );
});

test("what is open at the end of the process, or of the trace, is closed as unknown", () => {
  const scene = new Scene();
  scene.enter("main", 900);
  scene.tree.point(scene.create("exit", 800));
  scene.tree.endProcess(1);
  scene.enter("sleep", 900);
  scene.tree.end();
  assert.equal(
    scene.text,
    `    0.000000 main(1) {
    0.000001   exit(1)
    0.000000 } main = ?
    0.000002 sleep(1) = ?`,
  );
});

test("calls deeper than asked for are left out", () => {
  const scene = new Scene({ depthMax: 1 });
  const outer = scene.enter("outer", 900);
  scene.leave(scene.enter("inner", 800));
  scene.leave(outer);
  assert.equal(scene.text, "    0.000000 outer(1) = 7 <3.00us>");
});

test("colours are there when asked for, and only then", () => {
  const scene = new Scene({ isColoured: true });
  scene.leave(scene.enter("f", 900));
  assert.equal(
    scene.text,
    "\x1b[2m    0.000000\x1b[0m \x1b[1;36mf\x1b[0m(\x1b[33m1\x1b[0m) = \x1b[33m7\x1b[0m \x1b[2m<1.00us>\x1b[0m",
  );
});

test("JSON is one object a call, when it ends", () => {
  const scene = new Scene({ isJson: true });
  const outer = scene.enter('out"er\n', 900);
  scene.enter("lost", 800);
  scene.leave(outer);
  assert.equal(
    scene.text,
    `{"call":2,"ts":5000002000,"pid":1,"tid":1,"function":"lost","module":"libx.so","depth":1,"args":[1],"ret":null,"duration_ns":null,"returned":false}
{"call":1,"ts":5000001000,"pid":1,"tid":1,"function":"out\\"er\\n","module":"libx.so","depth":0,"args":[1],"ret":7,"duration_ns":2000,"returned":true}`,
  );
});
