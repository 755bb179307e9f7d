/** Maps of several heads together, and composition of maps that are no heads. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compositionOfMaps,
  compositionScores,
  effectiveEmbedding,
  mixedOV,
  mixedQK,
} from "../../src/circuits/index.ts";
import { linear, toDense, transpose } from "../../src/linear/index.ts";
import { editAt, type Transformer } from "../../src/model/index.ts";
import { map, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import { fro, headMatrices, mul, plus } from "./dense-reference.ts";
import { modelOptions, runs } from "../support/model-arbitrary.ts";

describe("mixedOV and mixedQK", () => {
  it("equal the mixture of the heads' products", () => {
    fc.assert(
      fc.property(modelOptions, fc.float({ min: -2, max: 2, noNaN: true }), (options, a) => {
        const model = randomModel({ ...options, n_layers: 1, n_heads: 3 });
        const [first, last] = [0, 2].map((head) => headMatrices(model, { layer: 0, head }));
        if (first === undefined || last === undefined) throw new Error("two heads");
        const mix = (name: "QK" | "OV"): number[] =>
          plus(
            first[name].map((row) => row.map((x) => a * x)),
            last[name].map((row) => row.map((x) => -x)),
          ).flat();
        expectClose(toDense(mixedOV(model, ["L0H0", "L0H2"], [a, -1])).data, mix("OV"), { atol: 1e-9 });
        expectClose(toDense(mixedQK(model, ["L0H0", "L0H2"], [a, -1])).data, mix("QK"), { atol: 1e-9 });
      }),
      runs(504, 30),
    );
  });

  it.each([
    [["L0H0"], [1, 2], "mixedOV: there are 1 heads but 2 weights. Give one for each head."],
    [["L0H0", "L0H1"], [1, NaN], "mixedOV: the weight of L0H1 is NaN; weights are finite numbers."],
    [[], [], "mixedOV: there are no heads. Give at least one."],
  ] as const)("refuses %j with weights %j", (heads, weights, message) => {
    expect(() => mixedOV(randomModel(), heads, weights)).toThrow(message);
  });
});

describe("effectiveEmbedding", () => {
  it("in place of W_E, without the heads it holds, leaves the logits as they are when these look at themselves alone", () => {
    const model = randomModel({ n_heads: 3, position: "none", dtype: "float64" });
    const dense = toDense(effectiveEmbedding(model, ["L0H0", "L0H2"]));
    const tokens = [3, 1, 4, 1, 5];
    // Heads 0 and 2 of layer 0 look at themselves; head 1 is silenced in both, for it would read another stream.
    const toSelf = editAt("blocks.0.attn.hook_pattern", (A) => {
      const data = A.data.slice();
      const n = tokens.length;
      for (const head of [0, 2])
        for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) data[(head * n + i) * n + j] = i === j ? 1 : 0;
      return Tensor.from(A.axes, A.shape, data);
    });
    const silence = (heads: readonly number[]): ReturnType<typeof editAt> =>
      editAt("blocks.0.attn.hook_z", (z) => {
        const [, pos = 0, n_heads = 0, d_head = 0] = z.shape;
        const data = z.data.slice();
        for (let p = 0; p < pos; p++)
          for (const h of heads) data.fill(0, (p * n_heads + h) * d_head, (p * n_heads + h + 1) * d_head);
        return Tensor.from(z.axes, z.shape, data);
      });
    const before = model.run(tokens, { edits: { ...toSelf, ...silence([1]) } }).logits;
    const moved = withWeights(model, (name, W) => (name === "embed.W_E" ? dense : W));
    const after = moved.run(tokens, { edits: silence([0, 1, 2]) }).logits;
    expectClose(after, before, { atol: 2e-5 });
  });

  it("refuses heads of later layers", () => {
    expect(() => effectiveEmbedding(randomModel(), ["L1H0"])).toThrow(
      "effectiveEmbedding: L1H0 is not of layer 0; only heads that read the embedding itself can be put into it.",
    );
  });
});

describe("compositionOfMaps", () => {
  it("gives compositionScores' numbers for heads", () => {
    const model = randomModel({ n_heads: 2 }) satisfies Transformer;
    const { Q, K, V } = compositionScores(model);
    const writers = model.layer(0).heads.map((head) => head.W_OV);
    const readers = model.layer(1).heads;
    for (const [scores, maps] of [
      [Q, readers.map((head) => head.W_QK)],
      [K, readers.map((head) => transpose(head.W_QK))],
      [V, readers.map((head) => head.W_OV)],
    ] as const) {
      const own = compositionOfMaps(writers, maps as readonly (typeof readers)[number]["W_OV"][]);
      for (const i of [0, 1])
        for (const j of [0, 1]) expectClose([own.at(i, j)], [scores.at(0, i, 1, j)], { atol: 1e-6 });
    }
  });

  it("is the ratio of norms of dense products, of any shapes, 0 for a map of zeros", () => {
    const A = [
      [1, 2],
      [3, 4],
      [5, -6],
    ];
    const B = [
      [2, 0, -1, 1],
      [1, 1, 1, 3],
    ];
    const f = linear("token", "stream", Tensor.fromNested("token stream", A, "float64"));
    const g = linear("stream", "out", Tensor.fromNested("stream out", B, "float64"));
    const zero = linear(
      "token",
      "stream",
      map(Tensor.fromNested("token stream", A, "float64"), () => 0),
    );
    let done = 0;
    const scores = compositionOfMaps([f, zero], [g], { onProgress: () => (done += 1) });
    expectClose(scores, [fro(mul(A, B)) / fro(A) / fro(B), 0], { atol: 1e-12 });
    expect([scores.axes, done]).toEqual(["writer reader", 2]);
  });

  it("refuses empty lists", () => {
    expect(() => compositionOfMaps([], [])).toThrow("compositionOfMaps: there are no writers. Give at least one map.");
  });
});
