/** Sums over paths through wide float32 layers, whose products are float32, against those of the same weights in float64. */
import { expect, it } from "vitest";
import { pathsFromHeads, pathsToHeads } from "../../../src/circuits/term-sizes/path-cores.ts";
import { gramRead, gramWritten, readGrams, writtenGrams } from "../../../src/circuits/term-sizes/path-grams.ts";
import type { AttentionLayer } from "../../../src/model/index.ts";
import { Random } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";

it("products of wide float32 layers agree with float64 (rounding of 704 terms and of entries, 1e-5 of the largest)", () => {
  const options = { n_layers: 1, n_heads: 11, d_model: 704, d_head: 64, d_vocab: 5, seed: 3 } as const;
  const [single, double] = (["float32", "float64"] as const).map((dtype) =>
    randomModel({ ...options, dtype }).layer(0),
  );
  const random = new Random(5);
  const X = Float64Array.from({ length: 8 * 704 }, () => random.normal());
  const S = new Float64Array(704 * 704);
  for (let i = 0; i < 704; i++)
    for (let j = 0; j < 704; j++)
      for (let r = 0; r < 8; r++)
        S[i * 704 + j] = (S[i * 704 + j] as number) + (X[r * 704 + i] ?? 0) * (X[r * 704 + j] ?? 0);
  const passes = [
    (layer: AttentionLayer) => gramWritten(readGrams(S, layer), layer),
    (layer: AttentionLayer) => gramRead(writtenGrams(S, layer), layer),
  ];
  for (const pass of passes) {
    const [a, b] = [pass(single as AttentionLayer), pass(double as AttentionLayer)];
    const largest = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const apart = a.reduce((most, x, t) => Math.max(most, Math.abs(x - (b[t] as number))), 0);
    expect(apart).toBeGreaterThan(0);
    expect(apart).toBeLessThan(1e-5 * largest);
  }
});

it("of wide float32 layers agree with float64 (rounding of 704 terms and of entries, 1e-5 of the largest)", () => {
  const wide = { n_layers: 2, n_heads: 11, d_model: 704, d_head: 64, d_vocab: 5, seed: 4 } as const;
  const [single, double] = (["float32", "float64"] as const).map((dtype) => randomModel({ ...wide, dtype }).layers);
  const random = new Random(8);
  const direct = [0, 1].map(() => {
    const all = new Float64Array(11 * 64 * 64);
    for (let h = 0; h < 11; h++) {
      const x = Float64Array.from({ length: 64 }, () => random.normal());
      for (let t = 0; t < 64 * 64; t++) all[h * 64 * 64 + t] = (x[t >> 6] ?? 0) * (x[t & 63] ?? 0);
    }
    return all;
  });
  for (const [pass, at] of [
    [pathsToHeads, 1],
    [pathsFromHeads, 0],
  ] as const) {
    const [a, b] = [single, double].map(
      (layers) => pass(layers as readonly AttentionLayer[], [{ direct, longest: 5 }])[0]?.[at]?.[1] ?? [],
    ) as [Float64Array, Float64Array];
    expect(a.length).toBe(11 * 64 * 64);
    const largest = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const apart = a.reduce((most, x, t) => Math.max(most, Math.abs(x - (b[t] as number))), 0);
    expect(apart).toBeGreaterThan(0);
    expect(apart).toBeLessThan(1e-5 * largest);
  }
});
