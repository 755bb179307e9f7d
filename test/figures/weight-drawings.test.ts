/** Figures 1 to 11 as they were looked at, in light and dark, and committed. */
import {
  drawCompositionDiagram,
  drawLogitExpansion,
  drawQKExpansion,
  drawSkipTrigramBugTable,
  figureEntries,
  qkExpansion,
} from "transformer-circuits/figures";
import { figureStyles } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { Tensor } from "../../src/tensor/index.ts";
import { elementsOf } from "../viz/svg.ts";
import { randomModel } from "../support/random-model.ts";
import { weightGallery } from "./weight-gallery.ts";

const figures = weightGallery();

test("the gallery has every entry of the list's first part", () => {
  const listed = figureEntries().filter(({ number }) => number <= 11);
  expect([...figures.keys()].sort()).toEqual(listed.map(({ name }) => name).sort());
});

describe.each([...figures])("%s", (name, figure) => {
  const svg = figure.svg;

  test("is the committed text", async () => {
    await expect(`${svg}\n`).toMatchFileSnapshot(`weight-snapshots/${name}.svg`);
  });

  test("is well-formed, has its name, numbers where they belong, and only classes that the style sheets know", () => {
    const [root, ...rest] = elementsOf(svg.replace(/<style>[^<]*<\/style>/, ""));
    expect(root?.attributes["aria-label"]).toBe(figure.label);
    expect(figure.label).not.toBe("");
    expect(/="[^"]*(NaN|undefined|Infinity)[^"]*"/.exec(svg)?.[0]).toBeUndefined();
    const styles = figureStyles();
    for (const { attributes } of rest)
      for (const one of (attributes.class ?? "").split(" ")) if (one !== "") expect(styles).toContain(`.${one}`);
  });

  test("keeps its texts within its width", () => {
    // letters are estimated on the wide side; at 5 pixels each no text may leave the drawing
    for (const [, x = "", anchor, text = ""] of svg.matchAll(
      /<text x="([\d.]+)"[^>]*?(text-anchor="\w+")?[^>]*>([^<]*)</g,
    ))
      if (anchor === undefined && !svg.includes(`rotate`))
        expect(Number(x) + 4 * text.length).toBeLessThan(figure.width + 40);
  });
});

test("captions given replace the figure's own", () => {
  const figure = drawSkipTrigramBugTable(
    { normed: false, rows: [], tokens: 5, attested: 0 },
    { title: "Mine", subtitle: "and this" },
  );
  expect(figure.label).toBe("Mine");
  expect(figure.svg).toContain(">and this<");
  expect(drawSkipTrigramBugTable({ normed: false, rows: [], tokens: 5, attested: 0 }).svg).toContain("None was found.");
});

const perHead = (n: number, of: (at: number) => number): Tensor<"layer head"> =>
  Tensor.from(
    "layer head",
    [n, n],
    Array.from({ length: n * n }, (_, at) => of(at)),
  );

test("a deep model's expansion is counted where its terms are too many", () => {
  const counts = [1, 144, 9504, 380160, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e12, 1e12, 1e12];
  const figure = drawLogitExpansion({
    n_layers: 12,
    n_heads: 12,
    counts,
    leftOut: [],
    sources: [
      {
        source: "embed",
        direct: 1,
        heads: Tensor.from(
          "layer head",
          [12, 12],
          Array.from({ length: 144 }, (_, i) => i / 144),
        ),
        pairs: undefined,
        totals: [1, 2, 3, 4, 5, 0, 0, 12, 0, 0, 0, 0, 0.5],
        first: perHead(12, () => 1),
        through: perHead(12, (at) => 7 + at / 1000),
        last: perHead(12, () => 1),
      },
    ],
  });
  expect(figure.svg).toContain(">380,160 terms<");
  expect(figure.svg).toContain(">4 to 12 heads<");
  // √(5² + 12² + 0.5²), grouped as the subtitle says; every order as a bar, every head's paths on a map
  expect(figure.svg).toContain(">13 together<");
  expect(figure.svg).toContain("Terms of several heads are grouped");
  expect(figure.svg).toContain("<title>no head: 1</title>");
  expect(figure.svg).toContain("<title>7 heads: 12</title>");
  expect(figure.svg).toContain("<title>12 heads: 0.5</title>");
  expect(figure.svg).toContain(">All paths through each head<");
  expect(figure.svg).toContain("layer 11, H11: 7.1");
  expect(figure.width).toBeLessThan(1100);
});

test("of many components the largest are shown, and what enters by itself", () => {
  const sides = [
    { source: "embed", head: undefined },
    ...Array.from({ length: 40 }, (_, head) => ({ source: "embed" as const, head: { layer: 0, head } })),
  ] as const;
  const sizes = Tensor.from(
    "q_comp k_comp",
    [41, 41],
    Array.from({ length: 41 * 41 }, (_, i) => (i === 40 ? 5 : (i % 41) / 100)),
  );
  const orders = Tensor.from("q_order k_order", [2, 2], [0, 5, 0, 5]);
  const first = Tensor.from("layer head", [1, 40], new Float64Array(40));
  const one = {
    head: { layer: 1, head: 0 },
    sides,
    sizes,
    orders,
    counts: [1, 40],
    queryFirst: first,
    keyFirst: first,
  };
  const svg = drawQKExpansion({ heads: [one], leftOut: [] }).svg;
  expect(svg).not.toContain("by numbers of heads");
  expect(svg).toContain("of the 28 largest of 41 components");
  expect(svg).toContain(">L0H39<");
  expect(svg).toContain(">tokens<");
  expect(svg).toContain(">1,600 terms<");
});

test("a deep head's terms are drawn by last head, by order and by first head, their paths counted", () => {
  const model = randomModel({ n_layers: 4, n_heads: 2, position: "rotary" });
  const data = qkExpansion({ model }, { heads: ["L3H1"] });
  expect(data.leftOut).toEqual(["rotations"]);
  const { svg = "" } = drawQKExpansion(data);
  // 6 heads before: 6 + 12 + 8 paths on a side
  expect(svg.match(/[\d,]+ terms?(?=[<,])/g)).toEqual(["1 term", "26 terms", "26 terms", "676 terms"]);
  expect(svg).toContain("Paths of any number of heads are counted on either side");
  expect(svg).toContain(">L3H1, by last heads<");
  expect(svg).toContain(">L3H1, by numbers of heads<");
  expect(svg).toContain(">L3H1, queries by first head<");
  expect(svg).toContain(">L3H1, keys by first head<");
  expect(svg).toContain("3 heads, 3 heads");
});

test("composition of layers that are not the first bears their numbers", () => {
  const data = Tensor.from(
    "writer_layer writer_head reader_layer reader_head",
    [4, 1, 4, 1],
    Array.from({ length: 16 }, () => 0.5),
  );
  const maps = { Q: data, K: data, V: data, baseline: { mean: 0.25 } };
  const svg = drawCompositionDiagram({
    n_layers: 4,
    n_heads: 1,
    layers: [1, 3],
    corrected: maps,
    original: maps,
    previousToken: [{ layer: 0, head: 0 }],
    induction: [{ layer: 3, head: 0 }],
  }).svg;
  expect(svg).toContain("<title>L1H0→L3H0 K-composition: 0.5, 0.25 above the baseline</title>");
  expect(svg).toContain("Layers 1 and 3");
  expect(svg).toContain("<title>L3H0: induction heads</title>");
  expect(svg).not.toContain("previous-token heads");
});
