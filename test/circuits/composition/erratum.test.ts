import { describe, expect, it } from "vitest";
import { compositionScores, cycledCompositionScores } from "../../../src/circuits/index.ts";
import { expectClose } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";
import { fro, headMatrices, mul, t } from "../dense-reference.ts";

const kinds = ["Q", "K", "V"] as const;

describe("cycledCompositionScores", () => {
  it.each([
    ["float64", 1e-12],
    ["float32", 1e-6],
  ] as const)(
    "is the ratio of norms of cycled dense products, 0 unless the writer is earlier (%s, %d)",
    (dtype, atol) => {
      const model = randomModel({ n_layers: 3, n_heads: 2, d_model: 10, d_head: 3, dtype, seed: 5 });
      const scores = cycledCompositionScores(model);
      for (const writer of model.heads) {
        for (const reader of model.heads) {
          const found = kinds.map((kind) => scores[kind].at(writer.layer, writer.head, reader.layer, reader.head));
          if (writer.layer >= reader.layer) {
            expect(found).toEqual([0, 0, 0]);
            continue;
          }
          const [w, r] = [headMatrices(model, writer), headMatrices(model, reader)];
          const written = fro(mul(w.W_O, w.W_V));
          const read = fro(mul(t(r.W_K), r.W_Q));
          expectClose(
            found,
            [
              fro(mul(t(r.W_K), w.W_V, w.W_O, r.W_Q)) / (written * read),
              fro(mul(t(r.W_Q), w.W_V, w.W_O, r.W_K)) / (written * read),
              fro(mul(r.W_O, w.W_V, w.W_O, r.W_V)) / (written * fro(mul(r.W_O, r.W_V))),
            ],
            { atol },
          );
        }
      }
    },
  );

  it("is another number than the corrected score, and its baseline the root mean square of random heads", () => {
    const model = randomModel({ n_heads: 24, d_model: 48, d_head: 8, d_vocab: 5, n_ctx: 3, seed: 2 });
    const [wrong, right] = [cycledCompositionScores(model), compositionScores(model)];
    for (const kind of kinds) {
      const squares: number[] = [];
      for (let w = 0; w < 24; w++) for (let r = 0; r < 24; r++) squares.push(wrong[kind].at(0, w, 1, r) ** 2);
      const rms = Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length);
      // 576 pairs of 48 heads: a spread of a few per cent
      expect(Math.abs(rms / wrong.baseline.mean - 1)).toBeLessThan(0.1);
      expect(Math.abs(wrong[kind].at(0, 0, 1, 0) - right[kind].at(0, 0, 1, 0))).toBeGreaterThan(0.05);
    }
    expect(wrong.baseline.mean).toBe(1 / Math.sqrt(8));
  });

  it("counts pairs of layers, stops when asked to, and gives 0 for heads of zero norm", () => {
    const steps: string[] = [];
    cycledCompositionScores(randomModel({ n_layers: 3 }), {
      onProgress: (done, total) => steps.push(`${done}/${total}`),
    });
    expect(steps).toEqual(["1/3", "2/3", "3/3"]);
    expect(() => cycledCompositionScores(randomModel(), { signal: AbortSignal.abort(new Error("enough")) })).toThrow(
      "enough",
    );
    // the planted heads write and read other coordinates: W_O W_V of L0H0 is zero, as is W_Kᵀ W_Q of L1H0
    expect(cycledCompositionScores(plantedModel()).K.at(0, 0, 1, 0)).toBe(0);
  });
});
