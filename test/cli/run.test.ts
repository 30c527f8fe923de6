/** `trapline run` with a user's own files, lying in a folder that knows nothing of trapline. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { Command, Folder, isGrowing, readTracerPid, Ticker, trapline } from "./support/command.ts";

test("a TypeScript file with imports of its own and of trapline runs without set-up", async () => {
  using folder = new Folder();
  writeFileSync(
    folder.file("names.ts"),
    `import { launch } from "trapline";
    export const kind: string = typeof launch;`,
  );
  writeFileSync(
    folder.file("probes.ts"),
    `import type { Session } from "trapline";
    import { kind } from "./names.ts";
    enum Word { One = 1 }
    export default function (session: Session) {
      const probe = session.kretprobe("libc:opendir", {
        entry(hit, call) { call.data = hit.readCString(hit.arg(0)); },
        handler(hit, call) { console.log("opened", call.data, hit.returnValue !== 0n); },
      });
      return () => console.log("end", probe.hits, kind, Word.One);
    }`,
  );
  const end = await trapline(["run", folder.file("probes.ts"), "--", "ls", "/usr"]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /^opened \/usr true$/m);
  assert.match(end.stdout, /^end 1 function 1$/m);
});

test("jprobes of both kinds can be had from a file of handlers", async () => {
  using folder = new Folder();
  writeFileSync(
    folder.file("jprobes.ts"),
    `import type { Session } from "trapline";
    export default function (session: Session) {
      const named = session.jprobe("libc:opendir", {
        strings: ["name"],
        handler: ({ name }) => console.log("opens", name),
      });
      const typed = session.jprobe("libc:write", {
        prototype: "ssize_t write(int fd, const void *buf, size_t n)",
        handler({ fd, n }) { if (fd === 1) console.log("writes", n > 10n); },
      });
      console.log("stub", session.jprobeReturn > 0n, named.kind);
      return () => console.log("end", named.hits, typed.errors);
    }`,
  );
  const end = await trapline(["run", folder.file("jprobes.ts"), "--", "ls", "/usr"]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /^stub true jprobe$/m);
  assert.match(end.stdout, /^opens \/usr$/m);
  assert.match(end.stdout, /^writes true$/m);
  assert.match(end.stdout, /^end 1 0$/m);
});

test("plain JavaScript with an exported end() runs as well", async () => {
  using folder = new Folder();
  writeFileSync(
    folder.file("probes.js"),
    `
    export default (session) => { session.kprobe("libc:exit", { pre() { console.log("exit"); } }); };
    export function end(status) { console.log("ended", status.kind, status.code); }`,
  );
  const end = await trapline(["run", folder.file("probes.js"), "-c", "sh -c 'exit 5'"]);
  assert.equal(end.code, 5, end.stderr);
  assert.match(end.stdout, /ended exited 5/);
});

const BROKEN: readonly (readonly [name: string, source: string, line: RegExp])[] = [
  ["syntax.ts", "export default ((;", /^trapline: cannot load .*syntax\.ts: .*ERROR/],
  [
    "none.ts",
    "export const x = 1;",
    /^trapline: .*none\.ts has no default export that is a function\n/,
  ],
  [
    "import.ts",
    'import "./nowhere.ts"; export default () => {};',
    /^trapline: cannot load .*nowhere/,
  ],
  [
    "throws.ts",
    'export default () => { throw new Error("on purpose"); };',
    /^trapline: on purpose\n/,
  ],
];

test("a file that does not work is told, and the command is not run", async () => {
  for (const [name, source, line] of BROKEN) {
    using folder = new Folder();
    writeFileSync(folder.file(name), source);
    const marker = folder.file("ran");
    const end = await trapline(["run", folder.file(name), "--", "sh", "-c", `echo x > ${marker}`]);
    assert.equal(end.code, 1, name);
    assert.match(end.stderr, line, name);
    assert.equal(await isGrowing(marker), false, name);
  }
});

test("a handler that throws is told once, and the target goes on to its end", async () => {
  using folder = new Folder();
  writeFileSync(
    folder.file("bad.ts"),
    `export default (session) => {
    session.kprobe("libc:malloc", { pre() { throw new Error("in the handler"); } });
  };`,
  );
  const end = await trapline(["run", folder.file("bad.ts"), "--", "ls", "/usr"]);
  assert.equal(end.code, 0);
  assert.match(end.stdout, /bin/);
  assert.equal(end.stderr.split("in the handler").length, 2, end.stderr);
});

test("an error outside of handlers, and process.exit(), let the process go on", async () => {
  const sources = ['throw new Error("in a timer");', "process.exit(3);"];
  for (const source of sources) {
    using folder = new Folder();
    writeFileSync(
      folder.file("bad.ts"),
      `export default (session) => {
        session.kprobe("libc:write", { pre() {} });
        setTimeout(() => { ${source} }, 200);
      };`,
    );
    using ticker = new Ticker(folder.file("ticks"));
    assert.ok(await ticker.isTicking());
    const end = await trapline(["run", folder.file("bad.ts"), "-p", String(ticker.pid)]);
    assert.equal(end.code, 1, end.stderr);
    assert.match(end.stderr, /^trapline: (in a timer|the thread of the handlers ended early)/);
    assert.equal(readTracerPid(ticker.pid), 0);
    assert.ok(await ticker.isTicking());
  }
});

test("Ctrl-C detaches, runs the end, and the process goes on", async () => {
  using folder = new Folder();
  writeFileSync(
    folder.file("probes.ts"),
    `export default (session) => {
    const probe = session.kprobe("libc:write", { pre() { console.log("hit"); } });
    return () => console.log("at the end:", probe.hits > 0);
  };`,
  );
  using ticker = new Ticker(folder.file("ticks"));
  assert.ok(await ticker.isTicking());
  const command = new Command(["run", folder.file("probes.ts"), "-p", String(ticker.pid)]);
  await command.until(() => command.stdout.includes("hit"));
  command.process.kill("SIGINT");
  const end = await command.end;
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /at the end: true/);
  assert.ok(await ticker.isTicking());
});
