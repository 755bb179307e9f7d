/** Composition of all pairs by symmetric matrices, and with norms folded. */
import { describe, expect, it } from "vitest";
import { compositionScores } from "../../../src/circuits/index.ts";
import { scoresOfPairs } from "../../../src/circuits/composition/all-pairs.ts";
import { stackOf } from "../../../src/linear/internal.ts";
import { astype, Random, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { compositionByDefinition } from "../dense-reference.ts";

const kinds = ["Q", "K", "V"] as const;

describe("float32 weights", () => {
  // Columns of heads fall off by 10^4, as those of trained heads do, so that squares of lengths cancel.
  const isFalling = (name: string): boolean => /attn\.W_[QKVO]$/.test(name);
  const falling = (t: Tensor): Tensor => {
    const [, rows = 0, cols = 0] = t.shape;
    const isReader = t.names[2] === "d_head";
    const k = isReader ? cols : rows;
    const data = t.data.slice();
    for (let i = 0; i < data.length; i++) {
      const e = isReader ? i % cols : Math.floor(i / cols) % rows;
      data[i] = (data[i] as number) * 10 ** ((-4 * e) / k);
    }
    return Tensor.from(t.axes, t.shape, data);
  };

  it("give the scores of the same weights in float64 within 1e-7, at d_model 768, of few layers and of many", () => {
    for (const [n_layers, n_heads] of [
      [2, 4],
      [6, 4],
    ] as const) {
      const sizes = { n_layers, n_heads, d_model: 768, d_head: 64, d_vocab: 7, n_ctx: 4 };
      const single = withWeights(randomModel(sizes), (name, t) => (isFalling(name) ? falling(t) : t));
      const double = withWeights(single, (_, t) => astype(t, "float64"));
      const [got, want] = [compositionScores(single), compositionScores(double)];
      for (const kind of kinds) {
        expect(got[kind].dtype).toBe("float64");
        const [x, y] = [got[kind].data, want[kind].data];
        let worst = 0;
        for (let i = 0; i < x.length; i++) worst = Math.max(worst, Math.abs((x[i] ?? NaN) - (y[i] ?? NaN)));
        expect(worst).toBeLessThan(1e-7);
        expect(worst).toBeGreaterThan(0);
      }
    }
  });
});

describe("inner products of symmetric matrices", () => {
  /** Maps of norm 1 of random numbers; every third writes little that is read, so that inner products cancel. */
  function maps(
    count: number,
    k: number,
    d: number,
    seed: number,
    isDouble: boolean,
    half: 0 | 1,
  ): Float32Array | Float64Array {
    const random = new Random(seed);
    const numbers = Float64Array.from({ length: count * k * d }, (_, t) => {
      const [map, column] = [Math.floor(t / (k * d)), t % d];
      const isOut = map % 3 === 0 && (half === 0 ? column >= d / 2 : column < d / 2);
      return isOut ? 1e-7 * random.normal() : random.normal();
    });
    for (let m = 0; m < count; m++) {
      const map = numbers.subarray(m * k * d, (m + 1) * k * d);
      const norm = Math.sqrt(map.reduce((s, x) => s + x * x, 0));
      map.set(map.map((x) => x / norm));
    }
    return isDouble ? numbers : Float32Array.from(numbers);
  }
  /** $\lVert B A^\top \rVert$ of two maps by its definition, float64. */
  function lengthOfProduct(B: ArrayLike<number>, A: ArrayLike<number>, k: number, d: number): number {
    let square = 0;
    for (let e = 0; e < k; e++) {
      for (let f = 0; f < k; f++) {
        let sum = 0;
        for (let c = 0; c < d; c++) sum += (B[e * d + c] ?? NaN) * (A[f * d + c] ?? NaN);
        square += sum * sum;
      }
    }
    return Math.sqrt(square);
  }

  it.each([
    [true, 1e-9],
    [false, 1e-6],
  ] as const)(
    "give the lengths of the products of all pairs, cancelled ones too (float64 %s, to %d)",
    (isDouble, atol) => {
      for (const [k, d, heads, layers] of [
        [2, 7, 2, 3],
        [5, 60, 3, 7],
        [3, 100, 1, 2],
        [4, 48, 2, 6],
      ] as const) {
        const stackOfMaps = (perLayer: number, seed: number, half: 0 | 1): Parameters<typeof scoresOfPairs>[0] => {
          const count = (layers - 1) * perLayer;
          const data = maps(count, k, d, seed, isDouble, half);
          return { maps: stackOf(data, [count, k, d]), lengths: new Float64Array(count).fill(1), perLayer };
        };
        const [writers, readers] = [stackOfMaps(heads, 1, 0), stackOfMaps(3 * heads, 2, 1)];
        const found: number[] = [];
        scoresOfPairs(writers, readers, {}, (i, j, score) => {
          expect(Math.floor(j / (3 * heads))).toBeGreaterThanOrEqual(Math.floor(i / heads));
          const [B, A] = [writers.maps.view.data.subarray(i * k * d), readers.maps.view.data.subarray(j * k * d)];
          expect(Math.abs(score - lengthOfProduct(B, A, k, d)), `${i} ${j}`).toBeLessThan(atol);
          found.push(score);
        });
        expect(found.length).toBe(((layers * (layers - 1)) / 2) * heads * 3 * heads);
        expect(Math.min(...found)).toBeLessThan(1e-6);
      }
    },
  );

  it("score many layers as the definition says (float64, 1e-9), and report bands of 48 rows", () => {
    const model = randomModel({ n_layers: 12, n_heads: 2, d_model: 10, d_head: 8, dtype: "float64", seed: 21 });
    const steps: number[][] = [];
    const scores = compositionScores(model, { onProgress: (...at) => steps.push(at) });
    expect(steps).toEqual([[1, 1]]);
    for (const [w, r] of [
      [0, 1],
      [0, 11],
      [4, 5],
      [3, 9],
      [10, 11],
    ] as const) {
      const found = kinds.map((kind) => scores[kind].at(w, 1, r, 0));
      expectClose(found, compositionByDefinition(model, { layer: w, head: 1 }, { layer: r, head: 0 }), { atol: 1e-9 });
    }
  });
});

describe("norms folded", () => {
  it("are the scores of the model whose norms were folded and whose writers were centred by hand (float64, 1e-12)", () => {
    const model = randomModel({
      norm: "LN",
      position: "standard",
      bias: true,
      dtype: "float64",
      seed: 31,
      n_layers: 3,
    });
    const d = model.config.d_model;
    const byHand = withWeights(model, (name, W) => {
      const reader = /^blocks\.(\d)\.attn\.W_[QKV]$/.exec(name);
      if (reader !== null) {
        const w = model.weight(`blocks.${reader[1]}.ln1.w`);
        const [heads = 0, , k = 0] = W.shape;
        const scaled = W.data.map((x, t) => x * w.at(Math.floor(t / k) % d));
        const centred = scaled.map((x, t) => {
          const [head, e] = [Math.floor(t / (d * k)), t % k];
          let mean = 0;
          for (let i = 0; i < d; i++) mean += (scaled[(head * d + i) * k + e] as number) / d;
          return x - mean;
        });
        return Tensor.from(W.axes, [heads, d, k], centred);
      }
      if (!name.endsWith("W_O")) return W;
      return Tensor.from(
        W.axes,
        W.shape,
        W.data.map((x, t) => {
          const row = W.data.subarray(Math.floor(t / d) * d, Math.floor(t / d) * d + d);
          return x - [...row].reduce((a, b) => a + b, 0) / d;
        }),
      );
    });
    const [folded, expected] = [compositionScores(model, { norms: "folded" }), compositionScores(byHand)];
    for (const kind of kinds) expectClose(folded[kind], expected[kind], { atol: 1e-12 });
    expect(Math.abs(folded.K.at(0, 0, 1, 0) - compositionScores(model).K.at(0, 0, 1, 0))).toBeGreaterThan(1e-3);
  });

  it("of float32 weights are those of the same weights in float64 within 1e-7, at d_model 768", () => {
    const sizes = {
      n_layers: 2,
      n_heads: 4,
      d_model: 768,
      d_head: 64,
      d_vocab: 7,
      n_ctx: 4,
      norm: "LN",
      seed: 33,
    } as const;
    const single = randomModel(sizes);
    const double = withWeights(single, (_, t) => astype(t, "float64"));
    const [got, want] = [single, double].map((model) => compositionScores(model, { norms: "folded" }));
    let worst = 0;
    for (const kind of kinds) {
      const [x, y] = [got?.[kind].data ?? [], want?.[kind].data ?? []];
      for (let i = 0; i < y.length; i++) worst = Math.max(worst, Math.abs((x[i] ?? NaN) - (y[i] ?? NaN)));
    }
    expect(worst).toBeLessThan(1e-7);
    expect(worst).toBeGreaterThan(0);
    expect(Math.abs((got?.K.at(0, 0, 1, 0) ?? 0) - compositionScores(single).K.at(0, 0, 1, 0))).toBeGreaterThan(1e-7);
  });

  it("change nothing where there are none; RMSNorm's weights are folded, its mean is not taken out", () => {
    const plain = randomModel({ seed: 32 });
    for (const kind of kinds)
      expect(compositionScores(plain, { norms: "folded" })[kind].data).toEqual(compositionScores(plain)[kind].data);
    const rms = randomModel({ norm: "RMSPre", seed: 32 });
    for (const kind of kinds)
      expect(compositionScores(rms, { norms: "folded" })[kind].data).toEqual(compositionScores(rms)[kind].data);
  });
});
