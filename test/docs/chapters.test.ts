/**
 * The chapters of the guide run, say in their prose what a run gives, and are the notebooks of examples/notebooks/:
 * here in Node, on the source; in test/package/built/ the notebooks run in Deno, on the build.
 */
import { existsSync } from "node:fs";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { moduleOf, notebooks, readNotebook, writeModule } from "../../scripts/notebooks.mjs";
import { chapterNames, chapterSteps, parseChapter, readChapter, withValues } from "../../site/chapters/chapter.mjs";
import { complaintsOf } from "../../site/chapters/check.mjs";
import { typedNumbers } from "../../site/chapters/digits.mjs";
import { kept } from "../../site/chapters/kept.mjs";
import { notebookOf } from "../../site/chapters/notebook.mjs";
import { pageOf } from "../../site/chapters/page.mjs";
import { root } from "../support/files.ts";

interface Given {
  readonly cells: { readonly text: string; readonly data?: Readonly<Record<string, string>>; readonly body?: string }[];
  readonly values: string[];
}

interface Part {
  readonly kind: "prose" | "run" | "wrong";
  readonly text: string;
  readonly code: string;
}

interface Chapter {
  readonly name: string;
  readonly title: string;
  readonly needs?: string;
  readonly parts: readonly Part[];
}

type Complaints = Map<Part, { line: number; text: string }>;

// Cells log through another function, which one that throws leaves behind.
const { log } = console;
afterEach(() => {
  console.log = log;
});

let runs = 0;

/** Runs a chapter's code on the source; of one that needs a file which is not here, what was kept of its last run. */
async function run(chapter: Chapter): Promise<Given> {
  if (chapter.needs !== undefined && !process.env[chapter.needs]) return kept(chapter) as Given;
  const path = writeModule(
    `${chapter.name}-${++runs}`,
    chapterSteps(chapter),
    "console.log = __log;\nexport const cells = __cells, values = __values;",
  );
  const { cells, values } = (await import(/* @vite-ignore */ path)) as Given;
  return { cells, values };
}

const NUMBER = /[-−]?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?/g;

/** What must be the same on every machine, without its numbers; of pictures what stands written in them. */
const frame = (path: string, text: string): string => {
  const isMarkup = path.endsWith("/text/html") || path.endsWith("/image/svg+xml");
  const written = text
    .replace(/<(script|style)[^>]*>[^]*?<\/\1>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");
  return (isMarkup ? written : text).replace(NUMBER, "#");
};

const numbersOf = (text: string): number[] =>
  (text.match(NUMBER) ?? []).map((n) => Number(n.replaceAll(",", "").replace("−", "-")));

type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json };

/** Every text of a notebook, lines joined, with the way to it. */
function textsOf(value: Json, path = ""): [string, string][] {
  if (typeof value === "string") return [[path, value]];
  if (value === null || typeof value === "number") return [[path, String(value)]];
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) return [[path, value.join("")]];
  return Object.entries(value).flatMap(([key, inner]) => textsOf(inner as Json, `${path}/${key}`));
}

/** The sections of *A Mathematical Framework*, as its table of contents names them, and other marks in it. */
const SECTIONS = `
  transformer-overview model-simplifications high-level-architecture residual-comms virtual-weights
  subspaces-and-residual-stream-bandwidth architecture-attn-independent architecture-attn-as-movement
  zero-layer-transformers
  onel-path-expansion splitting-attention-head-terms-into-circuits interpretation-as-skip-trigrams
  copying--primitive-in-context-learning summarizing-ovqk-matrices copying-matrix
  do-we-fully-understand-one-layer-models
  three-kinds-of-composition path-expansion-of-logits path-expansion-of-attention-scores-qk-circuit
  analyzing-a-two-layer-model induction-heads how-induction-heads-work pointer-arithmetic term-importance-analysis
  virtual-attention-heads def-privileged-basis notation`
  .trim()
  .split(/\s+/);

const chapters = (chapterNames as string[]).map((name) => readChapter(name) as Chapter);
let complaints: Complaints;
beforeAll(() => {
  complaints = complaintsOf(chapters) as Complaints;
});

test("every chapter is a notebook, and every notebook a chapter", () => {
  expect([...notebooks].sort()).toEqual(chapters.map(({ name }) => `${name}.ipynb`));
});

