import assert from "node:assert/strict";
import test from "node:test";
import { splitWords } from "./words.ts";

/** Command line => words, each in brackets; `!` and a part of the message for a refusal. */
const VECTORS = String.raw`
ls -l /usr                 => [ls] [-l] [/usr]
  ls	 -l                   => [ls] [-l]
echo 'a b' "c d" e\ f      => [echo] [a b] [c d] [e f]
echo a'b'"c"d              => [echo] [abcd]
echo '' ""                 => [echo] [] []
echo "a\"b\\c\d"           => [echo] [a"b\c\d]
echo 'a\b|$x'              => [echo] [a\b|$x]
[ -f x ]                   => [[] [-f] [x] []]
find . ! -name x           => [find] [.] [!] [-name] [x]
echo a#b a~b \$x           => [echo] [a#b] [a~b] [$x]
python3 -c 'print("hi")'   => [python3] [-c] [print("hi")]
a \| b                     => [a] [|] [b]
a | b                      => ! | in the command needs a shell
ls *.c                     => ! * in the command needs a shell
ls [ab].c                  => ! [ in the command needs a shell
echo $HOME                 => ! $ in the command needs a shell
echo "$HOME"               => ! $ in the command needs a shell
ls > x                     => ! > in the command needs a shell
sleep 1 &                  => ! & in the command needs a shell
ls ~                       => ! ~ in the command needs a shell
A=1 env                    => ! cannot set a variable
echo 'a                    => ! ' is not closed
echo "a                    => ! " is not closed
echo a\                    => ! \ is not closed
`;

test("a command line is split as a shell would, and refused where only a shell can serve", () => {
  for (const line of VECTORS.split("\n").filter((text) => text !== "")) {
    const [command, expected] = line.split(/ +=> /) as [string, string];
    if (expected.startsWith("! ")) {
      assert.throws(
        () => splitWords(command),
        (error: Error) => error.message.includes(expected.slice(2)),
        line,
      );
    } else {
      const words = splitWords(command).map((word) => `[${word}]`);
      assert.equal(words.join(" "), expected, line);
    }
  }
});

test("an empty command is refused", () => {
  assert.throws(() => splitWords("  "), /the command is empty/);
});
