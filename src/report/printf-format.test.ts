import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FormatArgument } from "./printf-format.ts";
import { compileFormat } from "./printf-format.ts";
import type { OutputDialect } from "./script-dialect.ts";

function print(dialect: OutputDialect, format: string, ...args: FormatArgument[]): string {
  return compileFormat(format, dialect).format(args);
}

/** What bpftrace 0.17 printed: format | arguments as JSON (texts, or decimal integers) | output. */
const OLD = `
A|%d|%5d|%-5d|%05d|%.3d|%5.3d| ~ 7 7 7 7 7 7 ~ A|7|    7|7    |00007|007|  007|
B|%x|%X|%o|%lx|%llx|%hhx|%hx| ~ -1 255 8 -1 -1 -1 -1 ~ B|ffffffff|FF|10|ffffffffffffffff|ffffffffffffffff|ff|ffff|
C|%ld|%hd|%hhd|%jd|%zd|%td| ~ 1099511627776 70000 300 1099511627776 1099511627776 1099511627776 ~ C|1099511627776|4464|44|1099511627776|1099511627776|1099511627776|
D|%u|%lu|%hu|%hhu| ~ -1 -1 -1 -1 ~ D|4294967295|18446744073709551615|65535|255|
E|%s|%10s|%-10s|%.2s|%5.2s|%010s| ~ "hello" "hi" "hi" "hello" "hello" "hi" ~ E|hello|        hi|hi        |he|   he|        hi|
F|%c|%5c|%-5c| ~ 65 66 67 ~ F|A|    B|C    |
G|%p|%20p|%-20p|%p|%.5p|%lp ~ 0 4096 4096 -1 5 5 ~ G|(nil)|              0x1000|0x1000              |0xffffffffffffffff|0x00005|0x5
%% H %% %d %% %d %% ~ 1 2 ~ % H % 1 % 2 %%
%%I ~ - ~ %%I
J|%d|%u|%x| ~ 9223372036854775808 9223372036854775808 1099511627776 ~ J|0|0|0|
L|%-05d||%.0d|%.0d| ~ 5 0 1 ~ L|5    |||1|
M|%20llx|%-20llu|%020lld| ~ 1 2 -3 ~ M|                   1|2                   |-0000000000000000003|
%08.3x| ~ 5 ~      005|
%d%%%s%% ~ 1 "a" ~ 1%a%%
%d %5% |%#x| %+d |% d| %z % ~ 1 ~ 1 %5% |%#x| %+d |% d| %z %
%s|%5c|. ~ "bpftrace" 0 ~ bpftrace|    |.
%10.3s|%-10.3s|%.0s| ~ "abcdef" "abcdef" "abcdef" ~        abc|abc       ||
%i %q %hs %lc %Ld % d %#x ~ - ~ %i %q %hs %lc %Ld % d %#x
`;

describe("printf of 0.17", () => {
  for (const line of OLD.trim().split("\n")) {
    const [format, args, expected] = line.split(/ ~ ?/);
    it(`prints ${format}`, () => {
      const values = [...args!.matchAll(/"([^"]*)"|(-?\d+)/g)].map(
        ([, text, integer]) => text ?? BigInt(integer!),
      );
      assert.equal(compileFormat(format!, "0.17").specifiers.length, values.length);
      assert.equal(print("0.17", format!, ...values), expected);
    });
  }

  it("shows buffers, and gives back a specifier of one with a width", () => {
    const buffer = { kind: "buffer", bytes: Uint8Array.of(0x61, 0x62, 1, 0xff) } as const;
    assert.equal(
      print("0.17", "%r|%rx|%rh|", buffer, buffer, buffer),
      "ab\\x01\\xff|\\x61\\x62\\x01\\xff|61 62 01 ff|",
    );
    assert.equal(
      print("0.17", "%10r|%-10r|%.1rh|%rr", buffer, buffer, buffer, buffer),
      "%10r|%-10r|%.1rh|ab\\x01\\xffr",
    );
  });

  it("ends a piece at a NUL, but not what follows it", () => {
    assert.equal(print("0.17", "%c%c|\n", 300n, -1n), ",\xff|\n");
    assert.equal(print("0.17", "a\0b%d|", 1n), "a|");
  });
});

describe("printf of head", () => {
  it("takes flags, and widths and precisions from arguments", () => {
    assert.equal(
      print("head", "%+d|% d|%#x|%#o|%+5d|%#06x", 5n, 5n, 255n, 8n, -5n, 1n),
      "+5| 5|0xff|010|   -5|0x0001",
    );
    assert.equal(
      print("head", "%*d|%-*s|%*d|%.*d|%.*d", 5n, 7n, 4n, "a", -4n, 7n, 3n, 7n, -1n, 7n),
      "    7|a   |7   |007|7",
    );
    const { specifiers } = compileFormat("%*.*lld %s %p %rx %%", "head");
    assert.deepEqual(
      specifiers.map(({ text, takes }) => `${text} ${takes}`),
      ["* integer", "* integer", "%lld integer", "%s text", "%p pointer", "%rx buffer"],
    );
  });

  it("turns %% into % everywhere", () => {
    assert.equal(print("head", "%%%d%%%%d%%", 1n), "%1%%d%");
    assert.equal(print("head", "100%%"), "100%");
  });

  it("leaves texts whole and shows every kind of value with %s", () => {
    assert.equal(print("head", "%.2s|%6s|%s", "abc", "abc", 5n), "abc|   abc|5");
    assert.equal(
      print(
        "head",
        "%s %s %s",
        { kind: "bool", value: true },
        { kind: "enum", value: 3n, name: "RED" },
        { kind: "tuple", elements: [{ kind: "string", value: "a" }] },
      ),
      "true RED (a)",
    );
  });

  it("shows a null pointer as 0 and the low 32 bits where no length is given", () => {
    assert.equal(
      print("head", "%p|%p|%d|%u|%hhd", 0n, 16n, 1n << 63n, -1n, 200n),
      "0|0x10|0|4294967295|-56",
    );
  });

  it("names what it does not offer", () => {
    assert.deepEqual(compileFormat("%f %lld %n %gr", "head").unsupported, ["f", "n", "gr"]);
  });

  it("shows an error where a value is of the wrong type", () => {
    assert.equal(print("head", "<%d>", "abc"), "<!{value of the wrong type}>");
  });

  it("takes no width that would fill the memory", () => {
    assert.equal(print("head", "%999999999d", 1n).length, 65_536);
    assert.equal(print("head", "%*d", 999_999_999n, 1n).length, 65_536);
  });
});
