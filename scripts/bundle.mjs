/**
 * Makes the command of dist/ start fast: its modules and the decoder's become one script
 * (cli/command-HASH.cjs), with V8's code cache beside it, which cli/trapline.cjs runs. All other
 * files of dist/ stay: the library, and what is loaded by its URL (workers, handlers, hooks), which
 * the bundle finds where it was, because `import.meta.url` in it names the file it came from.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Loaded from their packages: machine code, WebAssembly, and what runs TypeScript. */
const EXTERNAL = [
  "koffi",
  "@koromix/*",
  "@napi-rs/lzma",
  "gecko-profiler-demangle",
  "iced-x86/iced_x86_bg.wasm",
  "tsx",
  "tsx/*",
];

/**
 * Koffi looks for its machine code, and for which C library node runs on, in many places, for 6 ms.
 * Where it is not where it always is, Koffi may look.
 */
const KOFFI = `
  function load() {
    try {
      return require("@koromix/koffi-linux-x64/linux_x64/koffi.node");
    } catch {
      return require("koffi");
    }
  }
  module.exports = load();`;

const DECODER = createRequire(import.meta.url).resolve("iced-x86");

/** Bundle the command of a freshly emitted dist/.  @throws Error what esbuild found */
export async function bundleCommand(dist) {
  const result = await build({
    entryPoints: ["cli/command.js"],
    // Names in the bundle are those of its files seen from here.
    absWorkingDir: resolve(dist),
    bundle: true,
    write: false,
    metafile: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    charset: "ascii",
    // Names stay, for stacks; what goes is read at every start.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    external: EXTERNAL,
    banner: { js: `${licenseOfDecoder()}(function (require, module, distUrl) {` },
    footer: { js: "})" },
    logLevel: "warning",
    plugins: [{ name: "places", setup: (builder) => setUpPlaces(builder, resolve(dist)) }],
  });
  const text = result.outputFiles[0].text;
  checkBundle(text, result.metafile);
  // Of a script V8 compares no more than the length with that of its cache, so the two share a name
  // that no others have.
  const name = `command-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
  writeFileSync(join(dist, "cli", `${name}.cjs`), text);
  const launcher = readFileSync(new URL("launcher.cjs", import.meta.url), "utf8");
  writeFileSync(join(dist, "cli/trapline.cjs"), launcher.replace("command-HASH", name));
  writeFileSync(join(dist, "cli/main.js"), '#!/usr/bin/env node\nimport "./trapline.cjs";\n');
  makeCodeCache(join(dist, "cli", `${name}.cjs`));
}

function setUpPlaces(builder, dist) {
  builder.onLoad({ filter: /\.js$/ }, ({ path }) => {
    const text = readFileSync(path, "utf8");
    if (path === DECODER) return { contents: placeDecoder(text), loader: "js" };
    const place = relative(dist, path);
    if (place.startsWith("..")) return undefined;
    const contents = text
      .replaceAll("import.meta.url", `distUrl(${JSON.stringify(place)})`)
      // Asked by modules of the source tree alone, for what runs TypeScript.
      .replaceAll("import.meta.resolve(", "require.resolve(");
    return { contents, loader: "js" };
  });
  builder.onResolve({ filter: /^\.\/iced\.js$/ }, () => ({ path: DECODER }));
  builder.onResolve({ filter: /^koffi$/ }, ({ importer }) =>
    importer === "" || importer.startsWith(dist)
      ? { path: "koffi", namespace: "koffi" }
      : undefined,
  );
  builder.onLoad({ filter: /./, namespace: "koffi" }, () => ({
    contents: KOFFI,
    loader: "js",
    resolveDir: dist,
  }));
}

/** Its WebAssembly stays in its package. */
function placeDecoder(text) {
  const from = "require('path').join(__dirname, 'iced_x86_bg.wasm')";
  if (!text.includes(from)) throw new Error("iced-x86 loads its module in a way unknown here");
  return text.replace(from, 'require.resolve("iced-x86/iced_x86_bg.wasm")');
}

/** The licence asks that it goes where the code goes. */
function licenseOfDecoder() {
  const text = readFileSync(new URL("LICENSE.txt", `file://${DECODER}`), "utf8");
  return `/* In part:\n${text.replaceAll("*/", "* /")}*/\n`;
}

function checkBundle(text, metafile) {
  // The launcher reads bytes as characters.
  if (/[^\0-\x7f]/.test(text)) throw new Error("the bundle is not ASCII");
  for (const { imports } of Object.values(metafile.outputs)) {
    const found = imports.find(({ kind }) => kind === "dynamic-import");
    // A script that runs so cannot import.
    if (found !== undefined) throw new Error(`the bundle imports ${found.path} at run time`);
  }
}

/** The cache holds the functions that a run has needed; without it all works, and starts slower. */
function makeCodeCache(path) {
  const warmUp = fileURLToPath(new URL("warm-up.cjs", import.meta.url));
  const made = spawnSync(process.execPath, [warmUp, path], { stdio: ["ignore", "ignore", "pipe"] });
  if (made.status === 0) return;
  process.stderr.write(`build: no code cache, the command will start slower\n${made.stderr}`);
}
