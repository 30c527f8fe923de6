/** What scripts learn of processes: ids and names, memory, stacks, and what they change. */

import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { availableParallelism, userInfo } from "node:os";
import test from "node:test";
import { runScriptWithSignals } from "../../src/session/script/run-script.ts";
import type { ScriptSettings } from "../../src/session/script/settings.ts";
import { Folder } from "../cli/support/command.ts";
import { build, buildLibrary, buildText, needsGcc } from "../support/programs.ts";

/** Run a program in this process; what it printed, without the banner. */
async function run(
  text: string,
  command: string,
  more: Partial<ScriptSettings> = {},
): Promise<string> {
  using folder = new Folder();
  const path = folder.file("out");
  const fd = openSync(path, "w");
  try {
    const outcome = await runScriptWithSignals({
      ...SETTINGS,
      text,
      fd,
      targets: [{ kind: "command", command: command.split(" ") }],
      ...more,
    });
    assert.equal(outcome.exitCode, 0, readFileSync(path, "utf8"));
  } finally {
    closeSync(fd);
  }
  return readFileSync(path, "latin1").trimEnd();
}

const SETTINGS: ScriptSettings = {
  name: "test",
  text: "",
  dialect: "head",
  positionals: [],
  named: [],
  environment: {},
  targets: [],
  options: { stdio: ["ignore", "ignore", "ignore"], followForks: true },
  fd: 1,
  format: "text",
  buffering: "full",
  isQuiet: true,
  isVerbose: false,
  hasWarnings: true,
  helperChecks: 0,
  isUnsafe: false,
  isDryRun: false,
  isTest: false,
  isBench: false,
  dumpStages: [],
  isListing: false,
  listPattern: undefined,
};

test("ids, names and machines are those of the process", { skip: needsGcc }, async () => {
  const calls = build("calls.c");
  const out = await run(
    `uprobe:${calls}:no_arguments { printf("%s %d %d %d %d %d %s %s %d %d %d", comm, pid == cpid, tid == pid, uid, gid,
      ppid, username, pcomm, ncpus, cpu < ncpus, usermode); }`,
    `${calls} 1`,
  );
  const own = userInfo();
  const comm = readFileSync("/proc/self/comm", "utf8").trim();
  const expected = `calls 1 1 ${own.uid} ${own.gid} ${process.pid} ${own.username} ${comm}`;
  assert.equal(out, `${expected} ${availableParallelism()} 1 1`);
});

test("probe names the USDT site that was hit, and an offset of 0 is none", {
  skip: needsGcc,
}, async () => {
  const usdt = build("usdt.c");
  const out = await run(
    `usdt:${usdt}:test:* { @[probe] = count(); } uprobe:${usdt}:loop+0 { @f[probe] = count(); }`,
    `${usdt} 3`,
  );
  assert.equal(
    out.trimStart(),
    `@[usdt:${usdt}:test:steps]: 3\n@[usdt:${usdt}:test:loop]: 5\n@f[uprobe:${usdt}:loop]: 3`,
  );
});

test("several probes at one address run in the order of the program", {
  skip: needsGcc,
}, async () => {
  const calls = build("calls.c");
  const out = await run(
    `uprobe:${calls}:no_arguments { printf("1"); } uprobe:${calls}:no_arg* { printf("2"); }
     uprobe:${calls}:no_arguments { printf("3"); } uretprobe:${calls}:no_arguments { printf("4"); }
     uretprobe:${calls}:no_arguments { printf("5"); }`,
    `${calls} 1`,
  );
  assert.equal(out, "12345");
});

const MEMORY = `
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
struct node { int id; short flags[3]; const char *name; struct node *next; };
/* On pages of its own that nobody has touched. */
static const char untouched[8192] __attribute__((aligned(4096))) = "never seen";
long counter = 41;
__attribute__((noipa)) int look(const struct node *n, const char *text, const unsigned char *bytes)
{
    return n->id + !text + !bytes;
}
__attribute__((noipa)) int answer(void) { return 1; }
int main(void)
{
    struct node second = { 2, { 4, 5, 6 }, "two", 0 }, first = { -1, { 1, -2, 3 }, "one", &second };
    char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    memset(page + 4090, 'x', 6);            /* no NUL before memory ends */
    char *longer = malloc(3000);
    memset(longer, 'y', 2999);
    longer[2999] = 0;
    look(&first, untouched, (const unsigned char *)"\\x01\\xff\\x80z");
    look(&second, page + 4090, (const unsigned char *)"");
    look(&second, longer, (const unsigned char *)"");
    counter++;
    return answer() == 7 ? 0 : 9;
}
`;

