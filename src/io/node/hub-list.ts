/** What was fetched of a commit, written down beside it, so that a commit that is here needs no network. */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** The weights that were asked for, and all files fetched with them. */
export interface FetchedList {
  readonly weights: string;
  readonly files: readonly string[];
}

/** The list's own file: one for each choice of weights, outside the folders that other libraries know. */
function listFile(folder: string, weights: string | undefined): string {
  const choice = weights === undefined ? "" : `-${weights.replaceAll(/[^\w.-]/g, "_")}`;
  return join(dirname(dirname(folder)), ".transformer-circuits", `${basename(folder)}${choice}.json`);
}

/** The list of an earlier time whose files are all there. */
export async function readList(
  folder: string,
  { weights }: { weights?: string | undefined },
): Promise<FetchedList | undefined> {
  try {
    const list = JSON.parse(await readFile(listFile(folder, weights), "utf8")) as FetchedList;
    const files = list.files.map(String);
    for (const file of files) await stat(join(folder, file));
    return { weights: String(list.weights), files };
  } catch {
    return undefined;
  }
}

/** Writes the list, after its files. */
export async function writeList(
  folder: string,
  { weights }: { weights?: string | undefined },
  list: FetchedList,
): Promise<void> {
  const file = listFile(folder, weights);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(list));
}
