/**
 * Scripts of the gallery that look at processes, shells and TLS, on known programs; and that each
 * script has a test. Those for guests are in test/guests.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { Folder, sleep } from "../cli/support/command.ts";
import { build, needsGcc } from "../support/programs.ts";
import {
  job,
  listTested,
  listTools,
  readHistogram,
  readMap,
  runTool,
  startTool,
  sumOf,
  sumOfStacks,
} from "./support/gallery.ts";

const needsOpenssl =
  spawnSync("openssl", ["version"]).status === 0 && spawnSync("curl", ["-V"]).status === 0
    ? false
    : "needs the commands openssl and curl";
const needsScript = spawnSync("script", ["--version"]).status === 0 ? false : "needs script(1)";

test("each script of the gallery has a test", () => {
  const tested = listTested();
  const tools = listTools();
  assert.ok(tools.length > 30);
  assert.deepEqual(
    tools.filter((name) => !tested.has(name)),
    [],
  );
});

describe("processes and signals", { skip: needsGcc }, () => {
  test("exec-calls", async () => {
    const { stdout } = await runTool("exec-calls", job("execs"));
    assert.match(stdout, /^\d+ +gallery +true one two words$/m);
    assert.equal(stdout.match(/^\d+ +gallery +true three two words$/gm)?.length, 1);
  });

  test("signals-sent", async () => {
    const { stdout } = await runTool("signals-sent", job("signals"));
    assert.equal(stdout.match(/^(\d+) +gallery +SIGUSR1 +\1$/gm)?.length, 2, stdout);
    assert.equal(stdout.match(/^(\d+) +gallery +SIGUSR2 +thread \1$/gm)?.length, 1);
  });

  test("syscall-counts", async () => {
    const end = await runTool("syscall-counts", job("signals"));
    const calls = readMap(end, "calls");
    assert.equal(calls.get("kill"), 2, end.stdout);
    assert.equal(calls.get("tgkill"), 1);
    assert.equal(calls.get("rt_sigaction"), 2);
    assert.equal(calls.get("exit_group"), 1);
  });

  test("syscall-errors", async () => {
    const end = await runTool("syscall-errors", job("connects"));
    const failed = readMap(end, "failed");
    assert.equal(failed.get("connect, No such file or directory"), 1, end.stdout);
    assert.ok((failed.get("connect, Connection refused") ?? 0) >= 1, end.stdout);
  });

  test("cpp-throws", async () => {
    const end = await runTool("cpp-throws", ["-c", build("throws.cpp")]);
    const types = readMap(end, "type");
    assert.deepEqual([types.get("i"), types.get("St13runtime_error")], [100, 100], end.stdout);
    const where = readMap(end, "thrown");
    assert.equal(
      sumOfStacks(
        where,
        ([first, second]) => first === "__cxa_throw" && /^thrower/.test(second ?? ""),
      ),
      200,
      end.stdout,
    );
    assert.equal(readMap(end, "rethrown").get(""), 100);
  });
});

test("shell-lines", { skip: needsScript }, async () => {
  const shell = "script -qc 'bash --norc -i' /dev/null";
  const command = startTool("shell-lines", ["-c", shell]);
  await command.until(() => /bash-|\$ |# /.test(command.stdout));
  command.process.stdin?.write("echo a$((6 * 7))b\n");
  await command.until(() => command.stdout.includes("a42b"));
  command.process.stdin?.write("exit\n");
  const end = await command.end;
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /\d\d:\d\d:\d\d \d+ +echo a\$\(\(6 \* 7\)\)b\r?\n/);
});

describe("TLS", { skip: needsOpenssl }, () => {
  const PORT = 24_467;
  const client = `bash -c '(echo gallery; sleep 1) | openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:${PORT} 2>/dev/null'`;

  /** A server that gives each line back turned around. */
  async function withServer(work: () => Promise<void>): Promise<void> {
    using folder = new Folder();
    const [key, certificate] = [folder.file("key.pem"), folder.file("cert.pem")];
    const make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(" ");
    spawnSync("openssl", [...make, "-keyout", key, "-out", certificate], { stdio: "ignore" });
    const files = ["-key", key, "-cert", certificate];
    const where = ["-accept", `127.0.0.1:${PORT}`];
    const server = spawn("openssl", ["s_server", "-quiet", "-rev", ...where, ...files], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    try {
      const probe = ["s_client", "-quiet", "-no_ign_eof", "-connect", `127.0.0.1:${PORT}`];
      for (let round = 0; round < 50; round++) {
        if (spawnSync("openssl", probe, { input: "", stdio: "pipe", timeout: 2000 }).status === 0)
          break;
        await sleep(100);
      }
      await work();
    } finally {
      server.kill("SIGKILL");
    }
  }

  test("tls-data", async () => {
    await withServer(async () => {
      const { stdout } = await runTool("tls-data", ["-c", client], ["libssl"]);
      assert.match(stdout, /^\d+ +openssl +write +8 {2}gallery\\x0a$/m);
      assert.match(stdout, /^\d+ +openssl +read +8 {2}yrellag\\x0a$/m);
    });
  });

  test("tls-times", async () => {
    await withServer(async () => {
      const end = await runTool("tls-times", ["-c", client], ["libssl"]);
      assert.ok(sumOf(readHistogram(end, "us", "SSL_read")) >= 1, end.stdout);
      assert.ok(sumOf(readHistogram(end, "us", "SSL_write")) >= 1, end.stdout);
      const curl = `bash -c 'curl -sk --max-time 5 https://127.0.0.1:${PORT}/ || true'`;
      const other = await runTool("tls-times", ["-c", curl], ["libssl"]);
      assert.ok(sumOf(readHistogram(other, "us", "SSL_do_handshake")) >= 1, other.stdout);
    });
  });
});
