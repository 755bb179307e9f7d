/** What a Deno Jupyter notebook is given: HTML and plain text, of a bounded size, that runs nothing. */
import { describe, expect, test } from "vitest";
import { openBundledModel } from "../../src/io/bundled.ts";
import { inspect as inspectCheckpoint, openCheckpoint, writeSafetensors } from "../../src/io/index.ts";
import { fullOVCircuit, fullQKCircuit } from "../../src/circuits/index.ts";
import { eigenvaluesOf } from "../../src/linear/index.ts";
import { factoredModel, pathExpansion, scoreExpansion, termImportance, virtualHead } from "../../src/paths/index.ts";
import { findHeads, headScores } from "../../src/heads/index.ts";
import { sweep } from "../../src/interventions/index.ts";
import { crossEntropy } from "../../src/model/index.ts";
import { shownAs } from "../../src/show/index.ts";
import { Tensor, randomNormal } from "../../src/tensor/index.ts";

const { model, tokenizer } = await openBundledModel();
const tokens = [0, 5, 6, 7, 5, 6, 7];
const bytes = writeSafetensors(model.weights);

/** What the kernel asks a value for. */
function displayOf(value: unknown): Record<string, string> {
  return (value as Record<symbol, () => Record<string, string>>)[Symbol.for("Jupyter.display")]?.() ?? {};
}

const cellsOf = (html: string): string[] => [...html.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, text]) => text ?? "");
const headsOf = (html: string): string[] => [...html.matchAll(/<th[^>]*>(.*?)<\/th>/g)].map(([, text]) => text ?? "");

