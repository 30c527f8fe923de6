/** Targets that do what is not expected of them, and handlers that fail. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { attach, type HandlerError, type SessionEvent } from "../../src/index.ts";
import { countHits } from "../real/support/count.ts";
import { findTextChanges } from "../real/support/text.ts";
import { needs, Running, Scratch, waitFor } from "../real/support/tools.ts";
import { refusalOf } from "./support/refusals.ts";
import { compileWaits } from "./support/waits.ts";

test("a handler that throws is counted and told of, and the program goes on", async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  const errors: HandlerError[] = [];
  using session = attach(target.pid, { onHandlerError: (error) => errors.push(error) });
  const probe = session.kprobe("work", {
    pre() {
      throw new Error("pre fails");
    },
    post() {
      throw "post throws no Error";
    },
  });
  const returns = session.kretprobe("work", {
    entry() {
      throw new Error("entry fails");
    },
    handler() {
      throw undefined;
    },
  });
  const ended = session.run();
  for (let line = 0; line < 3; line++) target.say();
  await target.until("called 3");
  session.detach();
  await ended;
  assert.equal(probe.hits, 3);
  assert.equal(probe.errors, 6);
  assert.equal(returns.errors, 6);
  assert.equal(errors.length, 12);
  assert.deepEqual(
    new Set(errors.map((error) => error.handler)),
    new Set(["pre", "post", "entry", "handler"]),
  );
  assert.deepEqual(findTextChanges(target.pid), []);
  target.say();
  await target.until("called 4");
});

test("a target that is killed while it is probed ends the session", async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  using session = attach(target.pid);
  const probe = session.kprobe("work", { pre() {} });
  const ended = session.run();
  target.say();
  await target.until("called 1");
  process.kill(target.pid, "SIGKILL");
  assert.deepEqual(await ended, { kind: "killed", signal: 9, signalName: "SIGKILL" });
  assert.equal(session.live, false);
  assert.equal(probe.hits, 1);
  assert.equal(probe.registered, false);
  for (const action of [
    () => session.kprobe("work", {}),
    () => session.check("work"),
    () => session.symbols("work"),
    () => session.modules(),
    () => session.register([]),
  ]) {
    try {
      action();
    } catch {
      refusalOf(action, "machine.gone", { hint: false });
    }
  }
  probe.disable();
  probe.enable();
  probe.unregister();
  session.detach();
});

test("a target that kills itself in a handler's call ends the session too", async () => {
  const seen = await countHits(["/bin/sh", "-c", "kill -KILL $$"], ["libc:kill"]);
  assert.deepEqual(seen.status, { kind: "killed", signal: 9, signalName: "SIGKILL" });
  assert.equal(seen.hits["libc:kill"], 1);
});

test("a target that execs is probed on in its new program", async () => {
  const argv = ["/bin/sh", "-c", "exec /bin/sh -c 'exec /bin/echo done'"];
  const seen = await countHits(argv, ["libc:execve", "libc:fclose"]);
  assert.equal(seen.stdout, "done\n");
  assert.deepEqual(seen.status, { kind: "exited", code: 0 });
  assert.equal(seen.hits["libc:execve"], 2);
  assert.ok((seen.hits["libc:fclose"] ?? 0) > 0);
  assert.equal(seen.events.filter((event) => event.kind === "exec").length, 2);
});

test("a target that stops itself stays stopped until it is continued", async () => {
  using running = await Running.start(
    ["/bin/sh", "-c", "echo ready; read x; kill -STOP $$; echo went on; read x; echo $x"],
    "ready",
  );
  const events: SessionEvent[] = [];
  using session = attach(running.pid, { onEvent: (event) => events.push(event) });
  const probe = session.kprobe("libc:write", { pre() {} });
  const ended = session.run();
  running.say();
  const state = (): string => readFileSync(`/proc/${running.pid}/stat`, "utf8").split(" ")[2] ?? "";
  // Twice: a trap on the way looks the same for a moment.
  await waitFor(() => /[Tt]/.test(state()), "the stop");
  assert.equal(running.stdout, "ready\n");
  process.kill(running.pid, "SIGCONT");
  await running.until("went on");
  assert.equal(probe.hits, 1);
  session.detach();
  await ended;
  running.say("end\n");
  assert.equal(await running.ended, 0);
  assert.equal(running.stdout, "ready\nwent on\nend\n");
});

test("detached while it is stopped, a target stays stopped and whole", async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  process.kill(target.pid, "SIGSTOP");
  const state = (): string => readFileSync(`/proc/${target.pid}/stat`, "utf8").split(" ")[2] ?? "";
  await waitFor(() => state() === "T", "the stop");
  {
    using session = attach(target.pid);
    session.kprobe("work", { pre() {} });
    session.detach();
  }
  assert.deepEqual(findTextChanges(target.pid), []);
  await waitFor(() => state() === "T", "the stop again");
  process.kill(target.pid, "SIGCONT");
  target.say();
  await target.until("called 1");
});

test("python that crashes ends as it does unprobed", needs("/usr/bin/python3"), async () => {
  const script = "import ctypes; ctypes.string_at(8)";
  const argv = ["/usr/bin/python3", "-I", "-c", script];
  const seen = await countHits(argv, ["libc:malloc", "libc:strlen"]);
  assert.deepEqual(seen.status, { kind: "killed", signal: 11, signalName: "SIGSEGV" });
});
