/**
 * arm64 programs and libraries to harvest, from Debian's packages: apt-get fetches them with lists
 * and a state of its own, and they are unpacked without being installed. Nothing of them is run.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../../build/arm64-packages", import.meta.url));

/** Compiled code of many sorts, and assembly by hand: cryptography, video, big numbers, strings. */
const PACKAGES = [
  ...["libc6", "libssl3", "libx265-199", "libgmp10", "libgcrypt20", "libstdc++6", "libblas3"],
  ...["python3.11-minimal", "perl-base", "bash", "libsqlite3-0", "libdav1d6", "libjpeg62-turbo"],
] as const;

/** Fetch and unpack what is not there yet; gives the folder of each package. */
export function fetchPackages(): readonly { readonly name: string; readonly folder: string }[] {
  return PACKAGES.map((name) => {
    const folder = join(FOLDER, "unpacked", name);
    if (!existsSync(folder)) unpack(name, folder);
    return { name, folder };
  });
}

function unpack(name: string, folder: string): void {
  const config = prepareApt();
  const downloads = join(FOLDER, "downloads", name);
  rmSync(downloads, { recursive: true, force: true });
  mkdirSync(downloads, { recursive: true });
  const quiet = ["-qq", "-o", "APT::Sandbox::User=root"];
  run("apt-get", [...quiet, "download", name], downloads, config);
  const archive = readdirSync(downloads).find((file) => file.endsWith(".deb"));
  if (archive === undefined) throw new Error(`apt-get gave no package for ${name}`);
  const fresh = `${folder}.fresh`;
  rmSync(fresh, { recursive: true, force: true });
  run("dpkg-deb", ["-x", join(downloads, archive), fresh], downloads, config);
  execFileSync("mv", [fresh, folder]);
}

/** A state of its own leaves the machine's list of architectures alone. */
function prepareApt(): string {
  const config = join(FOLDER, "apt.conf");
  if (existsSync(config)) return config;
  for (const part of ["state/lists/partial", "cache/archives/partial", "unpacked"]) {
    mkdirSync(join(FOLDER, part), { recursive: true });
  }
  writeFileSync(join(FOLDER, "status"), "");
  const fresh = `${config}.fresh`;
  writeFileSync(
    fresh,
    [
      'APT::Architecture "arm64";',
      'APT::Architectures { "arm64"; };',
      `Dir::State "${FOLDER}/state";`,
      `Dir::State::status "${FOLDER}/status";`,
      `Dir::Cache "${FOLDER}/cache";`,
      "",
    ].join("\n"),
  );
  run("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "update"], FOLDER, fresh);
  execFileSync("mv", [fresh, config]);
  return config;
}

function run(command: string, args: readonly string[], folder: string, config: string): void {
  execFileSync(command, args, {
    cwd: folder,
    env: { ...process.env, APT_CONFIG: config },
    stdio: ["ignore", "inherit", "inherit"],
  });
}