describe("any value in a notebook", () => {
  const values: [string, () => unknown][] = [
    ["a model", () => model],
    ["a head", () => model.head("L1H2")],
    ["a layer", () => model.layer(0)],
    ["a map", () => fullOVCircuit(model, "L1H2")],
    ["another map", () => fullQKCircuit(model, "L1H2")],
    ["a tokenizer", () => tokenizer],
    ["a cache", () => model.run(tokens).cache],
    ["an expansion", () => pathExpansion(model, tokens)],
    ["an expansion of scores", () => scoreExpansion(model, tokens, "L1H4")],
    ["a factored model", () => factoredModel(model, tokens)],
    ["a virtual head", () => virtualHead(model, ["L0H5", "L1H4"])],
    ["eigenvalues", () => eigenvaluesOf(fullOVCircuit(model, "L1H2"))],
    ["scores", () => headScores(model, { length: 10, batch: 1 })],
    ["found heads", () => findHeads(headScores(model, { length: 10, batch: 1 }))],
    ["term importance", () => termImportance(model, tokens)],
    ["an inspection", () => inspectCheckpoint(bytes)],
    ["a checkpoint", () => openCheckpoint(bytes)],
    ["a weight", () => model.weight("embed.W_E")],
    ["a pattern", () => model.run(tokens).cache.get("blocks.1.attn.hook_pattern")],
    ["many axes", () => randomNormal("a b c d e f", [3, 3, 3, 3, 3, 3], { seed: 1 })],
    ["a vector", () => model.b_U],
    ["a scalar", () => Tensor.from("", [], [1])],
    ["nothing", () => Tensor.zeros("pos d_model", [0, 3])],
  ];

  test.each(values)("%s is HTML and plain text of a bounded size, without scripts and fetches", async (_, make) => {
    const display = displayOf(await make());
    expect(Object.keys(display).sort()).toEqual(["text/html", "text/plain"]);
    const html = display["text/html"] ?? "";
    expect(html.length).toBeLessThan(40_000);
    expect((display["text/plain"] ?? "").split("\n").length).toBeLessThanOrEqual(10);
    expect(html).not.toMatch(/<script|<link|<img|url\(|https?:|[^-]color:\s*(#|black|white)/);
    for (const tag of ["div", "table", "tr", "td", "th"]) {
      expect(html.split(`<${tag}`).length, tag).toBe(html.split(`</${tag}>`).length);
    }
  });
});

describe("a tensor in a notebook", () => {
  test("is a table with its axes' names, every number, shaded by its share of the largest", () => {
    const html =
      displayOf(
        Tensor.fromNested("layer head", [
          [0.5, -2],
          [0, 1],
        ]),
      )["text/html"] ?? "";
    expect(html).toContain("Tensor[layer=2 head=2] float32");
    expect(headsOf(html)).toEqual(["layer ↓ head →", "0", "1", "0", "1"]);
    expect(cellsOf(html)).toEqual(["0.5", "-2.0", "0", "1.0"]);
    // Of 0.55 for the largest: a quarter and a half of it above zero, all of it below, nothing at zero.
    expect([...html.matchAll(/rgba\((\d+),\d+,\d+,([\d.]+)\)/g)].map(([, red, alpha]) => [red, alpha])).toEqual([
      ["66", "0.14"],
      ["244", "0.55"],
      ["66", "0.28"],
    ]);
  });

  test("NaN and infinities stand there, and leave the shading of the rest alone", () => {
    const html = displayOf(Tensor.from("pos", [3], [NaN, Infinity, 2]))["text/html"] ?? "";
    expect(cellsOf(html)).toEqual(["NaN", "Infinity", "2"]);
    expect(html.match(/rgba/g)?.length).toBe(1);
  });

  test("of many rows and columns has 20 and 12, with … between first and last", () => {
    const large = Tensor.from(
      "pos d_model",
      [100, 128],
      Array.from({ length: 12_800 }, (_, i) => i),
    );
    const html = displayOf(large)["text/html"] ?? "";
    const heads = headsOf(html);
    expect(heads.slice(1, 13)).toEqual(["0", "1", "2", "3", "4", "5", "…", "123", "124", "125", "126", "127"]);
    expect(heads.length).toBe(1 + 12 + 20);
    expect(cellsOf(html).at(-1)).toBe("12799");
  });

  test("of four axes is tables of the last two, each under its place", () => {
    const t = Tensor.from(
      "batch head query_pos key_pos",
      [1, 4, 2, 2],
      Array.from({ length: 16 }, (_, i) => i),
    );
    const html = displayOf(t)["text/html"] ?? "";
    expect(html.split("<table").length - 1).toBe(3);
    expect(html).toContain("batch 0 of 1, head 2 of 4");
    expect(html).toContain("… and 1 more");
    expect(cellsOf(html).at(-1)).toBe("11");
  });
});

test("text of files is escaped", async () => {
  const hostile = '<img src=x onerror="alert(1)">&';
  const file = writeSafetensors(new Map([[hostile, Tensor.zeros("pos", [1])]]));
  const html = displayOf(await inspectCheckpoint(file, { name: hostile }))["text/html"] ?? "";
  expect(html).not.toContain("<img");
  expect(html).toContain("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;");
});

test("an expansion has a formula and its largest terms, with numbers", () => {
  const html = displayOf(pathExpansion(model, tokens))["text/html"] ?? "";
  expect(html).toContain("logits = T W_E W_U + A[L0H0] T W_E W_OV[L0H0] W_U + … (82 terms)");
  const [best] = pathExpansion(model, tokens).rank("attribution", { k: 1 });
  expect(cellsOf(html).slice(0, 2)).toEqual([best?.term.label, best?.value.toFixed(4)]);
  expect(html).toContain("… 70 more");
});

test("the columns that say what a row is of have no ground, whatever they hold", () => {
  const rows = [
    [3, 7, 0.5, -2],
    [0, 1, 0.25, 1],
    [9, 9, -1, 0.5],
  ];
  for (const indices of [0, 1, 2, 3]) {
    const shown = shownAs({}, () => ({
      title: "t",
      parts: () => [{ kind: "rows", columns: ["layer", "pos", "loss", "change"], rows, indices }],
    }));
    const cells = (displayOf(shown)["text/html"] ?? "").match(/<td [^>]*>/g) ?? [];
    expect(cells).toHaveLength(12);
    for (const [i, cell] of cells.entries())
      expect(cell.includes("background"), cell).toBe(i % 4 >= indices && rows[Math.floor(i / 4)]?.[i % 4] !== 0);
  }
});

test("a sweep shades what it measured, not where", () => {
  const made = sweep(model, tokens, { at: "z", over: "layer head", put: "zero", metric: crossEntropy(tokens) });
  const html = displayOf(made)["text/html"] ?? "";
  const first = (html.match(/<tr>(?:(?!<\/tr>).)*<td(?:(?!<\/tr>).)*<\/tr>/) ?? [""])[0].match(/<td [^>]*>/g) ?? [];
  const axes = made.values.rank;
  expect(first).toHaveLength(axes + 2);
  expect(first.map((cell) => cell.includes("background"))).toEqual([...Array<boolean>(axes).fill(false), true, true]);
});
