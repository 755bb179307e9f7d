/** Work whose result lies in files: the first file of tests that needs it does it, the others of a run find it done. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { root } from "./files.ts";

/** The latest change of some files and folders, and how many files they are. */
function stampOf(sources: readonly string[]): string {
  const files = sources.flatMap((source) => {
    const path = join(root, source);
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true }).map((name) => join(path, String(name)));
  });
  return `${files.length}-${Math.max(...files.map((path) => Math.floor(statSync(path).mtimeMs)))}`;
}

/**
 * The folder in which `make` has left its files, for as long as no source is younger; read it, and write nothing there.
 *
 * @param name - a name of its own for what is made.
 * @param sources - files and folders that it is made of, as paths from the root.
 */
export async function once(
  name: string,
  sources: readonly string[],
  make: (folder: string) => Promise<void> | void,
): Promise<string> {
  const place = join(root, ".tmp/once", name);
  const folder = join(place, stampOf(sources));
  if (existsSync(folder)) return folder;
  const drafts = existsSync(place) ? readdirSync(place).filter((other) => !other.includes("draft")) : [];
  for (const old of drafts) rmSync(join(place, old), { recursive: true, force: true });
  const draft = `${folder}-draft-${process.pid}`;
  mkdirSync(draft, { recursive: true });
  await make(draft);
  try {
    renameSync(draft, folder);
  } catch (error) {
    // Another worker was faster.
    if (!existsSync(folder)) throw error;
    rmSync(draft, { recursive: true });
  }
  return folder;
}
