/** Memory of the target as handlers read and write it. */

import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { describe, test } from "node:test";
import type { Hit, Memory } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const PAGE = 4096n;

/** Run a handler once, at the entry of `f`, with whatever it throws thrown here. */
async function atHit(body: (hit: Hit, memory: Memory) => void): Promise<void> {
  let failure: unknown;
  using program = launchProgram([build("calls.c"), "1"], {
    onHandlerError: ({ error }) => {
      failure = error;
    },
  });
  const probe = program.session.kprobe("f", { pre: (hit) => body(hit, hit.memory) });
  program.session.kprobe("g", {});
  program.session.kretprobe("h", {});
  const { status, text } = await program.finish();
  if (failure !== undefined) throw failure;
  assert.equal(probe.hits, 1);
  assert.deepEqual(status, { kind: "exited", code: 0 }, text);
}

interface MapLine {
  readonly start: bigint;
  readonly end: bigint;
  readonly rights: string;
  readonly path: string;
}

function readMaps(pid: number): readonly MapLine[] {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line);
      if (match === null) return [];
      const [, start, end, rights, path] = match as unknown as readonly string[];
      return [
        {
          start: BigInt(`0x${start}`),
          end: BigInt(`0x${end}`),
          rights: rights ?? "",
          path: path ?? "",
        },
      ];
    });
}

/** The end of writable memory behind which nothing is mapped. */
function findEdge(pid: number): bigint {
  const maps = readMaps(pid);
  const edge = maps.find(
    (map, index) =>
      map.rights.startsWith("rw-p") && map.path === "[heap]" && maps[index + 1]?.start !== map.end,
  );
  const other = maps.find(
    (map, index) => map.rights.startsWith("rw-p") && maps[index + 1]?.start !== map.end,
  );
  const found = edge ?? other;
  assert.ok(found !== undefined);
  return found.end;
}

