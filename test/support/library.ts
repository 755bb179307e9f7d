/** The library in a file of its own, for tests that measure a process of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll } from "vitest";
import { root } from "./files.ts";
import { once } from "./once.ts";

/** The module, and a folder for what the tests of a file write, which goes when they are done. */
export interface BundledLibrary {
  root: string;
  library: string;
}

/** Bundles a module before the tests of a file; the paths are there once they run. */
export function bundledLibrary(entry: string): BundledLibrary {
  const paths: BundledLibrary = { root: "", library: "" };
  beforeAll(async () => {
    paths.root = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
    const made = await once(entry.replace(/\W+/g, "-"), ["src", entry], async (folder) => {
      await build({
        entryPoints: [join(root, entry)],
        outfile: join(folder, "library.mjs"),
        bundle: true,
        format: "esm",
        platform: "node",
        packages: "external",
        logLevel: "error",
      });
    });
    paths.library = join(made, "library.mjs");
  });
  afterAll(() => rm(paths.root, { recursive: true, force: true }));
  return paths;
}
