/** The checkpoints of a training run, as the command line names them: several paths, or a folder of them. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { modelName } from "./model.ts";

/** One checkpoint: where it is, and what its name says of when it was. */
export interface CheckpointPath {
  readonly path: string;
  readonly label: string;
  /** The last number in its name. */
  readonly step: number | undefined;
}

const WEIGHTS = /\.(safetensors|pth|pt|bin|npz|ckpt)$/i;

/**
 * The checkpoints that paths name; a single folder stands for what is in it, where that is several checkpoints, in the
 * order of their numbers.
 */
export async function checkpointPaths(paths: readonly string[]): Promise<CheckpointPath[]> {
  const [only] = paths;
  const listed = paths.length === 1 && only !== undefined ? await contentsOf(only) : [];
  const named = (listed.length > 1 ? listed : paths).map((path) => {
    const name = modelName(path).replace(WEIGHTS, "");
    const numbers = name.match(/\d+/g);
    const last = numbers?.[numbers.length - 1];
    return { path, label: name, step: last === undefined ? undefined : Number(last) };
  });
  const steps = new Set(named.map(({ step }) => step));
  const areSteps = steps.size === named.length && !steps.has(undefined);
  const placed = areSteps ? named : named.map((one) => ({ ...one, step: undefined }));
  return listed.length > 1 && areSteps ? placed.sort((a, b) => (a.step ?? 0) - (b.step ?? 0)) : placed;
}

/** The folders in a folder, or the files of weights where there are no folders. */
async function contentsOf(folder: string): Promise<string[]> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) return [];
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  const files = entries.filter((entry) => entry.isFile() && WEIGHTS.test(entry.name));
  // Shards of one checkpoint are numbered 1-of-5.
  const isSharded = files.some(({ name }) => /\d+-of-\d+/.test(name));
  const list = folders.length > 1 ? folders : isSharded ? [] : files;
  return list.map(({ name }) => join(folder, name));
}
