/** Embeddings along three directions, against cases by hand. */
import { describe, expect, test } from "vitest";
import { drawEmbeddingCloud, embeddingCloud } from "../../src/figures/index.ts";
import { openBundledModel } from "../../src/io/bundled.ts";
import { Transformer } from "../../src/model/index.ts";
import { compose } from "../../src/linear/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";

/** A model whose embeddings are given. */
function withEmbeddings(rows: readonly (readonly number[])[]): Transformer {
  const d = rows[0]?.length ?? 0;
  const base = randomModel({ n_layers: 1, n_heads: 1, d_model: d, d_head: 2, d_vocab: rows.length, n_ctx: 4 });
  const weights = new Map(base.weights);
  weights.set(
    "embed.W_E",
    Tensor.fromNested(
      "d_vocab d_model",
      rows.map((row) => [...row]),
    ),
  );
  return Transformer.fromWeights(base.config, weights);
}

describe("principal components", () => {
  test("of an ellipsoid along the axes are the axes, the longest first, and shares its variances", () => {
    // variances 2·9/6, 2·4/6, 2·1/6 around a mean of (5, -1, 2, 7)
    const spread = [3, 2, 1].flatMap((length, axis) =>
      [length, -length].map((x) => [5, -1, 2, 7].map((m, j) => m + (j === axis ? x : 0))),
    );
    const { points, shares, directions } = embeddingCloud({ model: withEmbeddings(spread) });
    expect([...shares].map((x) => x.toFixed(6))).toEqual([9 / 14, 4 / 14, 1 / 14].map((x) => x.toFixed(6)));
    expect(directions[0]).toBe("PC 1 (64 %)");
    const lengths = [3, 3, 2, 2, 1, 1];
    for (const [i, length] of lengths.entries())
      for (let k = 0; k < 3; k++)
        expect(Math.abs(points.at(i, k))).toBeCloseTo(k === Math.floor(i / 2) ? length : 0, 5);
  });

  test("keep distances where there are three dimensions at most", () => {
    const rows = [
      [1, 2, 3],
      [-1, 0.5, 2],
      [0, 0, 0.25],
      [4, -2, 1],
    ];
    const { points } = embeddingCloud({ model: withEmbeddings(rows) });
    const far = (a: readonly number[], b: readonly number[]): number => Math.hypot(...a.map((x, k) => x - (b[k] ?? 0)));
    const at = (i: number): number[] => [0, 1, 2].map((k) => points.at(i, k));
    for (const [i, a] of rows.entries())
      for (const [j, b] of rows.entries()) expect(far(at(i), at(j))).toBeCloseTo(far(a, b), 5);
  });

  test("of fewer than three dimensions leave the others at 0", () => {
    const { points, shares } = embeddingCloud({
      model: withEmbeddings([
        [1, 0],
        [-1, 0],
      ]),
    });
    expect([...shares]).toEqual([1, 0, 0]);
    expect(Math.abs(points.at(0, 0))).toBeCloseTo(1, 6);
    expect([points.at(0, 1), points.at(0, 2)].map(Math.abs).every((x) => x < 1e-6)).toBe(true);
  });
});

describe("other directions", () => {
  test("are read off the embeddings, not less their mean", () => {
    const { points, shares, directions } = embeddingCloud(
      { model: withEmbeddings([[1, 2, 3, 4], [5, 6, 7, 8]]) }, // prettier-ignore
      { directions: [[1, 0, 0, 0], Tensor.from("d_model", [4], [0, 1, 1, 0]), [0, 0, 0, -1]], names: ["a", "b", "c"] },
    );
    expect([...points.data]).toEqual([1, 5, -4, 5, 13, -8]);
    expect([[...shares], [...directions]]).toEqual([[], ["a", "b", "c"]]);
  });

  test("of a head are those of its W_K, and of its W_Q and W_V where asked", () => {
    const model = randomModel({ position: "standard" });
    for (const [reads, map] of [
      ["key", model.head("L1H2").W_K],
      ["query", model.head("L1H2").W_Q],
      ["value", model.head("L1H2").W_V],
    ] as const) {
      const byHead = embeddingCloud({ model }, { heads: ["L1H2"], reads });
      const byMap = embeddingCloud({ model }, { through: map });
      expect([...byHead.points.data]).toEqual([...byMap.points.data]);
      expect(byHead.reading).toContain("L1H2");
    }
    const logits = embeddingCloud({ model }, { of: "positions", through: compose(model.head("L1H2").W_OV, model.W_U) });
    expect(logits.points.shape).toEqual([model.config.n_ctx, 3]);
  });

  test("are refused where they do not fit", () => {
    const model = withEmbeddings([[1, 2, 3]]);
    const take = (options: object) => () => embeddingCloud({ model }, options);
    expect(take({ directions: [[1, 0, 0]] })).toThrow("embeddingCloud: there are 1 directions; give three.");
    expect(take({ directions: [[1], [1], [1]] })).toThrow("directions[0] has 1 numbers for embeddings of 3.");
    expect(take({ of: "words" })).toThrow('of is "words". Give "tokens" or "positions".');
    expect(take({ heads: ["L0H0"], through: model.head("L0H0").W_K })).toThrow("both a map and a head were given");
    const rotary = randomModel({ n_layers: 1, position: "rotary" });
    expect(() => embeddingCloud({ model: rotary }, { of: "positions" })).toThrow("has no table of positions");
  });
});

test("of the bundled model's positions are numpy's: shares 0.38088042, 0.17002096, 0.12940464, to 1e-5", async () => {
  // of the float32 checkpoint; the bundled one is rounded to float16. X = W_pos - W_pos.mean(0); s = numpy.linalg.svd(X, compute_uv=False) ** 2; s / s.sum()
  const { shares } = embeddingCloud(await openBundledModel(), { of: "positions" });
  for (const [k, share] of [0.38088042, 0.17002096, 0.12940464].entries())
    expect(Math.abs((shares[k] ?? 0) - share)).toBeLessThan(1e-5);
});

test("the drawing names directions and positions, and joins positions", async () => {
  const input = await openBundledModel();
  const figure = drawEmbeddingCloud(embeddingCloud(input, { of: "positions" }));
  expect(figure.svg).toContain("<polyline");
  expect(figure.svg).toContain(">PC 1 (");
  expect(figure.svg).toContain(">126<");
  const tokens = drawEmbeddingCloud(embeddingCloud(input));
  expect(tokens.svg).not.toContain("<polyline");
  expect(tokens.label).toBe("Embeddings of 1,024 tokens");
});
