/** Builds the playground, a static page: `node site/playground/build.mjs [folder]`. */
import { cp, mkdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Preact as the repository has it: what builds the site brings another version along. */
const { resolve } = createRequire(new URL("../../package.json", import.meta.url));
const alias = Object.fromEntries(["preact", "preact/hooks", "preact/jsx-runtime"].map((name) => [name, resolve(name)]));

/**
 * Writes the playground into a folder, from the sources of the library: a page, its style sheet, the program of the page,
 * and that of the worker with the bundled model as a file of its own.
 *
 * @param {{ readonly into: string }} options - the folder, which is emptied first.
 */
export async function buildPlayground({ into }) {
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  const shared = {
    outdir: into,
    alias,
    tsconfig: here("tsconfig.json"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
  };
  // apart, so that neither waits for pieces that both have
  await Promise.all([
    build({ ...shared, entryPoints: { main: here("src/page/main.tsx") } }),
    build({ ...shared, entryPoints: { worker: here("src/worker/main.ts") }, splitting: true, chunkNames: "[name]" }),
  ]);
  for (const file of ["index.html", "style.css"]) await cp(here(file), `${into}/${file}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const into = process.argv[2] ?? here("../dist/playground");
  await buildPlayground({ into });
  process.stdout.write(`playground: ${into}\n`);
}
