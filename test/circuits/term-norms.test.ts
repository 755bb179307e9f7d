/** Sizes of path terms, against dense products of all the maps. */
import { describe, expect, it } from "vitest";
import { logitTermNorms, scoreTermNorms } from "../../src/circuits/index.ts";
import { expectClose } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel } from "../support/random-model.ts";
import { embeddings, fro, headMatrices, matrix, mul, t } from "./dense-reference.ts";
import type { Matrix } from "./dense-reference.ts";

/** Root mean square of the entries, each row less its mean. */
function sizeOf(M: Matrix): number {
  const rows = M.map((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    return row.map((x) => x - mean);
  });
  return fro(rows) / Math.sqrt(M.length * (M[0]?.length ?? 0));
}

const root = (sizes: readonly number[]): number => Math.sqrt(sizes.reduce((sum, size) => sum + size * size, 0));
const close = { rtol: 1e-9, atol: 1e-12 };

describe("logitTermNorms", () => {
  it.each(["standard", "shortformer"] as const)(
    "is the size of every dense product and of all of an order, %s positions (float64, 1e-9)",
    (position) => {
      const model = randomModel({ n_layers: 3, n_heads: 2, position, dtype: "float64", seed: 6 });
      const { W_E, W_U } = embeddings(model);
      const { sources, counts } = logitTermNorms(model, { pairs: true });
      expect(counts).toEqual([1, 6, 12, 8]);
      expect(sources.map(({ source }) => source)).toEqual(position === "standard" ? ["embed", "pos_embed"] : ["embed"]);
      for (const { source, direct, heads, pairs, totals } of sources) {
        const X = source === "embed" ? W_E : matrix(model.weight("pos_embed.W_pos"));
        expectClose([direct, totals[0] ?? NaN], [sizeOf(mul(X, W_U)), sizeOf(mul(X, W_U))], close);
        const one = model.heads.map((head) => sizeOf(mul(X, headMatrices(model, head).OV, W_U)));
        expectClose(heads.data, one, close);
        const two: number[] = [];
        const three: number[] = [];
        for (const a of model.heads) {
          for (const b of model.heads) {
            const product = mul(X, headMatrices(model, a).OV, headMatrices(model, b).OV);
            const size = a.layer < b.layer ? sizeOf(mul(product, W_U)) : 0;
            expectClose([pairs?.at(a.layer, a.head, b.layer, b.head) ?? NaN], [size], close);
            two.push(size);
            if (a.layer !== 0 || b.layer !== 1) continue;
            for (const { head } of model.layer(2).heads)
              three.push(sizeOf(mul(product, headMatrices(model, { layer: 2, head }).OV, W_U)));
          }
        }
        expectClose(totals.slice(1), [root(one), root(two), root(three)], close);
      }
    },
  );

  it("knows the planted model: copying with gain 20 of 30 tokens", () => {
    const { sources } = logitTermNorms(plantedModel());
    // rows of 20·I less their means: √(20²·(1/30 − 1/900)); the direct path is I; L0H0 writes where nothing is read out
    const identity = Math.sqrt(1 / 30 - 1 / 900);
    expectClose(sources[0]?.heads.data ?? [], [0, 20 * identity], { atol: 1e-6 });
    expectClose(sources[0]?.totals ?? [], [identity, 20 * identity, 0], { atol: 1e-6 });
  });

  it("stops at maxOrder, lists pairs of two layers unless told not to, and takes a model without layers", () => {
    const model = randomModel({ n_layers: 3 });
    const [cut] = logitTermNorms(model, { maxOrder: 1 }).sources;
    expect([cut?.totals.length, cut?.pairs]).toEqual([2, undefined]);
    expect(logitTermNorms(randomModel()).sources[0]?.pairs?.shape).toEqual([2, 3, 2, 3]);
    const empty = logitTermNorms(randomModel({ n_layers: 0 }));
    expect([empty.counts, empty.sources[0]?.totals.length]).toEqual([[1], 1]);
    expect(() => logitTermNorms(model, { maxOrder: -1 })).toThrow(
      "logitTermNorms: maxOrder is -1; give a whole number of at least 0.",
    );
    expect(() => logitTermNorms(model, { signal: AbortSignal.abort(new Error("enough")) })).toThrow("enough");
  });
});

describe("scoreTermNorms", () => {
  it.each([
    ["none", 3],
    ["rotary", 3],
    ["shortformer", 4],
    ["standard", 6],
  ] as const)("is the size of every dense product, %s positions (float64, 1e-9)", (position, components) => {
    const model = randomModel({
      n_heads: 2,
      d_head: 4,
      position,
      dtype: "float64",
      seed: 7,
      config: { attn_scale: 1.3 },
    });
    const { W_E } = embeddings(model);
    const { sides, sizes, head } = scoreTermNorms(model, "L1H1");
    expect(head).toEqual({ layer: 1, head: 1 });
    expect(sides.length).toBe(components);
    const { QK } = headMatrices(model, head);
    const rows = sides.map(({ source, head: by }) => {
      const X = source === "embed" ? W_E : matrix(model.weight("pos_embed.W_pos"));
      return by === undefined ? X : mul(X, headMatrices(model, by).OV);
    });
    const expected = rows.flatMap((q) => rows.map((k) => sizeOf(mul(q, QK, t(k))) / 1.3));
    expectClose(sizes.data, expected, close);
  });

  it("has tokens and positions alone in the first layer", () => {
    const { sides, sizes } = scoreTermNorms(randomModel(), "L0H2");
    expect(sides).toEqual([
      { source: "embed", head: undefined },
      { source: "pos_embed", head: undefined },
    ]);
    expect(sizes.shape).toEqual([2, 2]);
  });

  it("finds the planted composition: keys moved by L0H0, and nothing else", () => {
    const { sides, sizes } = scoreTermNorms(plantedModel(), "L1H0");
    expect(sides.map(({ head }) => head?.head)).toEqual([undefined, undefined, 0]);
    // 40·I less row means
    expectClose(sizes.data, [0, 0, 40 * Math.sqrt(1 / 30 - 1 / 900), 0, 0, 0, 0, 0, 0], { atol: 1e-5 });
  });

  it("counts components, stops when asked to and refuses heads that do not exist", () => {
    const steps: string[] = [];
    scoreTermNorms(randomModel({ n_heads: 1 }), "L1H0", {
      onProgress: (done, total) => steps.push(`${done}/${total}`),
    });
    expect(steps).toEqual(["1/3", "2/3", "3/3"]);
    expect(() => scoreTermNorms(randomModel(), "L5H0")).toThrow("there is no head L5H0");
    expect(() => scoreTermNorms(randomModel(), "L1H0", { signal: AbortSignal.abort(new Error("enough")) })).toThrow(
      "enough",
    );
  });
});
