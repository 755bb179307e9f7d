import { describe, expect, it } from "vitest";
import { jointPCA } from "../../src/circuits/index.ts";
import { parseConfig, Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import { matrix, mul, randomOrthogonal, t, trace } from "./dense-reference.ts";
import type { Matrix } from "./dense-reference.ts";

/** A model without layers of given embeddings, `[d_vocab, d_model]` both. */
function modelOf(E: Matrix, U: Matrix): Transformer {
  const [d_vocab, d_model] = [E.length, E[0]?.length ?? 0];
  const config = parseConfig({
    n_layers: 0,
    n_heads: 1,
    d_model,
    d_head: 1,
    d_vocab,
    d_vocab_out: U.length,
    n_ctx: 4,
    attn_only: true,
    positional_embedding_type: "none",
    normalization_type: null,
  });
  return Transformer.fromWeights(
    config,
    new Map<string, Tensor>([
      ["embed.W_E", Tensor.fromNested("d_vocab d_model", E as number[][], "float64")],
      ["unembed.W_U", Tensor.fromNested("d_model d_vocab", t(U) as number[][], "float64")],
      ["unembed.b_U", Tensor.zeros("d_vocab", [U.length])],
    ]),
  );
}

describe("jointPCA", () => {
  it("by hand: an axis of the embedding, one of the unembedding and one of both", () => {
    // Variances: of W_E 8 along x and 2 along z, of W_U 8 along y and 2 along z; each matrix scaled to 1 in all.
    const E = [
      [4, 0, 0],
      [-4, 0, 0],
      [0, 0, 2],
      [0, 0, -2],
    ];
    const U = [
      [0, 4, 0],
      [0, -4, 0],
      [0, 0, 2],
      [0, 0, -2],
    ];
    const { variance, embedShare, embed, unembed, components } = jointPCA(modelOf(E, U));
    expectClose(variance, [0.4, 0.4, 0.2], { atol: 1e-12 });
    expectClose(embed, [0.8, 0.2, 0], { atol: 1e-12 });
    expectClose(unembed, [0.8, 0.2, 0], { atol: 1e-12 });
    // The first two have one variance; which comes first is open.
    expectClose([...embedShare.data].sort(), [0, 0.5, 1], { atol: 1e-9 });
    expectClose([embedShare.at(2), Math.abs(components.at(2, 2))], [0.5, 1], { atol: 1e-9 });
  });

  it("scale: the larger matrix dominates only where it is asked to; rows of equal length where those are", () => {
    const model = modelOf(
      [
        [30, 0],
        [-30, 0],
      ],
      [
        [0, 1],
        [0, -1],
      ],
    );
    expectClose(jointPCA(model).variance, [0.5, 0.5], { atol: 1e-12 });
    expectClose(jointPCA(model, { scale: "none" }).variance, [900 / 901, 1 / 901], { atol: 1e-12 });
    expectClose(jointPCA(model, { scale: "rows" }).variance, [0.5, 0.5], { atol: 1e-12 });
    const uneven = modelOf(
      [
        [8, 0],
        [-1, 0],
      ],
      [
        [0, 1],
        [0, -1],
      ],
    );
    expectClose(jointPCA(uneven, { scale: "none" }).variance, [4.5 ** 2 / (4.5 ** 2 + 1), 1 / (4.5 ** 2 + 1)], {
      atol: 1e-12,
    });
    // Rows of unit length: ±1 in both.
    expectClose(jointPCA(uneven, { scale: "rows" }).variance, [0.5, 0.5], { atol: 1e-12 });
  });

  it("components diagonalise the joint covariance, and variances sum to 1, over more tokens than one band (float32 weights, 1e-6)", () => {
    const model = randomModel({ n_layers: 0, d_model: 6, d_vocab: 9_000, position: "none" });
    const { variance, components, embedShare } = jointPCA(model);
    const covariance = (rows: Matrix): Matrix => {
      const n = rows.length;
      const means = Array.from({ length: 6 }, (_, i) => rows.reduce((s, row) => s + (row[i] as number) / n, 0));
      const centred = rows.map((row) => row.map((x, i) => x - (means[i] as number)));
      return mul(t(centred), centred).map((row) => row.map((x) => x / n));
    };
    const [E, U] = [covariance(matrix(model.weight("embed.W_E"))), covariance(t(matrix(model.weight("unembed.W_U"))))];
    const joint = E.map((row, i) => row.map((x, j) => x / trace(E) + (U[i]?.[j] as number) / trace(U)));
    const C = matrix(components);
    const inBasis = mul(C, joint, t(C));
    for (let i = 0; i < 6; i++)
      for (let j = 0; j < 6; j++)
        expect(Math.abs((inBasis[i]?.[j] as number) - (i === j ? 2 * variance.at(i) : 0))).toBeLessThan(1e-6);
    expectClose([[...variance.data].reduce((a, b) => a + b, 0)], [1], { atol: 1e-12 });
    const ofE = mul(C, E, t(C));
    for (let i = 0; i < 6; i++)
      expectClose([embedShare.at(i)], [(ofE[i]?.[i] as number) / trace(E) / (2 * variance.at(i))], { atol: 1e-6 });
  });

  it("P16: a rotation of the residual stream leaves spectra and shares as they are", () => {
    const model = randomModel({ n_layers: 0, d_model: 5, d_vocab: 30, position: "none", dtype: "float64" });
    const R = randomOrthogonal(5, 9);
    const turned = withWeights(model, (name, W) => {
      if (name === "embed.W_E") return Tensor.fromNested("d_vocab d_model", mul(matrix(W), R) as number[][], "float64");
      return name === "unembed.W_U"
        ? Tensor.fromNested("d_model d_vocab", mul(t(R), matrix(W)) as number[][], "float64")
        : W;
    });
    const [a, b] = [jointPCA(model), jointPCA(turned)];
    for (const name of ["variance", "embedShare", "embed", "unembed"] as const)
      expectClose(b[name], a[name], { atol: 1e-9 });
  });

  it("sees no variance in equal vectors, whose mean is rounded", () => {
    // 0.1 and 1/3 times 0.7 have no exact mean of seven; before, what rounding left of them was half of all.
    const E = Array.from({ length: 7 }, () => [Math.fround(0.1), Math.fround(0.7 / 3), Math.fround(0.3)]);
    const U = [
      [1, 0, 0],
      [-1, 0, 0],
      [0, 2, 0],
      [0, -2, 0],
    ];
    for (const scale of ["matrix", "rows", "none"] as const) {
      const { variance, embedShare, embed } = jointPCA(modelOf(E, U), { scale });
      // Of U, variances 1/2 and 2 along two axes; rows made of length 1 vary alike.
      expectClose(variance, scale === "rows" ? [0.5, 0.5, 0] : [0.8, 0.2, 0], { atol: 1e-12 });
      expect([...embed.data]).toEqual([0, 0, 0]);
      expect([...embedShare.data.subarray(0, 2)]).toEqual([0, 0]);
    }
  });

  it("has spectra of zeros for a matrix of zeros, and refuses another scale", () => {
    const zeros = [
      [0, 0],
      [0, 0],
    ];
    const { variance, embedShare } = jointPCA(modelOf(zeros, zeros));
    expect([...variance.data]).toEqual([0, 0]);
    expect([...embedShare.data]).toEqual([NaN, NaN]);
    expect(() => jointPCA(randomModel(), { scale: "columns" as "rows" })).toThrow(
      'jointPCA: scale is "columns"; the choices are matrix, rows, none.',
    );
  });
});
