import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { once } from "./once.ts";
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

/** What is packed. */
const SOURCES = ["package.json", "README.md", "LICENSE", ...manifest.files.map((path) => path.replace(/\/\*.*$/, ""))];

/** Packs the repository as `npm publish` would; what is in dist/ is packed as it is. */
export async function packRepository(): Promise<Packed> {
  const folder = await once("package", SOURCES, (draft) => {
    writeFileSync(
      join(draft, "report.json"),
      run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", draft]),
    );
  });
  const [report] = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as {
    filename: string;
    files: { path: string }[];
    size: number;
    unpackedSize: number;
  }[];
  if (report === undefined) throw new Error("npm pack made nothing");
  const { filename, files, size, unpackedSize } = report;
  return { path: join(folder, filename), files: files.map(({ path }) => path), size, unpackedSize };
}
