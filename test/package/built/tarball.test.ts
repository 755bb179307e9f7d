/** What `npm publish` would send, and what the two checkers of package shapes say of it. */
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { beforeAll, describe, expect, test } from "vitest";
import manifest from "../../../package.json" with { type: "json" };
import { entries } from "../../../scripts/entries.mjs";
import { readText, root } from "../../support/files.ts";
import { run } from "../../support/run.ts";
import { packRepository, type Packed } from "../../support/tarball.ts";
import "../../support/require-build.ts";

/** The documents of the package and the prose of its notebooks. */
function* documents(files: readonly string[]): Generator<readonly [path: string, text: string]> {
  for (const path of files) {
    if (path.endsWith(".md")) yield [path, readText(path)];
    if (!path.endsWith(".ipynb")) continue;
    const { cells } = JSON.parse(readText(path)) as { cells: { cell_type: string; source: string | string[] }[] };
    const prose = cells.filter(({ cell_type }) => cell_type === "markdown");
    yield [path, prose.map(({ source }) => [source].flat().join("")).join("\n")];
  }
}

/** Where links and images of a document lead, those in its code left out. */
function linksIn(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "code");
  const found = prose.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)|<(?:a|img)\b[^>]* (?:href|src)="([^"]+)"/gm);
  return [...found].map(([, link, reference, element]) => link ?? reference ?? element ?? "");
}

/** The names by which the headings of a document are reached. */
function placesOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")));
}

const megabyte = 1e6;
let packed: Packed;
beforeAll(async () => {
  packed = await packRepository();
});

describe("the packed package", () => {
  test("holds the build, the bundled model, the documents and the papers, and nothing else", () => {
    const expected = [
      /^(package\.json|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE)$/,
      /^docs\/[\w-]+\.md$/,
      /^examples\/([\w-]+\.ts|notebooks\/[\w-]+\.ipynb)$/,
      /^data\/bundled-model\.(js|d\.ts)$/,
      new RegExp(`^dist/(${Object.keys(entries).join("|")})\\.(js|cjs|d\\.ts|d\\.cts)$`),
      /^dist\/(cli|anywidget|job-worker)\.js$/,
      // What entries share; the build names these files itself.
      /^dist\/[\w-]+-[\w-]{8}\.(js|cjs|d\.ts|d\.cts)$/,
    ];
    expect(packed.files.filter((path) => !expected.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(packed.files).toEqual(
      expect.arrayContaining(["package.json", "README.md", "CHANGELOG.md", "LICENSE", "data/bundled-model.js"]),
    );
  });

  test("shows no image of its own where it is read on the web, as npm has none of its files", () => {
    const relative = /!\[[^\]]*\]\((?!https?:|data:)|<img\b[^>]* src="(?!https?:|data:)/;
    expect(packed.files.filter((path) => path.endsWith(".md") && relative.test(readText(path)))).toEqual([]);
  });

  test("has no link that leads nowhere: to a file that it does not hold, or to a place that the file does not have", () => {
    const broken: string[] = [];
    let count = 0;
    for (const [path, text] of documents(packed.files))
      for (const target of linksIn(text)) {
        if (/^(https?|mailto|data):/.test(target)) continue;
        count++;
        const [file = "", place] = target.split("#");
        const inside = file === "" ? path : normalize(join(dirname(path), file));
        const isThere = packed.files.includes(inside);
        const hasPlace = place === undefined || (isThere && placesOf(readText(inside)).has(place));
        if (!isThere || !hasPlace) broken.push(`${path}: ${target}`);
      }
    expect(count).toBeGreaterThan(50);
    expect(broken).toEqual([]);
  });

  test("holds every file that package.json points to", () => {
    const targets = (value: unknown): string[] =>
      typeof value === "string" ? [value] : Object.values(value as object).flatMap(targets);
    const { exports, bin, main, module, types } = manifest;
    const missing = targets({ exports, bin, main, module, types })
      .map((path) => path.replace(/^\.\//, ""))
      .filter((path) => !packed.files.includes(path) || !existsSync(`${root}/${path}`));
    expect(missing).toEqual([]);
  });

  test("is smaller than 3 MB packed and 9.8 MB unpacked, of which the bundled model is 1.2 MB, documents and guide 1.6 MB and each of the two module formats 3.5 MB with its declarations", () => {
    expect(packed.size).toBeLessThan(3 * megabyte);
    expect(packed.unpackedSize).toBeLessThan(9.8 * megabyte);
  });

  test("satisfies publint in its strict mode", async () => {
    const { messages } = await publint({ pkgDir: root, strict: true, pack: false });
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
  });

  test("has types that resolve from ESM, from CommonJS and from bundlers", () => {
    const attw = `${root}/node_modules/@arethetypeswrong/cli/dist/index.js`;
    const { problems } = JSON.parse(
      run(process.execPath, [attw, packed.path, "--profile", "node16", "--format", "json"]),
    ) as { problems: Record<string, { resolutionKind?: string }[]> };
    // Node 10 knows no exports, so that it cannot find an entry but the root; it is outside the engines of the package.
    expect(Object.values(problems).flatMap((found) => found.filter((one) => one.resolutionKind !== "node10"))).toEqual(
      [],
    );
  });
});
