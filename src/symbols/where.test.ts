import assert from "node:assert/strict";
import { test } from "node:test";
import { createRandom } from "../../test/support/elf-builder.ts";
import { ToolError } from "../base/errors.ts";
import { moduleMatches, parseWhere } from "./where.ts";

/** where | module | name | glob or exact | offset, or `every` */
const good = `
malloc                      |          | malloc            | exact | 0
libc:malloc                 | libc     | malloc            | exact | 0
libc:malloc+4               | libc     | malloc            | exact | 4
main+0x1a                   |          | main              | exact | 26
main + 12                   |          | main              | exact | 12
/usr/lib/libz.so.1:inflate  | /usr/lib/libz.so.1 | inflate | exact | 0
./a.out:main                | ./a.out  | main              | exact | 0
libc:mem*                   | libc     | mem*              | glob  | 0
lib*:open                   | lib*     | open              | exact | 0
libc:str[cn]?py             | libc     | str[cn]?py        | glob  | 0
ns::f                       |          | ns::f             | exact | 0
a.out:ns::f                 | a.out    | ns::f             | exact | 0
a.out:::f                   | a.out    | ::f               | exact | 0
ns::f(int)                  |          | ns::f(int)        | exact | 0
ns::f(char*, a::b)+8        |          | ns::f(char*, a::b) | exact | 8
ns::f*(char*)               |          | ns::f*(char*)     | glob  | 0
ns::f(*)                    |          | ns::f(*)          | glob  | 0
v::operator+                |          | v::operator+      | exact | 0
v::operator++4              |          | v::operator+      | exact | 4
v::operator*                |          | v::operator*      | exact | 0
v::operator[]               |          | v::operator[]     | exact | 0
v::Box<int*>::get           |          | v::Box<int*>::get | exact | 0
libstdc++:std::terminate    | libstdc++ | std::terminate   | exact | 0
f[abi:cxx11]                |          | f[abi:cxx11]      | exact | 0
m:f[abi:cxx11]()            | m        | f[abi:cxx11]()    | exact | 0
memcpy@GLIBC_2.2.5          |          | memcpy@GLIBC_2.2.5 | exact | 0
(anonymous namespace)::f    |          | (anonymous namespace)::f | exact | 0
<T as a::B>::go             |          | <T as a::B>::go   | exact | 0
qsort+*                     |          | qsort             | exact | every
libc:qsort + *              | libc     | qsort             | exact | every
libc:mem*+*                 | libc     | mem*              | glob  | every
v::operator+*               |          | v::operator+*     | glob  | 0
v::operator++*              |          | v::operator+      | exact | every
v::operator*+*              |          | v::operator*      | exact | every
v::f(char*)+*               |          | v::f(char*)       | exact | every
`;

test("locations are split into module, name and offset", () => {
  for (const line of good.trim().split("\n")) {
    const [where = "", module = "", name = "", how = "", offset = ""] = line
      .split("|")
      .map((part) => part.trim());
    assert.deepEqual(
      parseWhere(where),
      {
        kind: "symbol",
        module: module || undefined,
        name,
        isGlob: how === "glob",
        offsetBytes: offset === "every" ? 0 : Number(offset),
        isEvery: offset === "every",
      },
      where,
    );
  }
});

test("addresses are hexadecimal text or a bigint", () => {
  assert.deepEqual(parseWhere("0x401136"), {
    kind: "address",
    address: 0x401136n,
    isEvery: false,
  });
  assert.deepEqual(parseWhere("0x401136+0x10"), {
    kind: "address",
    address: 0x401146n,
    isEvery: false,
  });
  assert.deepEqual(parseWhere("0x401136+*"), {
    kind: "address",
    address: 0x401136n,
    isEvery: true,
  });
  assert.deepEqual(parseWhere(0xffff_ffff_8100_0000n), {
    kind: "address",
    address: 0xffff_ffff_8100_0000n,
    isEvery: false,
  });
});

