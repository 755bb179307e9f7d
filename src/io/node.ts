/**
 * The entry `transformer-circuits/node`: model folders, checkpoints, figures and results of sweeps on disk. It and its
 * folder alone touch the file system.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "../errors.ts";

export { convertPath } from "./node/convert.ts";
export type { Converted, ConvertPathOptions } from "./node/convert.ts";
export { inspectPath, openPath } from "./node/files.ts";
export type { OpenPathOptions } from "./node/files.ts";
export { loadFolder } from "./node/folder.ts";
export type { GivenFiles, LoadedFolder, LoadFolderOptions } from "./node/folder.ts";
export { downloadFromHub, loadFromHub } from "./node/hub.ts";
export type { HubFolder, HubOptions } from "./node/hub.ts";
export { mergeShards } from "./node/jobs/merge-shards.ts";
export type { MergedShards } from "./node/jobs/merge-shards.ts";
export { onThreads } from "./node/jobs/on-threads.ts";
export type { ThreadJobsOptions } from "./node/jobs/on-threads.ts";
export { openShard } from "./node/jobs/open-shard.ts";
export type { ShardStore } from "./node/jobs/open-shard.ts";
export { filesOfPlan, modelsOfPlan, readJobPlan } from "./node/jobs/read-plan.ts";
export { shardStatus } from "./node/jobs/shard-status.ts";
export type { ShardProgress, ShardStatus } from "./node/jobs/shard-status.ts";

/**
 * Anything that prints as SVG or HTML: what the functions of `transformer-circuits/viz` return.
 * @category Figures
 */
export interface SavableFigure {
  /** The SVG text. */
  readonly svg?: string;
  /** The HTML text. */
  readonly html: string;
  /** The bytes of an image. */
  png?(): Promise<Uint8Array>;
}

const SAVE = "saveFigure";

/**
 * Saves a figure as a file, `.svg`, `.png` or `.html`, making the folders on the way.
 *
 * @param path - the file, as a path or a `file:` URL; its extension says the format. For a PNG of another scale or in
 * dark colours, write what `figure.png({ scale, scheme })` returns.
 * @param figure - what a function of `transformer-circuits/viz` returned.
 * @throws {@link InputError} when the extension is another one, or for `.png` when the optional package
 * `@resvg/resvg-js` is not installed.
 * @category Figures
 * @example
 * ```ts no-run
 * import { saveFigure } from "transformer-circuits/node";
 * import { headGrid } from "transformer-circuits/viz";
 *
 * await saveFigure("figures/induction.svg", headGrid({ values: [[0.1, 0.9]], title: "Induction score" }));
 * ```
 */
export async function saveFigure(path: string | URL, figure: SavableFigure): Promise<void> {
  const file = typeof path === "string" ? path : fileURLToPath(path);
  const content = await contentFor(file, figure);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

async function contentFor(file: string, figure: SavableFigure): Promise<string | Uint8Array> {
  const extension = extname(file).toLowerCase();
  if (extension === ".html") {
    return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<body>\n${figure.html}\n</body>\n</html>\n`;
  }
  if (extension === ".svg" && figure.svg !== undefined) return `${figure.svg}\n`;
  if (extension === ".png" && figure.png !== undefined) return figure.png();
  const isKnown = extension === ".svg" || extension === ".png";
  const why = isKnown ? `this figure has no ${extension.slice(1)}` : "a figure is saved as .svg, .png or .html";
  throw new InputError(`cannot save to ${file}: ${why}. Name the file with ${isKnown ? ".html" : "one of these"}.`, {
    operation: SAVE,
    argument: "path",
    expected: [".svg", ".png", ".html"],
    actual: extension,
  });
}
