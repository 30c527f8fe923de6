import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { LineWriter } from "./line-writer.ts";

const MODULE = JSON.stringify(new URL("./line-writer.ts", import.meta.url).href);

test("lines are kept until they are flushed, and a long batch flushes itself", () => {
  const folder = mkdtempSync(join(tmpdir(), "trapline-test-"));
  const fd = openSync(join(folder, "out"), "w");
  try {
    const writer = new LineWriter(fd);
    writer.line("one");
    assert.equal(readFileSync(join(folder, "out"), "utf8"), "");
    writer.line("grün");
    writer.flush();
    assert.equal(readFileSync(join(folder, "out"), "utf8"), "one\ngrün\n");
    writer.line("x".repeat(100_000));
    assert.equal(readFileSync(join(folder, "out"), "utf8").length, 9 + 100_001);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

/** Run code that has LineWriter with a pipe as standard output, and give its end. */
function play(
  code: string,
  read: (child: ReturnType<typeof spawn>) => void,
): Promise<{ stdout: string; stderr: string }> {
  const source = `import { LineWriter } from ${MODULE}; ${code}`;
  const args = ["--import", import.meta.resolve("tsx"), "--input-type=module", "-e", source];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: unknown) => {
    stdout += String(chunk);
  });
  child.stderr.on("data", (chunk: unknown) => {
    stderr += String(chunk);
  });
  read(child);
  return new Promise((resolve) => {
    child.on("close", () => resolve({ stdout, stderr }));
  });
}

test("nothing is lost in a pipe that is full for a while", async () => {
  const code = `const writer = new LineWriter(1);
    for (let i = 0; i < 5000; i++) writer.line("line " + i + " ".repeat(100));
    writer.flush();`;
  const { stdout } = await play(code, (child) => {
    child.stdout?.pause();
    setTimeout(() => child.stdout?.resume(), 500);
  });
  assert.equal(stdout.split("\n").length, 5001);
});

test("a reader that has gone closes the writer, without an error", async () => {
  const code = `const writer = new LineWriter(1);
    const timer = setInterval(() => {
      writer.line("x");
      writer.flush();
      if (writer.isClosed) { clearInterval(timer); console.error("closed"); }
    }, 10);`;
  const { stderr } = await play(code, (child) => {
    child.stdout?.once("data", () => child.stdout?.destroy());
  });
  assert.equal(stderr, "closed\n");
});
