/** C++ and Rust names: exact, by pattern, and ambiguous with the choices. */

import assert from "node:assert/strict";
import test from "node:test";
import { launch, ToolError } from "../../src/index.ts";
import { countHits } from "./support/count.ts";
import { compile, Scratch } from "./support/tools.ts";

test("C++ and Rust functions are probed by demangled name, mangled name and pattern", async () => {
  using scratch = new Scratch();
  const program = compile("names.cpp", scratch.file("names"));
  const expected = {
    "ns::f(int)": 3,
    "ns::f(double)": 4,
    "ns::f(char const*)": 5,
    "names:ns::f(int)": 3,
    "ns::f(*)": 12,
    "ns::Box::add(long)": 6,
    "ns::Box::add": 6,
    "ns::Box::operator[]": 7,
    "ns::twice*": 17,
    "*hidden(long)": 10,
    _ZN2ns1fEd: 4,
    "shapes::area": 11,
    "shapes::volume": 12,
    "shapes::*": 23,
  };
  const seen = await countHits([program], Object.keys(expected));
  assert.deepEqual(seen.hits, expected);
  assert.equal(seen.stdout, "ok\n");
});

test("an overloaded name is ambiguous, with the choices", () => {
  using scratch = new Scratch();
  const program = compile("names.cpp", scratch.file("names"));
  using session = launch([program], { stdio: ["ignore", "ignore", "ignore"] });
  assert.throws(
    () => session.kprobe("ns::f", {}),
    (error: unknown) => {
      assert.ok(error instanceof ToolError);
      assert.equal(error.code, "symbol.ambiguous");
      const choices = error.details["choices"] as readonly string[];
      for (const name of ["ns::f(int)", "ns::f(double)", "ns::f(char const*)"]) {
        assert.ok(
          choices.some((choice) => choice.endsWith(name)),
          choices.join("\n"),
        );
        assert.ok(error.hint?.includes(name));
      }
      return true;
    },
  );
  const [chosen] = session.symbols("ns::f(int)");
  assert.equal(chosen?.mangledName, "_ZN2ns1fEi");
});
