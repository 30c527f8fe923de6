/**
 * Fetches what the guests of the tests are made of, as Debian publishes it: for each architecture a
 * static busybox, and the newest cloud kernels of the machine's own release and of a later one.
 * Nothing of it is installed, and apt's own lists and architectures stay as they are: it works in a
 * folder of its own, so that it also needs no root. What tests use is unpacked to
 * .cache/guests/NAME; a second run finds it there. Plain JavaScript, because setup.mjs calls it.
 * Run directly it tries again what failed before.
 *
 *   .cache/guests/NAME/vmlinuz  config  busybox  modules/NAME.ko  version
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

const ARCHES = ["amd64", "arm64"];

/** A release with kernels whose tables are laid out in newer ways. */
const LATER_RELEASE = "trixie";

/** NAME of each guest, its architecture, and the release when it is not the machine's own. */
const GUESTS = [
  ...ARCHES.map((arch) => ({ name: arch, arch, release: undefined })),
  ...ARCHES.map((arch) => ({ name: `${arch}-${LATER_RELEASE}`, arch, release: LATER_RELEASE })),
];

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
  const missing = GUESTS.filter(({ name }) => !existsSync(join(CACHE, name, "version")));
  if (missing.length === 0) return true;
  if (existsSync(FAILED)) return false;
  const work = resolve(CACHE, "fetching");
  rmSync(work, { recursive: true, force: true });
  try {
    say(`fetching guest kernels: ${missing.map(({ name }) => name).join(" ")}`);
    const own = openSources(join(work, "own"), []);
    const later = missing.some(({ release }) => release !== undefined)
      ? openLaterRelease(join(work, "later"), own)
      : undefined;
    for (const guest of missing) {
      fetchGuest(work, guest, own, guest.release === undefined ? own : later);
    }
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

/** Lists of packages in a folder of their own, for both architectures: what apt() is given. */
function openSources(folder, options) {
  for (const name of ["lists/partial", "cache/archives/partial", "parts"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  const sources = { folder, options };
  apt(sources, "apt-get", ["update"]);
  return sources;
}

/** From the mirror that the machine has its own release from. */
function openLaterRelease(folder, own) {
  const format = "$" + "(ORIGIN) $" + "(LABEL) $" + "(COMPONENT) $" + "(REPO_URI)";
  const targets = apt(own, "apt-get", ["indextargets", "--format", format]);
  const mirror = /^Debian Debian main (\S+)$/m.exec(targets)?.[1];
  if (mirror === undefined) throw new Error("the machine has no mirror of Debian");
  mkdirSync(folder, { recursive: true });
  const list = join(folder, "sources.list");
  const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(list, `deb [signed-by=${keys}] ${mirror} ${LATER_RELEASE} main\n`);
  const parts = join(folder, "parts");
  return openSources(folder, [`Dir::Etc::sourcelist=${list}`, `Dir::Etc::sourceparts=${parts}`]);
}

function fetchGuest(work, { name, arch }, own, sources) {
  // The package of that name has no files: it depends on the newest kernel.
  const depends = apt(sources, "apt-cache", ["depends", `linux-image-cloud-${arch}:${arch}`]);
  const kernel = /linux-image-\d[^\s:<>]*/.exec(depends)?.[0];
  if (kernel === undefined) throw new Error(`apt knows of no kernel for ${name}`);
  const downloads = join(work, "download");
  mkdirSync(downloads, { recursive: true });
  apt(sources, "apt-get", ["download", `${kernel}:${arch}`], downloads);
  apt(own, "apt-get", ["download", `busybox-static:${arch}`], downloads);

  const root = join(work, `root-${name}`);
  for (const file of readdirSync(downloads)) {
    run("dpkg-deb", ["-x", join(downloads, file), root]);
    rmSync(join(downloads, file));
  }
  const folder = join(work, name);
  mkdirSync(join(folder, "modules"), { recursive: true });
  const version = kernel.replace("linux-image-", "");
  copyFileSync(join(root, "boot", `vmlinuz-${version}`), join(folder, "vmlinuz"));
  copyFileSync(join(root, "boot", `config-${version}`), join(folder, "config"));
  copyFileSync(findBusybox(root), join(folder, "busybox"));
  copyModules(root, join(folder, "modules"));
  writeFileSync(join(folder, "version"), `${version}\n`);
  // Last, so that a run that is cut off leaves nothing that looks whole.
  rmSync(join(CACHE, name), { recursive: true, force: true });
  renameSync(folder, join(CACHE, name));
}

/** Newer packages have them compressed. */
function copyModules(root, folder) {
  for (const path of readdirSync(root, { recursive: true })) {
    const file = basename(path);
    if (!MODULES.includes(file.replace(/\.xz$/, ""))) continue;
    copyFileSync(join(root, path), join(folder, file));
    if (file.endsWith(".xz")) run("xz", ["-d", join(folder, file)]);
  }
  const absent = MODULES.filter((file) => !existsSync(join(folder, file)));
  if (absent.length > 0) throw new Error(`the kernel has no module ${absent.join(", ")}`);
}

/** Newer packages have all programs below usr. */
function findBusybox(root) {
  const path = ["bin/busybox", "usr/bin/busybox"].find((name) => existsSync(join(root, name)));
  if (path === undefined) throw new Error("busybox-static holds no busybox");
  return join(root, path);
}

/** apt with the lists, and the options, of `sources`. */
function apt(sources, program, args, cwd = ".") {
  const options = [
    `Dir::State::lists=${join(sources.folder, "lists")}`,
    `Dir::Cache=${join(sources.folder, "cache")}`,
    ...sources.options,
    ...ARCHES.map((arch) => `APT::Architectures::=${arch}`),
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