describe.each(chapters.map((chapter): [string, Chapter] => [chapter.name, chapter]))("%s", (name, chapter) => {
  const prose = chapter.parts.filter(({ kind }) => kind === "prose").map(({ text }) => text);
  const code = chapter.parts.filter(({ kind }) => kind === "run");

  test("no number in its prose is typed by hand", () => {
    expect(prose.flatMap((text) => typedNumbers(text) as string[])).toEqual([]);
  });

  test("links lead to sections that the paper has, and to chapters that exist", () => {
    const links = [...prose.join("\n").matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const paper = links.filter((link) => link.includes("2021/framework"));
    expect(paper.filter((link) => !SECTIONS.includes(link.split("#")[1] ?? ""))).toEqual([]);
    const files = links.filter((link) => !link.includes(":")).map((link) => link.split("#")[0] ?? "");
    const isThere = (link: string): boolean =>
      existsSync(`${root}/site/guide/${link}`) || existsSync(`${root}/docs/${link.replace(/^\.\.\//, "")}`);
    expect(files.filter((link) => !isThere(link))).toEqual([]);
  });

  test("has three to eight pieces of code, links into the paper, and ends with questions", () => {
    expect(code.length).toBeGreaterThanOrEqual(3);
    expect(code.length).toBeLessThanOrEqual(8);
    expect(prose.join("\n")).toContain("https://transformer-circuits.pub/");
    expect(prose.at(-1)).toMatch(/## Questions to try\n\n(?:\d\. [^]*?){2}/);
  });

  test("runs, and its notebook holds what a run gives", { timeout: 600_000 }, async () => {
    const given = await run(chapter);
    const pictures = given.cells.filter(({ body }) => body !== undefined);
    expect(pictures.length).toBeGreaterThanOrEqual(2);
    expect(given.cells.filter(({ text, data }) => text === "" && data === undefined)).toEqual([]);

    const fresh = textsOf(JSON.parse(JSON.stringify(notebookOf(chapter, given, complaints))) as Json);
    const committed = textsOf(readNotebook(`${name}.ipynb`) as Json);
    const framed = (texts: [string, string][]): [string, string][] =>
      texts.map(([path, text]) => [path, frame(path, text)]);
    expect(framed(fresh)).toEqual(framed(committed));
    // Rounding differs from machine to machine, by no more than a last digit of what is printed.
    for (const [i, [path, text]] of fresh.entries()) {
      if (/image|html/.test(path) || text.startsWith("Figure(")) continue;
      const expected = numbersOf(committed[i]?.[1] ?? "");
      for (const [k, number] of numbersOf(text).entries())
        expect(Math.abs(number - (expected[k] ?? NaN)), path).toBeLessThanOrEqual(0.02 + 0.01 * Math.abs(number));
    }
    expect(committed.filter(([, text]) => text.length > 100_000).map(([path]) => path)).toEqual([]);
  });
});

const source = (body: string): string => `---\ntitle: A title\ndescription: What it is.\n---\n\n${body}`;
const parse = (body: string): Chapter => parseChapter("00-made-up", source(body)) as Chapter;

describe("the mechanism", () => {
  test("a chapter is prose, code that runs and code that must not compile; other fences are prose", () => {
    const fences = [
      "Words.",
      "```ts run",
      "1 + 1",
      "```",
      "```py",
      "x = 3",
      "```",
      "More.",
      "```ts wrong",
      "f(",
      "```",
    ];
    const { parts } = parse(fences.join("\n"));
    expect(parts.map(({ kind, text, code }) => [kind, text ?? code])).toEqual([
      ["prose", "Words."],
      ["run", "1 + 1"],
      ["prose", "```py\nx = 3\n```\nMore."],
      ["wrong", "f("],
    ]);
    expect(() => parse("```ts run\n1")).toThrow("00-made-up: a fence is not closed: ```ts run");
    expect(() => parseChapter("x", "words")).toThrow("front matter");
  });

  test("of a chapter that needs a file the last run is kept, and refused where its code is another by now", () => {
    const chapter = chapters.find(({ needs }) => needs !== undefined) as Chapter;
    expect((kept(chapter) as Given).cells).toHaveLength(chapter.parts.filter(({ kind }) => kind === "run").length);
    const other = { ...chapter, parts: [...chapter.parts, { kind: "run", text: "", code: "1 + 1" }] };
    expect(() => kept(other) as Given).toThrow(
      "its code is no longer that whose results are kept. Run it where its file",
    );
    expect(() => kept({ ...chapter, name: "00-made-up" }) as Given).toThrow("nothing is kept of a run");
  });

  test("cells run as one module, in order; values of prose are computed where they stand", async () => {
    const chapter = parse(
      [
        "```ts run\nimport { Tensor } from 'transformer-circuits';\nlet n = 1;\nconsole.log('n is', n);\nn + 1\n```",
        "{{= n }} {{= -n / 3 }} {{= n * 12345 }} {{= `${n}e` }}",
        "```ts run\nif (n > 0) n = 2;\n```\n{{= n }}",
        "```ts run\nTensor.fromNested('pos', [1, 2])\n```",
      ].join("\n"),
    );
    const { cells, values } = await run(chapter);
    expect(values).toEqual(["1", "−0.33", "12,345", "1e", "2"]);
    expect(cells.map(({ text, data }) => [text, data?.["text/plain"]])).toEqual([
      ["n is 1\n", "2"],
      ["", undefined],
      ["", "Tensor[pos=2] float32 [1, 2]"],
    ]);
    expect(withValues("{{= n }} and {{= m(1) }}", ["1", "2"])).toBe("1 and 2");
  });

  test("a value of prose that is no number or text is refused", async () => {
    for (const value of ["NaN", "undefined", "''", "[1]"]) {
      const chapter = parse(`\`\`\`ts run\n1\n\`\`\`\n{{= ${value} }}`);
      await expect(run(chapter)).rejects.toThrow("a number of the prose is");
    }
  });

  test("the compiler's words are those about the wrong line alone", () => {
    const right = parse("```ts run\nconst n: number = 1;\nn\n```\n```ts wrong\nn;\nn.length;\n```");
    const [complaint] = [...(complaintsOf([right]) as Complaints).values()];
    expect(complaint).toEqual({ line: 1, text: "Property 'length' does not exist on type 'number'." });
    expect(() => complaintsOf([parse("```ts run\nconst n: string = 1;\n```")])).toThrow("'number' is not assignable");
    expect(() => complaintsOf([parse("```ts run\n1\n```\n```ts wrong\n'a'.length;\n```")])).toThrow("should not");
  });

  test("numbers typed by hand are found, wherever they stand; names, formulas, links and years are none", () => {
    const typed = [
      "It is 0.93.",
      "**12** heads",
      "a `0.5` b",
      "half of 1,024",
      "(see 3)",
      "L12",
      "1.5e-3",
      "[2](x.md)",
      "1800",
    ];
    expect(typed.filter((text) => (typedNumbers(text) as string[]).length === 0)).toEqual([]);
    const none = [
      "`topK(map, 5)` and `L1H2`, L0H7 in 2021",
      "$x_1^2 + 3$ and {{= n.toFixed(2) }}",
      "$$\n1 + 2\n$$\n\nthen $h_2$.",
      "[chapter](03-copying.md#s2)",
      "```py\nx = 3\n```",
      "1. a question",
    ];
    expect(none.flatMap((text) => typedNumbers(text) as string[])).toEqual([]);
  });

  test("a page has markup on one line that Vue leaves alone, live figures in files, and marks the wrong line", () => {
    const chapter = parse("```ts run\n1\n```\n```ts wrong\nn;\nn.length;\n```\n```ts run\n2\n```");
    const wrong = chapter.parts[1] as Part;
    const html = '<p class="a">{{ b }} & "c"</p>\n\n<b>1</b>';
    const live = "<p>asleep</p><script>1</script>";
    const plain = 'Figure(table: A "table", 1 × 1)';
    const cells = [html, live].map((text) => ({ text: "", data: { "text/plain": plain, "text/html": text } }));
    const complaints = new Map([[wrong, { line: 1, text: "It is not there." }]]);
    const { text, files } = pageOf(chapter, { cells, values: [] }, complaints, { styles: "", notebook: "here" }) as {
      text: string;
      files: Map<string, string>;
    };
    const line = text.split("\n").find((found) => found.includes("v-html")) ?? "";
    const attribute = /^<div class="tc-output" v-html="([^"]*)"><\/div>$/.exec(line)?.[1] ?? "";
    const entities: Record<string, string> = { "&quot;": '"', "&lt;": "<", "&gt;": ">", "&amp;": "&" };
    expect(JSON.parse(attribute.replace(/&\w+;/g, (name) => entities[name] ?? name))).toBe(html);
    expect(text).toContain('<LiveFigure name="guide/00-made-up-2" label="A &quot;table&quot;" :height="400" />');
    expect([...files]).toEqual([["00-made-up-2.html", live]]);
    expect(text).toContain("n;\nn.length; // [!code error]");
    expect(text).toContain("It is not there.");
  });

  test("a cell that throws fails the chapter", async () => {
    await expect(run(parse("```ts run\nthrow new Error('no such head');\n```"))).rejects.toThrow("no such head");
    expect(moduleOf([{ code: "const a = 1;\na" }])).toContain("await __show(a);");
  });
});