test("structs, strings and bytes of its memory, also pages that were never touched", {
  skip: needsGcc,
}, async () => {
  const program = buildText("scriptmemory.c", MEMORY);
  const out = await run(
    `struct node { int id; short flags[3]; char *name; struct node *next; };
     uprobe:${program}:look {
       $n = (struct node *)arg0; @++;
       if (@ == 1) {
         printf("%d %d %s %s|%s|%r|", $n->id, $n->flags[1], str($n->name), str($n->next->name), str(arg1), buf(arg2, 4));
         printf("%d|", ((struct node *)8)->id);
       }
       if (@ == 2) { printf("[%s]", str(arg1)); }
       if (@ == 3) { printf("%d %d", strlen(str(arg1)), strlen(str(arg1, 20))); }
     }`,
    program,
    { environment: { BPFTRACE_MAX_STRLEN: "4000" } },
  );
  assert.equal(out.split("\n")[0], "-1 -2 one two|never seen|\\x01\\xff\\x80z|0|[]2999 20");
});

test("data of the program by its name, in a probe and in a timer", { skip: needsGcc }, async () => {
  const program = buildText("scriptmemory.c", MEMORY);
  const out = await run(
    `uprobe:${program}:answer { printf("%d", *(uint64 *)uaddr("counter")); }`,
    program,
  );
  assert.equal(out.split("\n")[0], "42");
});

test("what a function returns can be set, and memory be written", { skip: needsGcc }, async () => {
  const program = buildText("scriptmemory.c", MEMORY);
  const text = `uprobe:${program}:answer { override(7); } tracepoint:syscalls:sys_enter_exit_group { printf("%d", args.error_code); }`;
  const unsafe = await run(text, program, { isUnsafe: true });
  assert.equal(unsafe.split("\n")[0], "0");
  const plain = await run(text.replace("override(7);", ""), program);
  assert.equal(plain.split("\n")[0], "9");
});

test("stacks from the innermost, named while the process is there", {
  skip: needsGcc,
}, async () => {
  const calls = build("calls.c");
  const out = await run(
    `uprobe:${calls}:h { @[ustack(3)] = count(); } uretprobe:${calls}:h { @r[ustack(1)] = count(); }`,
    `${calls} 1`,
  );
  assert.match(out, /@\[\n {4}h\+0\n {4}g\+\d+\n {4}f\+\d+\n\]: 1/);
  assert.match(out, /@r\[\n {4}g\+\d+\n\]: 1/);
});

test("arguments by the prototypes of the C library, and what it returned", async () => {
  const out = await run(
    `uprobe:libc:opendir { printf("%s|", str(args.name)); } uretprobe:libc:opendir { printf("%d|", retval > 0); }`,
    "ls /usr",
  );
  assert.equal(out.split("\n")[0], "/usr|1|");
});

test("libraries that come later are probed when they come", { skip: needsGcc }, async () => {
  const plugin = buildLibrary("plugin.c");
  const opener = build("dlopener.c");
  const text = `uprobe:${plugin}:plugin_work { @[func] = count(); }`;
  const out = await run(text, `${opener} ${plugin}`);
  assert.match(out, /@\[plugin_work\]: 33/);
});

test("addresses have names, threads a time", { skip: needsGcc }, async () => {
  const calls = build("calls.c");
  const out = await run(
    `uprobe:${calls}:f { printf("%s %d %d %d", usym(reg("ip")), elapsed < 60s, nsecs(monotonic) > 0, nsecs > 1000000); exit(); }`,
    `${calls} 1`,
  );
  assert.equal(out.split("\n")[0], "f 1 1 1");
});
