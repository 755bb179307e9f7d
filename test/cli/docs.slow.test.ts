/** The command docs, run as its own process: documents, names, and words that lead to names. */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readText, root } from "../support/files.ts";
import { commandInFolder } from "./command.ts";

const DECLARATIONS = `
/**
 * The copying score of every head: how far {@link Eigenvalue}s are positive.
 *
 * @throws {@link ConfigError} when there are none.
 * @category Circuits
 */
declare function copyingScores(model: Transformer): Tensor<"layer head">;
/**
 * The loss of each prediction when heads are ablated.
 * @category Head scores
 */
declare function lossWithout(model: Transformer): number;
/**
 * What copying gives.
 * @category Circuits
 */
interface Copied {
    /** The share. */
    readonly share: number;
}
/**
 * Draws a score of copying.
 * @category Figures
 */
declare function drawCopying(): void;
/** Not exported, though it speaks of copying. */
declare function hidden(): void;
export { type Copied, copyingScores, drawCopying, lossWithout };
`;

const cli = commandInFolder(DECLARATIONS);
beforeAll(() => {
  const folder = dirname(dirname(cli.command));
  mkdirSync(`${folder}/docs`, { recursive: true });
  for (const file of ["README.md", "docs/conventions.md"]) cpSync(`${root}/${file}`, `${folder}/${file}`);
});

test("without words it says what there is", async () => {
  const { code, stdout, stderr } = await cli.run("docs");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("  readme       transformer-circuits\n  conventions  Conventions\n");
});

test("prints a document", async () => {
  expect((await cli.run("docs", "conventions")).stdout).toBe(readText("docs/conventions.md"));
});

test("prints a chapter of the guide: prose, code, and what the code gave in words", async () => {
  const folder = `${dirname(dirname(cli.command))}/examples/notebooks`;
  mkdirSync(folder, { recursive: true });
  const outputs = [{ text: ["1\n"] }, { data: { "text/plain": ["Tensor"], "text/html": ["<p>"] } }];
  const cells = [
    { cell_type: "markdown", source: ["# A chapter\n", "\n", "Prose."] },
    { cell_type: "code", source: ["const a = 1;\n", "a"], outputs },
  ];
  writeFileSync(`${folder}/01-bigrams.ipynb`, JSON.stringify({ cells }));
  expect((await cli.run("docs")).stdout).toContain("  guide-01-bigrams  A chapter\n");
  expect((await cli.run("docs", "guide-01-bigrams")).stdout).toBe(
    "# A chapter\n\nProse.\n\n```ts\nconst a = 1;\na\n```\n\n1\nTensor\n",
  );
});

test("prints what a name is: where it comes from, its declaration, what it says", async () => {
  expect((await cli.run("docs", "copyingScores()")).stdout).toBe(
    `import { copyingScores } from "transformer-circuits";

function copyingScores(model: Transformer): Tensor<"layer head">;

The copying score of every head: how far Eigenvalues are positive.

@throws ConfigError when there are none.
`,
  );
  expect((await cli.run("docs", "Copied")).stdout).toContain("readonly share: number;\n}\n\nWhat copying gives.\n");
});

test.each([
  [
    ["copying"],
    "copyingScores  The copying score of every head.\ndrawCopying    Draws a score of copying.\nCopied         What copying gives.\n",
  ],
  [["score", "copying"], "copyingScores  The copying score of every head.\ndrawCopying    Draws a score of copying.\n"],
  [["ablation"], "lossWithout  The loss of each prediction when heads are ablated.\n"],
  [["copying", "eigenvalue"], "copyingScores  The copying score of every head.\n"],
])(
  "%j lists the names that say so, functions first, those that begin with the words before others, and no more",
  async (words, expected) => {
    expect((await cli.run("docs", ...words)).stdout).toBe(expected);
  },
);

test("of what nothing is said it names what is near", async () => {
  expect(await cli.run("docs", "copyingscore")).toMatchObject({
    code: 1,
    stderr: 'InputError: docs: nothing is said of "copyingscore". Nearest: copyingScores.\n',
  });
});