test("what is no location is refused with a reason", () => {
  const bad: readonly (readonly [string | bigint, RegExp])[] = [
    ["", /empty/],
    ["   ", /empty/],
    ["libc:", /no name after/],
    [":malloc", /no module before/],
    ["+4", /no name before the offset/],
    ["12345", /digit/],
    ["0x", /no address/],
    ["0xyz", /no address/],
    ["0x1ffffffffffffffff", /64 bits/],
    ["libc:0x1234", /takes no module/],
    ["/usr/lib/libz.so", /without a function/],
    ["main-4", /counts forward/],
    ["main+four", /no number/],
    ["main+", /no number/],
    ["+*", /no name before the offset/],
    ["main+*+4", /no number/],
    ["main+99999999999999999999", /beyond/],
    ["a::::b", /stands in no name/],
    ["a\nb", /control character/],
    [-1n, /64 bits/],
    [2n ** 64n, /64 bits/],
    ["x".repeat(20_000), /whereCharsMax/],
  ];
  for (const [where, reason] of bad) {
    assert.throws(
      () => parseWhere(where),
      (error: unknown) => {
        assert.ok(error instanceof ToolError, String(where));
        assert.equal(error.code, "where.malformed");
        assert.match(error.message, reason);
        return true;
      },
    );
  }
});

test("random text gives a location or a ToolError", () => {
  const random = createRandom(77);
  const alphabet = "ab:+*?[]()<>0x/.@ \\-_é";
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from(
      { length: random() % 20 },
      () => alphabet[random() % alphabet.length],
    ).join("");
    try {
      parseWhere(text);
      moduleMatches(text, "/usr/lib/libc.so.6", "libc.so.6");
    } catch (error) {
      assert.ok(error instanceof ToolError, `${text}: ${String(error)}`);
    }
  }
});

test("modules are meant by path, file name, short name or glob", () => {
  const libc = "/usr/lib/x86_64-linux-gnu/libc.so.6";
  const yes: readonly (readonly [string, string, string?])[] = [
    ["libc", libc, "libc.so.6"],
    ["libc", "/lib/libc-2.31.so"],
    ["libc.so.6", "/lib/libc-2.31.so", "libc.so.6"],
    ["libc.so", libc],
    ["libstdc++", "/usr/lib/libstdc++.so.6.0.30", "libstdc++.so.6"],
    ["python3", "/usr/bin/python3.11"],
    ["python", "/usr/bin/python3.11"],
    ["libpython3.11", "/usr/lib/libpython3.11.so.1.0"],
    ["_ssl", "/x/_ssl.cpython-311-x86_64-linux-gnu.so"],
    ["addon", "/x/build/Release/addon.node"],
    ["node", "/usr/bin/node (deleted)"],
    [libc, libc],
    ["/lib/x86_64-linux-gnu/libc.so.6", libc],
    ["/usr/lib/libz.so.1", "/usr/lib/libz.so.1.2.13", "libz.so.1"],
    ["./a.out", "/home/me/a.out"],
    ["lib*", libc],
    ["/usr/lib/*/libc.so.?", libc],
    ["vdso", "[vdso]", "linux-vdso.so.1"],
    ["[vdso]", "[vdso]"],
  ];
  for (const [pattern, path, soname] of yes)
    assert.equal(moduleMatches(pattern, path, soname), true, `${pattern} ${path}`);
  const no: readonly (readonly [string, string, string?])[] = [
    ["libc", "/usr/lib/libcrypto.so.3"],
    ["libc", "/usr/lib/libc++.so.1"],
    ["c", libc],
    ["node", "/usr/bin/nodejs"],
    ["/lib/libc.so.6", libc],
    ["./b/a.out", "/home/me/a.out"],
    ["libX11", "/usr/lib/libX11-xcb.so.1"],
  ];
  for (const [pattern, path, soname] of no)
    assert.equal(moduleMatches(pattern, path, soname), false, `${pattern} ${path}`);
});
