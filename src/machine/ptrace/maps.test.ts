import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMappings, readMappings } from "./maps.ts";

test("each line is a mapping, with its path as it is written", () => {
  const text = [
    "00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/dbus-daemon",
    "7f0000000000-7f0000001000 rw-s 00000000 00:05 1234 /dev/shm/with space (deleted)",
    "7f0000001000-7f0000002000 ---p 00000000 00:00 0 ",
    "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]",
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
    "",
  ].join("\n");
  const [program, shared, guard, stack, vsyscall, ...rest] = parseMappings(text);
  assert.deepEqual(rest, []);
  assert.deepEqual(program, {
    start: 0x400000n,
    end: 0x452000n,
    fileOffset: 0x1000,
    readable: true,
    writable: false,
    executable: true,
    shared: false,
    path: "/usr/bin/dbus-daemon",
  });
  assert.equal(shared?.path, "/dev/shm/with space (deleted)");
  assert.equal(shared?.shared, true);
  assert.equal(guard?.path, "");
  assert.deepEqual([guard?.readable, guard?.writable, guard?.executable], [false, false, false]);
  assert.equal(stack?.path, "[stack]");
  assert.equal(vsyscall?.start, 0xffffffffff600000n);
  assert.equal(vsyscall?.executable, true);
});

test("what is no mapping is passed over", () => {
  assert.deepEqual(parseMappings(""), []);
  assert.deepEqual(parseMappings("nonsense\n1-2 rwx\n"), []);
});

test("our own are read in ascending order, and those of a process that is not are none", () => {
  const maps = readMappings(process.pid);
  assert.ok(maps.length > 10);
  assert.ok(maps.some((map) => map.path === "[stack]"));
  maps.forEach((map, index) => {
    assert.ok(map.start < map.end);
    if (index > 0) assert.ok(map.start >= (maps[index - 1]?.end ?? 0n));
  });
  assert.deepEqual(readMappings(4_194_303), []);
});
