/**
 * A resolve hook for modules of handlers, run in Node's hooks thread by module.register(). It makes
 * `import … from "trapline"` mean this installation wherever the file lies, and reads the file and
 * its relatives as ES modules, also where no package.json says so (a file in /tmp has none).
 */

import type { ResolveHook } from "node:module";

let libraryUrl = "";

/** Called once by Node with the data given to register(). */
export function initialize(data: { readonly libraryUrl: string }): void {
  libraryUrl = data.libraryUrl;
}

export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  if (specifier === "trapline") return await nextResolve(libraryUrl, context);
  const resolved = await nextResolve(specifier, context);
  if (resolved.format === "commonjs" && isOwnSource(resolved.url)) {
    // tsx marks what it takes for CommonJS in the query; as a module the file has its plain URL.
    const url = resolved.url.replace(/(\?|%3F)tsx-.*$/, "");
    return { ...resolved, url, format: "module" };
  }
  return resolved;
};

/**
 * A source file of the user's; files of packages say themselves what they are, and .cjs is what it
 * says.
 */
function isOwnSource(url: string): boolean {
  return /\.[jt]sx?($|\?|%3F)/.test(url) && !url.includes("/node_modules/");
}
