/**
 * The command as it is installed: one script with a code cache (scripts/bundle.mjs), whose threads
 * and handlers are files of dist/ beside it.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";
import { Command, type CommandEnd, Folder } from "./support/command.ts";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const INSTALLED = `${DIST}cli/trapline.cjs`;
const needsDist = existsSync(INSTALLED) ? false : "needs dist/ (npm run build)";

function installed(...args: readonly string[]): Promise<CommandEnd> {
  return new Command(args, { main: INSTALLED }).end;
}

test("the installed command says its version by any name", { skip: needsDist }, () => {
  using folder = new Folder();
  const link = folder.file("trapline");
  symlinkSync(INSTALLED, link);
  const { version } = JSON.parse(readFileSync(`${DIST}../package.json`, "utf8"));
  for (const command of [link, INSTALLED, `${DIST}cli/main.js`]) {
    const { stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    assert.equal(stdout, `trapline ${version}\n`);
  }
});

test("V8 takes the code cache of the build", { skip: needsDist }, () => {
  const bundles = readdirSync(`${DIST}cli`).filter((name) => /^command-[0-9a-f]+\.cjs$/.test(name));
  assert.equal(bundles.length, 1);
  const path = `${DIST}cli/${bundles[0]}`;
  const script = new Script(readFileSync(path, "latin1"), {
    filename: basename(path),
    cachedData: readFileSync(`${path}.cache`),
  });
  assert.equal(script.cachedDataRejected, false);
});

test("a cache that V8 refuses is done without", { skip: needsDist }, () => {
  // Its functions are compiled otherwise under this option.
  const args = ["--max-lazy", INSTALLED, "-e", 'BEGIN { printf("%d", 6 * 7); exit() }'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.deepEqual([stdout, stderr], ["42\n\n", "Attached 1 probe\n"]);
});

test("an installed script counts, and ends with its exit code", { skip: needsDist }, async () => {
  const program = "uprobe:libc:opendir { @[str(arg0)] = count(); exit(3) }";
  const end = await installed("-e", program, "-c", "ls /usr");
  assert.deepEqual([end.code, end.stderr], [3, "Attached 1 probe\n"]);
  assert.match(end.stdout, /^@\[\/usr\]: 1$/m);
  const wrong = await installed("-e", "BEGIN { @ = }");
  assert.match(wrong.stderr, /^stdin:1:13/);
  assert.equal(wrong.code, 1);
});

test("installed handlers run in a thread of their own", { skip: needsDist }, async () => {
  const traced = await installed("trace", "libc:opendir", "-c", "ls /usr");
  assert.equal(traced.code, 0, traced.stderr);
  assert.match(traced.stderr, /opendir\("\/usr"\) = 0x/);
  using folder = new Folder();
  writeFileSync(
    folder.file("probes.ts"),
    `import { type Session, launch } from "trapline";
    enum Word { One = 1 }
    export default function (session: Session) {
      const probe = session.kprobe("libc:opendir", () => {});
      return () => console.log("end", probe.hits, typeof launch, Word.One);
    }`,
  );
  const run = await installed("run", folder.file("probes.ts"), "--", "ls", "/usr");
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^end 1 function 1$/m);
});

test("the installed thread that talks to a stub starts", { skip: needsDist }, async () => {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  try {
    const end = await installed("info", "--gdb", `127.0.0.1:${port}`);
    // What it alone can tell of.
    assert.match(end.stderr, /is gone: the stub closed the connection/);
  } finally {
    server.close();
  }
});
