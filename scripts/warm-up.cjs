// Runs the bundled command (scripts/bundle.mjs) on a small script and stores V8's code cache, which
// then holds the functions that every run needs. Where processes cannot be traced, it holds less.

const { readFileSync, writeFileSync } = require("node:fs");
const { basename, join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

const PROGRAM = `
uprobe:libc:malloc /pid > 0/ { @calls[comm] = count(); @sizes = hist(arg0); @begun[tid] = nsecs; }
uretprobe:libc:malloc /@begun[tid]/ { delete(@begun[tid]); @last = retval; }
interval:s:60 { printf("%d %s %p\\n", pid, comm, @last); }
END { printf("%d\\n", 1); clear(@begun); }`;

const path = process.argv[2];
const dist = pathToFileURL(join(path, "../..", "/")).href;
const script = new Script(readFileSync(path, "latin1"), { filename: basename(path) });
const command = { exports: {} };
script.runInThisContext()(require, command, (place) => dist + place);
command.exports.runMain(["-q", "-e", PROGRAM, "-c", "/bin/true"]).then(() => {
  writeFileSync(`${path}.cache`, script.createCachedData());
});
