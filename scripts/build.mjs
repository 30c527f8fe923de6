/**
 * Builds dist/ from src/ with tsc (tsconfig.build.json): JavaScript and declarations, no tests; and
 * the command once more, as one file that starts fast (bundle.mjs). It emits into build/ and then
 * swaps folders, so a program that runs from dist/ meanwhile never sees half of it. Run directly it
 * always builds; setup.mjs asks isStale() first.
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** npm sets the mode on install, but not in a clone. */
const COMMANDS = ["cli/trapline.cjs", "cli/main.js"];

/** What decides, besides the sources, what is built. */
const BUILDERS = [
  "tsconfig.json",
  "tsconfig.build.json",
  ...["build.mjs", "bundle.mjs", "launcher.cjs", "warm-up.cjs"].map((name) => `scripts/${name}`),
];

/** Its time is that of the last whole build. Beside dist/, not to be published with it. */
const STAMP = "build/built";

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(fileURLToPath(new URL("..", import.meta.url)));
  await build();
}

/** True when a source, or a folder that lost or gained one, is younger than dist/. */
export function isStale() {
  if (!existsSync("dist") || !existsSync(STAMP)) return true;
  const builtMs = statSync(STAMP).mtimeMs;
  return listInputs().some((path) => statSync(path).mtimeMs > builtMs);
}

function listInputs() {
  const entries = readdirSync("src", { recursive: true, withFileTypes: true });
  const sources = entries
    .filter((entry) => !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return ["src", ...sources, ...BUILDERS, "package.json"];
}

/** Build, or end this process with tsc's messages. */
export async function build() {
  const startedAt = new Date();
  const fresh = `build/dist-${process.pid}`;
  const old = `${fresh}-old`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync("build", { recursive: true });

  const tsc = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", fresh];
  const result = spawnSync(process.execPath, tsc, { stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    process.stderr.write("build: tsc found errors, dist is as before\n");
    process.exit(1);
  }

  requireDecoder(join(fresh, "arch/x86_64"));
  // Not imported above: setup.mjs, which imports this file, runs before packages are installed.
  const { bundleCommand } = await import("./bundle.mjs");
  await bundleCommand(fresh);
  for (const name of COMMANDS) chmodSync(join(fresh, name), 0o755);
  if (existsSync("dist")) renameSync("dist", old);
  renameSync(fresh, "dist");
  rmSync(old, { recursive: true, force: true });
  // The time before tsc read the sources: an edit during the build makes the next one.
  writeFileSync(STAMP, `${startedAt.toISOString()}\n`);
  utimesSync(STAMP, startedAt, startedAt);
}

/**
 * A module of CommonJS that is imported is read twice: Node looks through all of its text for what
 * it exports. Of the decoder's, a megabyte, that takes 60 ms and 11 MB at every start, so it is
 * required instead, in one file that the others import it from.
 */
function requireDecoder(folder) {
  const names = new Set();
  const statement = /import \{([^}]*)\} from "iced-x86";/g;
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".js"))) {
    const text = readFileSync(join(folder, file), "utf8");
    for (const [, list] of text.matchAll(statement)) {
      for (const name of list.split(",")) names.add(name.trim().split(" as ")[0]);
    }
    writeFileSync(join(folder, file), text.replace(statement, 'import {$1} from "./iced.js";'));
  }
  names.delete("");
  const text = `import { createRequire } from "node:module";
export const { ${[...names].sort().join(", ")} } = createRequire(import.meta.url)("iced-x86");
`;
  writeFileSync(join(folder, "iced.js"), text);
}
