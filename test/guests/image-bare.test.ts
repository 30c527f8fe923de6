/**
 * A guest without an operating system, known by its ELF file alone: what probes see is held against
 * the guest's own counters.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, type Guest, type SessionEvent, toAddress } from "../../src/index.ts";
import { createMemorySource } from "../../src/session/symbol-files/file-source.ts";
import { readElf } from "../../src/symbols/elf.ts";
import { trapline } from "../cli/support/command.ts";
import { BareGuest, needsQemuSystem } from "../machines/support/bare-guest.ts";
import { buildElf } from "../support/elf-builder.ts";

const PROCESSORS = 2;
const ROUNDS = 25;

describe("a guest without an operating system, by its file", { skip: needsQemuSystem }, () => {
  let guest: BareGuest;
  let file: string;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "trapline-bare-"));
    guest = await BareGuest.start({ processors: PROCESSORS });
    file = guest.image.elfPath;
  });
  after(() => {
    guest[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Let every processor go through its rounds: a number is waited for in a loop. */
  function start(session: Guest, rounds: number): void {
    const started = new Set<number>();
    const probe = session.kprobe("await", {
      pre: (hit) => {
        const index = Number(hit.registers.r12);
        if (started.has(index)) return;
        started.add(index);
        hit.memory.writeU64(toAddress(guest.at("rounds") + BigInt(8 * index)), BigInt(rounds));
        if (started.size === PROCESSORS) probe.unregister();
      },
    });
  }

  /** Its own counts, by all processors, once they are through with their rounds. */
  function counts(session: Guest, rounds: number): Promise<ReadonlyMap<string, number>> {
    return new Promise((resolve) => {
      const probe = session.kprobe("await", {
        pre: (hit) => {
          const sum = (name: string): number => {
            const words = Array.from({ length: PROCESSORS }, (_, index) =>
              Number(hit.memory.readU64(toAddress(guest.at(name) + BigInt(8 * index)))),
            );
            return words.reduce((total, word) => total + word, 0);
          };
          if (sum("done") !== PROCESSORS * rounds) return;
          probe.unregister();
          const names = ["hot_calls", "recurse_calls", "touch_calls"];
          resolve(new Map(names.map((name) => [name, sum(name)])));
        },
      });
    });
  }

  test("hits, arguments, returns and stacks are those that it counts itself", async () => {
    const events: SessionEvent[] = [];
    const session = connect(guest.address, {
      kernel: file,
      kernelTimeoutMs: 20_000,
      onEvent: (event) => events.push(event),
    });
    assert.equal(session.guest.slide, 0n);
    assert.equal(session.guest.file, file);
    assert.equal(session.guest.cpuCount, PROCESSORS);
    const names = new Set<string>();
    const cpus = new Set<number | undefined>();
    const values: bigint[] = [];
    const stacks = new Set<string>();
    let greeting = "";
    const hot = session.kprobe("hot", {
      pre: (hit) => {
        names.add(hit.thread.name.replace(/ *\[.*/, ""));
        cpus.add(hit.thread.cpu);
        assert.equal(hit.thread.id, (hit.thread.cpu ?? 0) + 1);
        greeting = hit.readCString(hit.arg(1)) ?? "";
        stacks.add(
          hit
            .stack(2)
            .map((address) => session.describe(address))
            .join(),
        );
      },
    });
    const returned = session.kretprobe("hot", {
      entry: (hit, call) => {
        call.data = hit.arg(0);
      },
      handler: (hit, call) => {
        values.push(hit.returnValue - 2n * (call.data as bigint));
      },
    });
    const recursions = session.kretprobe("recurse", {});
    const touched = session.kprobe("touch_read", { pre: () => {} });
    const inner = session.kprobe("recurse+*", { pre: () => {} });
    const run = session.run();
    start(session, ROUNDS);
    const counted = await counts(session, ROUNDS);
    session.detach();
    assert.deepEqual(await run, { kind: "detached" });
    assert.equal(counted.get("hot_calls"), PROCESSORS * ROUNDS);
    assert.equal(recursions.hits, counted.get("recurse_calls"));
    assert.equal(touched.hits, counted.get("touch_calls"));
    assert.equal(hot.hits, PROCESSORS * ROUNDS);
    assert.deepEqual(values, Array(PROCESSORS * ROUNDS).fill(1n));
    assert.equal(recursions.hits, PROCESSORS * ROUNDS * 4);
    // Up to the next label: four instructions of the innermost call, and five of the others.
    assert.equal(inner.hits, PROCESSORS * ROUNDS * 19);
    assert.deepEqual([hot.missed, returned.missed, recursions.missed, inner.missed], [0, 0, 0, 0]);
    assert.equal(greeting, "hello, guest");
    assert.deepEqual([...names].sort(), ["CPU#0", "CPU#1"]);
    assert.deepEqual([...cpus].sort(), [0, 1]);
    assert.deepEqual([...stacks], ["call_site+0x5 (guest.elf64)"]);
    assert.deepEqual(
      events.filter(({ kind }) => kind === "warning"),
      [],
    );
  });

  test("info, list, check and trace know it by its file", async () => {
    const stub = ["--gdb", guest.address, "--kernel", file];
    const info = await trapline(["info", ...stub]);
    assert.equal(info.code, 0, info.stderr);
    assert.match(info.stdout, /^file +\S+guest\.elf64, where it was linked$/m);
    assert.match(info.stdout, /^cpus +2, x86_64$/m);
    const json = await trapline(["info", "--json", ...stub]);
    assert.equal(JSON.parse(json.stdout).slide, "0x0");
    const list = await trapline(["list", "hot*", ...stub]);
    assert.match(list.stdout, / guest\.elf64:hot$/m);
    const check = await trapline(["check", "hot", "kernel:hot_move", ...stub]);
    assert.equal(check.code, 0, check.stderr);
    assert.match(check.stdout, /^guest\.elf64:hot {2}0x11[0-9a-f]{4}$/m);
    const wrong = await trapline(["trace", "hott", ...stub]);
    assert.match(wrong.stderr, /did you mean hot/);
    using session = connect(guest.address, { kernel: file });
    const run = session.run();
    start(session, 100_000_000);
    const first = session.kprobe("hot", { pre: () => session.detach() });
    await run;
    assert.equal(first.hits, 1);
    const trace = await trapline(["trace", "--limit", "4", "hot", ...stub]);
    assert.equal(trace.code, 0, trace.stderr);
    assert.match(trace.stdout, /^ +[\d.]+ \[CPU#[01] \[running\] [12]\] hot\(.*\) = /m);
    assert.match(trace.stderr, /^trapline: 4 calls of 1 function; detached/m);
  });

  test("what is wrong with a file is said in one line", async () => {
    const why = async (kernel: string): Promise<string> => {
      const end = await trapline(["list", "x", "--gdb", guest.address, "--kernel", kernel]);
      assert.notEqual(end.code, 0);
      return end.stderr;
    };
    const write = (name: string, content: Uint8Array | string): string => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    };
    const other = write("other", wrongCode(file));
    assert.match(await why(other), /^trapline: \S+other is not the file of what runs behind/m);
    assert.throws(() => connect(guest.address, { kernel: file, slide: 0x400_0000 }), {
      code: "file.mismatch",
      message: /is not in memory at 0x41[0-9a-f]+, nor where the target was stopped$/,
    });
    const arm = write("arm", buildElf({ machine: 183, symbols: [{ name: "f", address: 0x400 }] }));
    assert.match(await why(arm), /arm is for arm64, and the stub's target is x86_64$/m);
    const bare = write("stripped", buildElf({}));
    assert.match(await why(bare), /stripped has no symbols: it was stripped$/m);
    assert.match(await why(write("text", "hello")), /text is neither an ELF file nor a list/);
    assert.match(await why(join(folder, "none")), /cannot read \S+none \(ENOENT\)/);
    assert.match(await why(guest.image.path), /guest\.elf32 \(a 32-bit ELF file\)/);
    const alone = await trapline(["list", "x", "--kernel", file]);
    assert.equal(alone.code, 2);
    assert.match(alone.stderr, /^trapline: --kernel and --slide are of a target behind a stub$/m);
  });
});

/** The same file with other code. */
function wrongCode(path: string): Uint8Array {
  const bytes = readFileSync(path);
  const elf = readElf(createMemorySource(bytes), path);
  const text = elf.sections.find(({ name }) => name === ".text");
  assert.ok(text);
  const end = text.fileOffset + text.sizeBytes;
  for (let at = text.fileOffset; at < end; at++) bytes[at] = (bytes[at] as number) ^ 0x5a;
  return bytes;
}
