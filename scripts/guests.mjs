/**
 * Fetches what the guests of the tests are made of, as Debian publishes it: for each architecture
 * the newest cloud kernel and a static busybox. Nothing of it is installed, and apt's own lists and
 * architectures stay as they are: it works in a folder of its own, so that it also needs no root.
 * What tests use is unpacked to .cache/guests/ARCH; a second run finds it there. Plain JavaScript,
 * because setup.mjs calls it. Run directly it tries again what failed before.
 *
 *   .cache/guests/ARCH/vmlinuz  config  busybox  modules/NAME.ko  version
 */

import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const GUEST_ARCHES = ["amd64", "arm64"];

/** Modules without dependencies whose work the guest counts by itself. */
const MODULES = ["dummy.ko", "loop.ko", "tun.ko"];

const CACHE = ".cache/guests";

/** The reason of the last failure, so that setup tries in vain only once. */
const FAILED = join(CACHE, "failed");

/** For one call of apt or dpkg; the kernels are 27 MB each. */
const COMMAND_TIME_MS_MAX = 180_000;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(fileURLToPath(new URL("..", import.meta.url)));
  rmSync(FAILED, { force: true });
  process.exitCode = fetchGuests((text) => process.stderr.write(`guests: ${text}\n`)) ? 0 : 1;
}

/** Fetch what is missing; false, after having said why, when that did not work. */
export function fetchGuests(say) {
  const missing = GUEST_ARCHES.filter((arch) => !existsSync(join(CACHE, arch, "version")));
  if (missing.length === 0) return true;
  if (existsSync(FAILED)) return false;
  const work = resolve(CACHE, "fetching");
  rmSync(work, { recursive: true, force: true });
  try {
    for (const name of ["lists/partial", "cache/archives/partial", "download"]) {
      mkdirSync(join(work, name), { recursive: true });
    }
    say(`fetching guest kernels: ${missing.join(" ")}`);
    apt(work, "apt-get", ["update"]);
    for (const arch of missing) fetchGuest(work, arch);
    return true;
  } catch (error) {
    say(`${error.message}; tests with guests will skip (npm run guests tries again)`);
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(FAILED, `${error.message}\n`);
    return false;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function fetchGuest(work, arch) {
  // The package of that name has no files: it depends on the newest kernel.
  const depends = apt(work, "apt-cache", ["depends", `linux-image-cloud-${arch}:${arch}`]);
  const kernel = /linux-image-\d[^\s:<>]*/.exec(depends)?.[0];
  if (kernel === undefined) throw new Error(`apt knows of no kernel for ${arch}`);
  const downloads = join(work, "download");
  apt(work, "apt-get", ["download", `${kernel}:${arch}`, `busybox-static:${arch}`], downloads);

  const root = join(work, `root-${arch}`);
  for (const name of readdirSync(downloads)) {
    run("dpkg-deb", ["-x", join(downloads, name), root]);
    rmSync(join(downloads, name));
  }
  const folder = join(work, arch);
  mkdirSync(join(folder, "modules"), { recursive: true });
  const version = kernel.replace("linux-image-", "");
  copyFileSync(join(root, "boot", `vmlinuz-${version}`), join(folder, "vmlinuz"));
  copyFileSync(join(root, "boot", `config-${version}`), join(folder, "config"));
  copyFileSync(findBusybox(root), join(folder, "busybox"));
  for (const path of readdirSync(root, { recursive: true })) {
    const name = basename(path);
    if (MODULES.includes(name)) copyFileSync(join(root, path), join(folder, "modules", name));
  }
  const absent = MODULES.filter((name) => !existsSync(join(folder, "modules", name)));
  if (absent.length > 0) throw new Error(`${kernel} for ${arch} holds no ${absent.join(", ")}`);
  writeFileSync(join(folder, "version"), `${version}\n`);
  // Last, so that a run that is cut off leaves nothing that looks whole.
  rmSync(join(CACHE, arch), { recursive: true, force: true });
  renameSync(folder, join(CACHE, arch));
}

/** Newer packages have all programs below usr. */
function findBusybox(root) {
  const path = ["bin/busybox", "usr/bin/busybox"].find((name) => existsSync(join(root, name)));
  if (path === undefined) throw new Error("busybox-static holds no busybox");
  return join(root, path);
}

/** apt with both architectures and lists of its own, by the sources of the machine. */
function apt(work, program, args, cwd = work) {
  const options = [
    `Dir::State::lists=${join(work, "lists")}`,
    `Dir::Cache=${join(work, "cache")}`,
    ...GUEST_ARCHES.map((arch) => `APT::Architectures::=${arch}`),
    "Acquire::Languages=none",
    "Acquire::Retries=1",
    "Acquire::http::Timeout=20",
  ];
  // The folder is below one that apt's own user may not enter.
  if (process.getuid?.() === 0) options.push("APT::Sandbox::User=root");
  return run(program, ["-q", ...options.flatMap((option) => ["-o", option]), ...args], cwd);
}

function run(program, args, cwd = ".") {
  const result = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: COMMAND_TIME_MS_MAX,
    maxBuffer: 0x400_0000,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
  });
  if (result.status === 0) return result.stdout;
  const verb = args.find((arg) => /^[a-z]/.test(arg) && !arg.includes("=")) ?? "";
  const why = result.error?.message ?? (result.stderr ?? "").trim().split("\n").at(-1);
  throw new Error(`${program} ${verb} failed: ${why}`);
}
