/** A guest that boots while it is looked at: its kernel is found as soon as it runs. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ToolError } from "../../src/base/errors.ts";
import { findKernel, type GuestKernel } from "../../src/guest/kernel.ts";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { SharedRam, type StoppedCpu, whileStopped } from "../support/guest-memory.ts";
import { sleep } from "../support/programs.ts";

/** A guest that is stopped again at once gets nowhere. */
const STOP_PAUSE_MS = 20;

for (const arch of ["amd64", "arm64"] as const) {
  describe(`a guest of ${arch} that boots`, { skip: needsGuest(arch) }, () => {
    test("has a kernel as soon as that runs, and none before", async () => {
      using guest = await Guest.boot({
        arch,
        sharedMemory: true,
        waitUntilUp: false,
        // Not a single instruction runs before the first look, whose end lets it go on.
        qemuOptions: ["-S"],
      });
      using ram = new SharedRam(guest);
      let tries = 0;
      let early: GuestKernel | undefined;
      while (early === undefined) {
        assert.ok(!guest.consoleText.includes("GUEST READY"), "it is up, and no kernel was found");
        early = await whileStopped(guest, ([cpu]) => tryFindKernel(ram, cpu!));
        tries += 1;
        await sleep(STOP_PAUSE_MS);
      }
      assert.ok(tries > 1);
      await guest.untilUp();
      const late = await whileStopped(guest, ([cpu]) => findKernel(ram, cpu!.state));
      assert.deepEqual(early.symbols, late.symbols);
      assert.equal(early.buildId, late.buildId);
      assert.equal(early.types?.count, late.types?.count);
    });
  });
}

function tryFindKernel(ram: SharedRam, { state }: StoppedCpu): GuestKernel | undefined {
  try {
    return findKernel(ram, state);
  } catch (error) {
    if (error instanceof ToolError && error.code === "kernel.notFound") return undefined;
    throw error;
  }
}
