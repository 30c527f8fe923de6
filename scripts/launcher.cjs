#!/usr/bin/env node
// Runs the command from one script with V8's code cache (scripts/bundle.mjs), which takes a third
// of the time that its modules one by one would. V8 itself refuses a cache that another version, or
// other options, have made; then the script is compiled.

const { readFileSync } = require("node:fs");
const { basename, join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { setFlagsFromString } = require("node:v8");
const { Script } = require("node:vm");

const path = join(__dirname, "command-HASH.cjs");
const dist = pathToFileURL(join(__dirname, "..", "/")).href;

// Its name, which a cache keeps, has no folder: it is not made where it is used.
// It is ASCII, and V8 keeps what is read so in one byte a character.
const script = new Script(readFileSync(path, "latin1"), {
  filename: basename(path),
  cachedData: readCache(`${path}.cache`),
});
setDecoderFlags();
optimizeLater();
const command = { exports: {} };
script.runInThisContext()(require, command, (place) => dist + place);
command.exports.runMain(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

// The decoder is WebAssembly, and its first calls, which fill its tables, take V8 for work worth
// optimising: 60 ms and 10 MB in a thread beside us, and of no use to who decodes ten instructions.
// Who decodes thousands gets there as well, later. It is checked already by who made it. Not before
// the script is made: its cache holds for the flags it was made under.
function setDecoderFlags() {
  // V8 prints an error where a flag is unknown; these are known to all of these versions.
  if (!/^1[1-3]\./.test(process.versions.v8)) return;
  setFlagsFromString("--wasm-tiering-budget=100000000");
  setFlagsFromString("--wasm-lazy-validation");
}

// What runs for a moment at the start is not worth optimising either: 20 ms and 5 MB. From the first
// turn of the loop on, when hits are served, V8 has the budget it is made with (by its version).
function optimizeLater() {
  if (!process.versions.v8.startsWith("11.3.")) return;
  setFlagsFromString("--interrupt-budget=600000");
  setImmediate(() => setFlagsFromString("--interrupt-budget=67584"));
}

function readCache(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
