import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeBinaryPacket, encodePacket, PacketDecoder, type WireItem } from "./packets.ts";

describe("packets", () => {
  it("have the sum of their bytes behind them", () => {
    assert.equal(text(encodePacket("g")), "$g#67");
    assert.equal(text(encodePacket("")), "$#00");
    assert.equal(text(encodePacket("vCont;c")), "$vCont;c#a8");
  });

  it("escape what would end them, in binary data", () => {
    const packet = encodeBinaryPacket("X0,5:", Uint8Array.of(0x23, 0x24, 0x7d, 0x2a, 0x61));
    assert.equal(text(packet).slice(0, -2), "$X0,5:}\x03}\x04}]}\x0aa#");
    assert.deepEqual(decode(text(packet)), [{ kind: "packet", data: "X0,5:#$}*a" }]);
  });

  it("come out whole however they are cut", () => {
    const wire = "+$T05thread:p01.02;#07%Stop:x#00-$0* #7a";
    for (let size = 1; size <= wire.length; size++) {
      const decoder = new PacketDecoder();
      const items: WireItem[] = [];
      for (let at = 0; at < wire.length; at += size) {
        decoder.push(Buffer.from(wire.slice(at, at + size), "latin1"));
        for (let item = decoder.next(); item !== undefined; item = decoder.next()) items.push(item);
      }
      assert.deepEqual(items, [
        { kind: "ack" },
        { kind: "packet", data: "T05thread:p01.02;" },
        { kind: "nack" },
        { kind: "packet", data: "0000" },
      ]);
    }
  });

  it("unfold runs of what came before", () => {
    assert.deepEqual(decode(framed("x*!y")), [{ kind: "packet", data: "xxxxxy" }]);
    assert.deepEqual(decode(framed("}\x03* ")), [{ kind: "packet", data: "####" }]);
  });

  it("that are broken say why, and the next is found", () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["$abc#00", /checksum "00", where 26 is right/],
      ["$abc#xy", /checksum "xy"/],
      ["$ab$abc#26", /ends in the middle/],
      [framed("*!"), /a run of nothing/],
      [framed("a*"), /a run of nothing, or of no length/],
      [framed("a}"), /ends in an escape/],
    ];
    for (const [wire, why] of cases) {
      const [broken, ...rest] = decode(`${wire}$OK#9a`);
      assert.ok(broken?.kind === "broken", wire);
      assert.match(broken.why, why);
      assert.deepEqual(rest.at(-1), { kind: "packet", data: "OK" });
    }
  });

  it("decode what was encoded, for any bytes", () => {
    for (let round = 0; round < 200; round++) {
      const bytes = Uint8Array.from({ length: round }, (_, at) => (at * 167 + round * 31) & 0xff);
      const [item] = decode(text(encodeBinaryPacket("X:", bytes)));
      assert.ok(item?.kind === "packet");
      assert.deepEqual(Buffer.from(item.data.slice(2), "latin1"), Buffer.from(bytes));
    }
  });
});

function decode(wire: string): readonly WireItem[] {
  const decoder = new PacketDecoder();
  decoder.push(Buffer.from(wire, "latin1"));
  const items: WireItem[] = [];
  for (let item = decoder.next(); item !== undefined; item = decoder.next()) items.push(item);
  return items;
}

function framed(data: string): string {
  const sum = [...data].reduce((total, one) => total + one.charCodeAt(0), 0) & 0xff;
  return `$${data}#${sum.toString(16).padStart(2, "0")}`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
