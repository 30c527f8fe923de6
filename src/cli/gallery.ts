/** The scripts that come with the package: they are found by their bare names. */

import { existsSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const ENDING = ".bt";

/** The file of `malloc-sizes`, `malloc-sizes.bt` or `tools/malloc-sizes.bt`, if there is one. */
export function findGalleryScript(word: string): string | undefined {
  const name = basename(word, ENDING);
  if (name === "" || (word !== name && !/^(tools\/)?[^/]+\.bt$/.test(word))) return undefined;
  const path = `${folder()}/${name}${ENDING}`;
  return existsSync(path) ? path : undefined;
}

/** Names of all of them, in order. */
export function listGallery(): readonly string[] {
  const files = existsSync(folder()) ? readdirSync(folder()) : [];
  return files
    .filter((file) => file.endsWith(ENDING))
    .map((file) => basename(file, ENDING))
    .sort();
}

/** From src/cli as well as from dist/cli. */
function folder(): string {
  return fileURLToPath(new URL("../../tools", import.meta.url));
}
