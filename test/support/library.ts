/** The library in a file of its own, for tests that measure a process of its own. */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll } from "vitest";

/** Where it lies while the tests of a file run: its folder, which goes when they are done, and the module. */
export interface BundledLibrary {
  root: string;
  library: string;
}

/** Bundles a module before the tests of a file; the paths are there once they run. */
export function bundledLibrary(entry: string): BundledLibrary {
  const paths: BundledLibrary = { root: "", library: "" };
  beforeAll(async () => {
    paths.root = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
    paths.library = join(paths.root, "library.mjs");
    await symlink(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(paths.root, "node_modules"));
    await build({
      entryPoints: [fileURLToPath(new URL(`../../${entry}`, import.meta.url))],
      outfile: paths.library,
      bundle: true,
      format: "esm",
      platform: "node",
      packages: "external",
      logLevel: "error",
    });
  });
  afterAll(() => rm(paths.root, { recursive: true, force: true }));
  return paths;
}