describe("memory", { skip: needsGcc }, () => {
  test("breakpoints do not show in reads", async () => {
    await atHit((hit, memory) => {
      const text = readMaps(hit.thread.processId).find(
        (map) => map.rights === "r-xp" && map.path.endsWith("/calls"),
      );
      assert.ok(text !== undefined);
      const sizeBytes = Number(text.end - text.start);
      const file = new Uint8Array(sizeBytes);
      const fd = openSync(text.path, "r");
      readSync(fd, file, 0, sizeBytes, offsetOf(hit.thread.processId, text.start));
      closeSync(fd);
      assert.deepEqual(memory.readBytes(text.start, sizeBytes), file);
      assert.notEqual(memory.readU8(hit.address), 0xcc);
      assert.equal(memory.readU8(hit.address), file[Number(hit.address - text.start)]);
      const word = memory.readU64(hit.address - 3n) ?? 0n;
      assert.equal(Number((word >> 24n) & 0xffn), memory.readU8(hit.address));
    });
  });

  test("integers are little-endian, signed and unsigned", async () => {
    await atHit((hit, memory) => {
      const at = hit.registers.rsp - 1024n;
      assert.ok(
        memory.writeBytes(at, Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80)),
      );
      assert.equal(memory.readU8(at), 0xfe);
      assert.equal(memory.readI8(at), -2);
      assert.equal(memory.readU16(at), 0xfffe);
      assert.equal(memory.readI16(at), -2);
      assert.equal(memory.readU32(at), 0xfffffffe);
      assert.equal(memory.readI32(at), -2);
      assert.equal(memory.readU64(at), 0x80ff_ffff_ffff_fffen);
      assert.equal(memory.readI64(at), -0x7f00_0000_0000_0002n);
      assert.equal(memory.readPointer(at), 0x80ff_ffff_ffff_fffen);
    });
  });

  test("writes of every size reach the target", async () => {
    await atHit((hit, memory) => {
      const at = hit.registers.rsp - 1024n;
      assert.ok(memory.writeU64(at, -1n));
      assert.equal(memory.readU64(at), 0xffff_ffff_ffff_ffffn);
      assert.ok(memory.writeU8(at, 0x11));
      assert.ok(memory.writeU16(at + 2n, 0x2233));
      assert.ok(memory.writeU32(at + 4n, 0x44556677));
      assert.deepEqual(
        memory.readBytes(at, 8),
        Uint8Array.of(0x11, 0xff, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44),
      );
      assert.ok(memory.writeBytes(at, new Uint8Array(0)));
    });
  });

  test("what is not mapped gives undefined, and false", async () => {
    await atHit((hit, memory) => {
      const edge = findEdge(hit.thread.processId);
      for (const at of [0n, 8n, edge, edge - 4n, 0x7fff_ffff_f000n, 0x8000_0000_0000_0000n, -8n]) {
        assert.equal(memory.readU64(at), undefined, `0x${at.toString(16)}`);
        assert.equal(memory.writeU64(at, 1n), false, `0x${at.toString(16)}`);
      }
      assert.equal(memory.readU32(edge - 4n) !== undefined, true);
      assert.equal(memory.readBytes(edge - 8n, 9), undefined);
      assert.equal(memory.readBytes(edge - 8n, 8)?.length, 8);
      assert.equal(memory.readCString(0n), undefined);
      assert.equal(memory.readU8(0n), undefined);
      assert.equal(memory.readI64(0n), undefined);
      assert.equal(memory.readPointer(0n), undefined);
      assert.equal(memory.writeBytes(edge - 2n, new Uint8Array(4)), false);
    });
  });

  test("a string ends at its NUL, at the end of memory, or at the given size", async () => {
    await atHit((hit, memory) => {
      const edge = findEdge(hit.thread.processId);
      const put = (at: bigint, text: string): void => {
        assert.ok(memory.writeBytes(at, new TextEncoder().encode(text)));
      };
      const saved = memory.readBytes(edge - PAGE, Number(PAGE));
      assert.ok(saved !== undefined);
      put(edge - 6n, "hello\0");
      assert.equal(memory.readCString(edge - 6n), "hello", "up to the last byte of the page");
      assert.equal(hit.readCString(edge - 1n), "");
      put(edge - 6n, "hello!");
      assert.equal(memory.readCString(edge - 6n), undefined, "it runs into nothing");
      assert.equal(memory.readCString(edge - 6n, 6), "hello!");
      assert.equal(memory.readCString(edge - 6n, 3), "hel");
      const long = "é".repeat(1000);
      put(edge - 2001n, `${long}\0`);
      assert.equal(memory.readCString(edge - 2001n), long);
      assert.equal(memory.readCString(edge - 2001n, 64)?.startsWith("é".repeat(32)), true);
      assert.ok(memory.writeBytes(edge - PAGE, saved));
    });
  });

  test("a write never lands on a breakpoint of ours", async () => {
    await atHit((hit, memory) => {
      const { address } = hit;
      const before = memory.readBytes(address - 8n, 24);
      for (const [at, size] of [
        [address, 1],
        [address - 7n, 8],
        [address, 8],
      ] as const) {
        assert.equal(memory.writeBytes(at, new Uint8Array(size)), false);
      }
      assert.deepEqual(memory.readBytes(address - 8n, 24), before);
    });
  });

  test("read-only memory can be written, for this process alone", async () => {
    await atHit((hit, memory) => {
      const map = readMaps(hit.thread.processId).find(
        (one) => one.rights === "r--p" && one.path.endsWith("/calls"),
      );
      assert.ok(map !== undefined);
      const at = map.end - 16n;
      const before = memory.readU64(at) ?? 0n;
      assert.ok(memory.writeU64(at, before ^ 1n));
      assert.equal(memory.readU64(at), before ^ 1n);
      assert.ok(memory.writeU64(at, before));
    });
  });
});

function offsetOf(pid: number, start: bigint): number {
  const line = readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .find(
      (one) =>
        one.startsWith(`${start.toString(16)}-`) || BigInt(`0x0${one.split("-")[0]}`) === start,
    );
  return Number.parseInt(line?.split(" ")[2] ?? "0", 16);
}
