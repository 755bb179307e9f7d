import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

/** What npm says of the package that it made. */
export interface Packed {
  /** Where the archive lies. */
  readonly path: string;
  readonly files: readonly string[];
  /** Bytes of the archive. */
  readonly size: number;
  /** Bytes of its files. */
  readonly unpackedSize: number;
}

/** Packs the repository into a folder of its own, as `npm publish` would; what is in dist/ is packed as it is. */
export function packRepository(): Packed {
  const folder = mkdtempSync(join(tmpdir(), "transformer-circuits-pack-"));
  const [report] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder])) as {
    filename: string;
    files: { path: string }[];
    size: number;
    unpackedSize: number;
  }[];
  if (report === undefined) throw new Error("npm pack made nothing");
  const { filename, files, size, unpackedSize } = report;
  return { path: join(folder, filename), files: files.map(({ path }) => path), size, unpackedSize };
}
