/** What `npm publish` would send, and what the two checkers of package shapes say of it. */
import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../../package.json" with { type: "json" };
import { entries } from "../../../scripts/entries.mjs";
import { readText, root } from "../../support/files.ts";
import { run } from "../../support/run.ts";
import { packRepository, type Packed } from "../../support/tarball.ts";
import "../../support/require-build.ts";

const megabyte = 1e6;
let packed: Packed;
beforeAll(() => {
  packed = packRepository();
});
afterAll(() => {
  rmSync(dirname(packed.path), { recursive: true });
});

describe("the packed package", () => {
  test("holds the build, the bundled model, the documents and the papers, and nothing else", () => {
    const expected = [
      /^(package\.json|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE)$/,
      /^docs\/([\w-]+\.md|images\/induction-pattern\.svg)$/,
      /^examples\/([\w-]+\.ts|notebooks\/[\w-]+\.ipynb)$/,
      /^data\/bundled-model\.(js|d\.ts)$/,
      new RegExp(`^dist/(${Object.keys(entries).join("|")})\\.(js|cjs|d\\.ts|d\\.cts)$`),
      /^dist\/(cli|anywidget)\.js$/,
      // What entries share; the build names these files itself.
      /^dist\/[\w-]+-[\w-]{8}\.(js|cjs|d\.ts|d\.cts)$/,
    ];
    expect(packed.files.filter((path) => !expected.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(packed.files).toEqual(
      expect.arrayContaining(["package.json", "README.md", "CHANGELOG.md", "LICENSE", "data/bundled-model.js"]),
    );
  });

  test("holds every file that README links or shows, so that it stands on its own", () => {
    const readme = readText("README.md");
    const links = [...readme.matchAll(/\]\(([^)#\s]+)|<img src="([^"]+)"/g)].map(
      ([, link, image]) => link ?? image ?? "",
    );
    const inside = links.filter((link) => link !== "" && !/^https?:/.test(link));
    expect(inside.length).toBeGreaterThan(15);
    expect(inside.filter((link) => !packed.files.includes(link))).toEqual([]);
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

  test("is smaller than 2.6 MB packed and 8.2 MB unpacked, of which the bundled model is 1.2 MB, documents and guide 1.3 MB and each of the two module formats 2.5 MB with its declarations", () => {
    expect(packed.size).toBeLessThan(2.6 * megabyte);
    expect(packed.unpackedSize).toBeLessThan(8.2 * megabyte);
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
