import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's root folder, without a slash at its end. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/[\\/]$/, "");

/** Every file under a folder, as sorted paths from the root with forward slashes; none when there is no such folder. */
export function filesUnder(folder: string, ending = ""): string[] {
  if (!existsSync(`${root}/${folder}`)) return [];
  return readdirSync(`${root}/${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => `${entry.parentPath}/${entry.name}`.replaceAll("\\", "/").slice(root.length + 1))
    .sort();
}

/** A text file, by its path from the root. */
export function readText(path: string): string {
  return readFileSync(`${root}/${path}`, "utf8");
}
