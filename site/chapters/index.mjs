/**
 * The chapters of the guide, `site/guide/*.md`, executed: as pages for VitePress and as notebooks, from one source.
 *
 *   node site/chapters/index.mjs          writes examples/notebooks/*.ipynb
 *   node site/chapters/index.mjs 03 06    those chapters only
 *
 * In a source, a fence ` ```ts run ` is executed, all of a chapter in one module that imports the package by its
 * name; the value of its last line is shown under it. A fence ` ```ts wrong ` must not compile; what the compiler
 * says is shown under it. `{{= expression }}` in prose is computed after the cells before it. Pictures stand in the
 * pages; figures with a script are files, which the site's component `LiveFigure` shows.
 *
 * The code runs on the build: `npm run build` first. A chapter whose front matter says `needs: NAME` runs where the
 * environment variable NAME names the file that it is about; what it gave there is kept in `site/guide/*.json`, which
 * stands for it elsewhere.
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { transformSync } from "esbuild";
import { folder, moduleOf } from "../../scripts/notebooks.mjs";
import { chapterNames, chapterSteps, guide, readChapter, root } from "./chapter.mjs";
import { complaintsOf } from "./check.mjs";
import { typedNumbers } from "./digits.mjs";
import { keep, kept } from "./kept.mjs";
import { notebookOf } from "./notebook.mjs";
import { FIGURES, pageOf, pageStyles } from "./page.mjs";

const NOTEBOOKS = "examples/notebooks";

/**
 * What the code of a chapter gave, `{ cells, values }`: it runs in a process of its own, unless it needs a file that is
 * not here; then it is what was kept of a run with it.
 */
export async function executeChapter(chapter) {
  if (chapter.needs === undefined) return runChapter(chapter);
  if (!process.env[chapter.needs]) return kept(chapter);
  const given = await runChapter(chapter);
  keep(chapter, given);
  return given;
}

async function runChapter(chapter) {
  const path = join(root, ".tmp/chapters", `${chapter.name}.mjs`);
  const { code } = transformSync(moduleOf(chapterSteps(chapter)), { loader: "ts", format: "esm", target: "es2022" });
  mkdirSync(join(root, ".tmp/chapters"), { recursive: true });
  writeFileSync(path, code);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: root, maxBuffer: 2 ** 28 });
    return JSON.parse(stdout);
  } catch (error) {
    const said = String(error.stderr ?? error.message).trim();
    throw new Error(`${chapter.name}: ${said.split("\n").slice(0, 12).join("\n")}`, { cause: error });
  }
}

/** The chapters with what their code gave and what the compiler says; refuses prose with typed numbers. */
async function executed(names) {
  const chapters = names.map(readChapter);
  for (const { name, parts } of chapters) {
    const typed = parts.flatMap(({ kind, text }) => (kind === "prose" ? typedNumbers(text) : []));
    if (typed.length > 0)
      throw new Error(`${name}: numbers typed by hand: ${typed.map((t) => JSON.stringify(t)).join(", ")}`);
  }
  const complaints = complaintsOf(chapters);
  const results = [];
  const rest = [...chapters.entries()];
  const work = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [i, chapter] = next;
      results[i] = { chapter, given: await executeChapter(chapter) };
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), chapters.length) }, work));
  return { results, complaints };
}

/**
 * Writes the pages of the guide, and the files of their live figures.
 *
 * @param options - `into`, the folder that gets the pages; `figures`, the one that gets the site's live figures, by
 * default `public/figures` beside it; `notebooks`, the address under which readers find the notebooks, where there is
 * one.
 * @returns {Promise<{ text: string, link: string }[]>} the chapters in their order, as a list at the side has them.
 */
export async function renderChapters({ into, figures = join(into, "../public/figures"), notebooks }) {
  const { figureStyles } = await import("../../dist/viz.js");
  const styles = pageStyles(figureStyles());
  const { results, complaints } = await executed(chapterNames);
  for (const folder of [into, join(figures, FIGURES)]) mkdirSync(folder, { recursive: true });
  for (const { chapter, given } of results) {
    const file = `${chapter.name}.ipynb`;
    const notebook = notebooks === undefined ? `\`${NOTEBOOKS}/${file}\`` : `[${file}](${notebooks}${file})`;
    const { text, files } = pageOf(chapter, given, complaints, { styles, notebook });
    writeFileSync(join(into, `${chapter.name}.md`), text);
    for (const [name, html] of files) writeFileSync(join(figures, FIGURES, name), html);
  }
  writeFileSync(join(into, "index.md"), contents(results));
  return results.map(({ chapter: { name, title } }, i) => ({ text: `${i + 1}. ${title}`, link: `/guide/${name}` }));
}

/** The guide's first page: what it is, and its chapters. */
function contents(results) {
  const lines = results.map(
    ({ chapter: { name, title, description } }) => `1. [${title}](${name}.md)  \n   ${description}`,
  );
  return readFileSync(join(guide, "index.md"), "utf8").replace("{{= chapters }}", () => lines.join("\n"));
}

/** Writes the notebooks of chapters. */
export async function writeNotebooks(names = chapterNames) {
  const { results, complaints } = await executed(names);
  for (const { chapter, given } of results) {
    const notebook = notebookOf(chapter, given, complaints);
    writeFileSync(join(folder, `${chapter.name}.ipynb`), `${JSON.stringify(notebook, null, 1)}\n`);
    console.log(`${chapter.name}: ${given.cells.length} cells, ${given.values.length} numbers in prose`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const asked = process.argv.slice(2);
  await writeNotebooks(
    chapterNames.filter((name) => asked.length === 0 || asked.some((start) => name.startsWith(start))),
  );
}
