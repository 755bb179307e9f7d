/**
 * Runs every TypeScript block of the documentation comments, README.md and docs/*.md, and compares what it prints with the
 * comments that say what it prints.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { filesUnder, readText, root } from "../support/files.ts";
import { compilerComplaints } from "../support/native-compiler.ts";
import { printedBy } from "./capture.ts";
import { announcement, blocksOfMarkdown, blocksOfSource, type Block } from "./extract.ts";

const folder = ".tmp/docs-examples";
const documents = ["README.md", ...filesUnder("docs", ".md")].filter((path) => existsSync(`${root}/${path}`));

const blocks: readonly Block[] = [
  ...filesUnder("src", ".ts").flatMap((path) => blocksOfSource(path, readText(path))),
  ...documents.flatMap((path) => blocksOfMarkdown(path, readText(path))),
];

const pathOf = ({ where }: Block): string => `${folder}/${where.replace(/[^A-Za-z0-9]+/g, "-")}.ts`;
const moduleOf = ({ code }: Block): string => `${code}\nexport {};\n`;

rmSync(`${root}/${folder}`, { recursive: true, force: true });
mkdirSync(`${root}/${folder}`, { recursive: true });
for (const block of blocks) writeFileSync(`${root}/${pathOf(block)}`, moduleOf(block));

describe("every documentation block compiles", () => {
  let complaints: ReadonlyMap<string, readonly string[]>;
  beforeAll(() => {
    complaints = compilerComplaints(blocks.map(pathOf), `${folder}/tsconfig.json`);
  });
  test.each(blocks)("$where", (block) => {
    expect(complaints.get(pathOf(block))).toEqual([]);
  });
});

describe("every documentation block prints what it says", () => {
  test.each(blocks.filter(({ run }) => run))("$where", async (block) => {
    const { lines, unannounced, checks } = announcement(block.code);
    expect(unannounced, "lines whose console.log is not followed by its output").toEqual([]);
    expect(checks, "a block prints or throws; one that is only to be read says ```ts no-run").toBe(true);
    expect(await printedBy(`${root}/${pathOf(block)}`)).toEqual(lines.map((line) => line.trimEnd()));
  });
});
