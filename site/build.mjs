/**
 * Builds the site into site/dist/: `npm run site`. Everything is made here of the repository, and nothing comes from outside,
 * then or in the pages.
 *
 *   node site/build.mjs                 builds it
 *   node site/build.mjs --serve         serves the pages while they are written
 *   SITE_BASE=/docs/ node site/build.mjs   for an address that is not the root of its host
 */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { ensureBuild } from "../scripts/ensure-build.mjs";
import { data, dist, files, pages, site } from "./lib/paths.mjs";

/** Installs what builds the site, where it is not there. */
function install() {
  if (existsSync(`${site}node_modules/vitepress`)) return;
  console.error("Installing what builds the site into site/node_modules (npm ci; the library needs none of it).");
  const { status } = spawnSync("npm", ["ci", "--prefix", site, "--no-audit", "--no-fund"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error("npm ci in site/ failed: what builds the site is not there.");
}

/** The chapters of the guide, or a page that says where to begin until they are written. */
async function writeChapters(into) {
  const own = `${site}chapters/index.mjs`;
  if (existsSync(own)) return (await import(pathToFileURL(own).href)).renderChapters({ into });
  mkdirSync(into, { recursive: true });
  writeFileSync(
    `${into}/index.md`,
    "# Guide\n\nThe [examples](../examples/01-bigrams.md) are a story in short files, from bigrams to the induction circuit.\n",
  );
  return [{ text: "Where to begin", link: "/guide/" }];
}

async function timed(name, work) {
  const start = performance.now();
  const result = await work();
  console.error(`${name.padEnd(12)} ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}

async function main(argv) {
  install();
  ensureBuild();
  rmSync(pages, { recursive: true, force: true });
  for (const folder of [pages, files, data]) mkdirSync(folder, { recursive: true });
  const { writeFront } = await import("./lib/front.mjs");
  const { writeDocuments } = await import("./lib/documents.mjs");
  writeFront();
  const chapters = timed("guide", () => writeChapters(`${pages}guide`));
  const { picture, readFigures, writeGallery } = await import("./lib/gallery.mjs");
  const { writeReference } = await import("./lib/reference.mjs");
  const figures = timed("figures", () => promisify(execFile)(process.execPath, [`${site}lib/figures.mjs`])).then(
    readFigures,
  );
  const pictures = figures.then(
    ({ shown }) => new Map(Object.entries(shown).map(([name, figure]) => [name, picture(figure)])),
  );
  const { names, lines } = await timed("reference", () => writeReference({ pictures }));
  writeGallery(await figures, names, lines);
  const examples = writeDocuments(names);
  writeFileSync(`${data}chapters.json`, JSON.stringify({ guide: await chapters, examples }));
  const vitepress = await import("vitepress");
  if (argv.includes("--serve")) {
    const server = await vitepress.createServer(site, { port: 5173 });
    await server.listen();
    server.printUrls();
    return;
  }
  if (argv.includes("--no-pages")) return;
  await timed("pages", () => vitepress.build(site, { outDir: dist }));
  const playground = `${site}playground/build.mjs`;
  if (existsSync(playground)) {
    const { buildPlayground } = await import(pathToFileURL(playground).href);
    await timed("playground", () => buildPlayground({ into: `${dist}playground` }));
  }
}

await main(process.argv.slice(2));
