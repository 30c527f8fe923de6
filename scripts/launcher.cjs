#!/usr/bin/env node
// Runs the command from one script with V8's code cache (scripts/bundle.mjs), which takes a third
// of the time that its modules one by one would. V8 itself refuses a cache that another version, or
// other options, have made; then the script is compiled.

const { readFileSync } = require("node:fs");
const { basename, join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

const path = join(__dirname, "command-HASH.cjs");
const dist = pathToFileURL(join(__dirname, "..", "/")).href;

// Its name, which a cache keeps, has no folder: it is not made where it is used.
// It is ASCII, and V8 keeps what is read so in one byte a character.
const script = new Script(readFileSync(path, "latin1"), {
  filename: basename(path),
  cachedData: readCache(`${path}.cache`),
});
const command = { exports: {} };
script.runInThisContext()(require, command, (place) => dist + place);
command.exports.runMain(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

function readCache(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
