/**
 * A Linux kernel behind a stub that gives no physical memory, by a System.map: names from a copy of
 * the guest's own /proc/kallsyms, as they were linked, and where it is by KASLR found in memory.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, ToolError } from "../../src/index.ts";
import { trapline } from "../cli/support/command.ts";
import { buildElf } from "../support/elf-builder.ts";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { PlainStub } from "./support/plain-stub.ts";

/** Where every x86-64 kernel is linked. */
const LINKED_TEXT = 0xffff_ffff_8100_0000n;
const CALLS = 30;

describe("a kernel of which only a System.map is known", { skip: needsGuest("amd64") }, () => {
  let guest: Guest;
  let stub: PlainStub;
  let folder: string;
  let map: string;
  let slide: bigint;
  before(async () => {
    guest = await Guest.boot({ arch: "amd64", cpuCount: 2 });
    folder = mkdtempSync(join(tmpdir(), "trapline-map-"));
    stub = await PlainStub.start(join(folder, "gdb"), guest.gdbPath);
    // Not all of it: the console is slow.
    const wanted = "_text|_stext|_etext|linux_banner|start_kernel|do_sys_.*|__x64_sys_open.*";
    const lines = (await guest.get(`grep -E ' (${wanted})$' /proc/kallsyms`)).split("\n");
    const text = lines.find((line) => / [tT] _text$/.test(line)) ?? "";
    slide = BigInt(`0x${text.slice(0, 16)}`) - LINKED_TEXT;
    map = join(folder, "System.map");
    writeFileSync(map, lines.map((line) => moveBack(line, slide)).join("\n"));
  });
  after(() => {
    stub?.[Symbol.dispose]();
    guest[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("without a file it is said what is missing", () => {
    assert.throws(
      () => connect(stub.address),
      (error) => {
        assert.ok(error instanceof ToolError);
        assert.match(error.message, /gives no physical memory: its file is needed$/);
        return error.code === "gdb.unsupported";
      },
    );
  });

  test("its slide is found, and hits and returns are those of the work done", async () => {
    assert.notEqual(slide, 0n);
    const session = connect(stub.address, { kernel: map, kernelTimeoutMs: 20_000 });
    assert.equal(session.guest.slide, slide);
    assert.match(session.guest.banner, /^Linux version /);
    assert.equal(session.modules()[0]?.name, "vmlinux");
    let opened = 0;
    const cpus = new Set<number | undefined>();
    const results: bigint[] = [];
    const callers = new Set<string>();
    const probe = session.kretprobe("do_sys_openat2", {
      entry: (hit, call) => {
        const isWanted = hit.readCString(hit.arg(1)) === "/dev/null";
        call.data = isWanted;
        if (!isWanted) return;
        opened++;
        cpus.add(hit.thread.cpu);
        callers.add(session.describe(hit.returnAddress));
      },
      handler: (hit, call) => {
        if (call.data === true) results.push(BigInt.asIntN(32, hit.returnValue));
      },
    });
    const run = session.run();
    const said = await guest.get(`work open ${CALLS}`);
    session.detach();
    assert.deepEqual(await run, { kind: "detached" });
    assert.equal(said, `open ${CALLS}`);
    assert.ok(opened >= CALLS, `${opened} opens`);
    assert.equal(results.length, opened);
    assert.ok(results.every((fd) => fd >= 0n));
    assert.deepEqual([probe.missed, probe.errors], [0, 0]);
    assert.ok([...cpus].every((cpu) => cpu === 0 || cpu === 1));
    assert.ok([...callers].every((name) => /^__x64_sys_open(at)?\+.* \(vmlinux\)$/.test(name)));
  });

  test("a vmlinux of another build is refused, and one of this is beside the kernel's own names", () => {
    const address = `unix:${guest.gdbPath}`;
    const own = connect(address);
    const { buildId, symbolCount } = own.guest;
    own.detach();
    const write = (name: string, id: string): string => {
      const path = join(folder, name);
      const symbols = ["_stext", "start_kernel"].map((symbol, index) => ({
        name: symbol,
        address: 0x400 + 16 * index,
      }));
      const built = { type: 2, symbols, buildId: Buffer.from(id, "hex"), imageBase: LINKED_TEXT };
      writeFileSync(path, buildElf(built));
      return path;
    };
    assert.throws(() => connect(address, { kernel: write("other", "00".repeat(20)) }), {
      code: "file.mismatch",
      message: new RegExp(`its build-id is 0{40}, and that in memory ${buildId}$`),
    });
    using session = connect(address, { kernel: write("vmlinux", buildId ?? "") });
    assert.equal(session.guest.symbolCount, symbolCount);
    assert.match(session.guest.memory, /^memory of process/);
  });

  test("info says where it is", async () => {
    const end = await trapline(["info", "--gdb", stub.address, "--kernel", map]);
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stdout, new RegExp(`System\\.map, moved by 0x${slide.toString(16)}$`, "m"));
  });
});

/** A line with the address that the symbol was linked for; per-CPU offsets are what they are. */
function moveBack(line: string, slide: bigint): string {
  const address = BigInt(`0x${line.slice(0, 16) || "0"}`);
  if (address >> 63n !== 1n) return line;
  return `${(address - slide).toString(16).padStart(16, "0")}${line.slice(16)}`;
}
