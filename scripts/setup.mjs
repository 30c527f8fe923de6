/**
 * Makes a clone ready to run: npm packages, dist/ and the package's own command. With --for-tests
 * also, where there is apt-get, the Debian packages that the tests use (as root only) and the
 * kernels of the test guests (TRAPLINE_NO_APT=1 leaves both alone); with --npm-only it stops after
 * the npm packages. Does only what is missing, so a second run takes a fraction of a second. Plain
 * JavaScript without dependencies, because it runs before there are any.
 */

import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, isStale } from "./build.mjs";
import { fetchGuests } from "./guests.mjs";

/** What the tests use, as Debian names it. */
const DEBIAN_PACKAGES = [
  "gcc",
  "g++",
  "libc6-dev",
  "libc6-dbg",
  "libssl-dev",
  "gdb",
  "gdbserver",
  "bpftrace",
  "qemu-system-x86",
  "qemu-user",
  "ltrace",
  "python3",
  "zlib1g-dev",
  "perl-base",
  "binutils",
  "procps",
  "util-linux",
  "busybox-static",
  "xz-utils",
  "qemu-system-x86",
  "qemu-system-arm",
  "qemu-user",
  "gcc-aarch64-linux-gnu",
  "libc6-dev-arm64-cross",
];

/** Names of the Debian packages that could not be installed; so that we try in vain only once. */
const APT_FAILED = "node_modules/.trapline-apt-failed";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
installNpmPackages();
if (!process.argv.includes("--npm-only")) {
  if (process.argv.includes("--for-tests")) {
    installDebianPackages();
    if (!process.env.TRAPLINE_NO_APT && isOnPath("apt-get")) fetchGuests(say);
  }
  if (isStale()) {
    say("building dist");
    await build();
  }
  linkOwnCommand();
}

/**
 * Install what the lock file says unless it is there. Not `npm ci`: that refuses a lock file
 * without an entry for every optional package, and not every registry has the binaries for other
 * systems. `--no-save` leaves the lock file as it is. No package needs its install script, so none
 * runs.
 */
function installNpmPackages() {
  if (hasLockedPackages()) return;
  say("installing npm packages");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", ["install", "--no-save", "--ignore-scripts", ...quiet]);
}

/** Compare contents and not times: a checkout touches files without changing them. */
function hasLockedPackages() {
  const installedPath = "node_modules/.package-lock.json";
  if (!existsSync(installedPath)) return false;
  const installed = JSON.parse(readFileSync(installedPath, "utf8")).packages;
  const locked = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  return Object.entries(locked).every(([path, entry]) => {
    if (path === "") return true;
    const there = installed[path];
    // Packages for other systems are optional, and npm leaves them out.
    if (there === undefined) return entry.optional === true;
    return there.version === entry.version && existsSync(path);
  });
}

/** Without root, apt-get or a network the tests that need a missing program skip and name it. */
function installDebianPackages() {
  if (process.env.TRAPLINE_NO_APT || process.getuid?.() !== 0 || !isOnPath("apt-get")) return;
  const missing = findMissingDebianPackages();
  if (missing.length === 0) return;
  const missingText = missing.join(" ");
  if (existsSync(APT_FAILED) && readFileSync(APT_FAILED, "utf8") === missingText) return;

  say(`installing Debian packages: ${missingText}`);
  const patience = ["-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];
  const installed =
    runApt(["update", ...patience]) &&
    runApt(["install", "-y", "--no-install-recommends", ...patience, ...missing]);
  if (installed) return;
  say(`could not install them; tests that need them will skip (delete ${APT_FAILED} to try again)`);
  writeFileSync(APT_FAILED, missingText);
}

function findMissingDebianPackages() {
  const format = "$" + "{db:Status-Status} $" + "{Package}\n";
  const query = spawnSync("dpkg-query", ["-W", "-f", format, ...DEBIAN_PACKAGES], {
    encoding: "utf8",
  });
  const lines = new Set((query.stdout ?? "").split("\n"));
  return DEBIAN_PACKAGES.filter((name) => !lines.has(`installed ${name}`));
}

/** Quiet when it works; shows apt's own last words when it does not. */
function runApt(args) {
  const result = spawnSync("apt-get", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (result.status !== 0) process.stderr.write(result.stderr ?? "");
  return result.status === 0;
}

/** npm links commands of dependencies only; this makes `npx trapline` work inside the clone too. */
function linkOwnCommand() {
  const link = "node_modules/.bin/trapline";
  const target = "../../dist/cli/trapline.cjs";
  try {
    if (readlinkSync(link) === target) return;
  } catch {
    // Not there, or not a link: made below.
  }
  mkdirSync("node_modules/.bin", { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

function isOnPath(program) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run(program, args) {
  const result = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (result.status === 0) return;
  say(`${program} ${args[0]} failed`);
  process.exit(1);
}

/** On stderr: `npm start` shows the output of the program itself on stdout. */
function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}
