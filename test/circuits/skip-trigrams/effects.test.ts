import { describe, expect, it } from "vitest";
import { skipTrigramBugs, skipTrigramEffects } from "../../../src/circuits/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { embeddings, headMatrices, mul, t } from "../dense-reference.ts";

const model = randomModel({ n_heads: 2, d_vocab: 13, seed: 8, dtype: "float64", config: { attn_scale: 1.7 } });
const all = Array.from({ length: 13 ** 3 }, (_, i) => ({
  source: Math.floor(i / 169),
  destination: Math.floor(i / 13) % 13,
  out: i % 13,
}));

describe("skipTrigramEffects", () => {
  it.each([undefined, 4])("is σ(S − rival) OV of the dense circuits, start %s (float64, 1e-12)", (start) => {
    const { W_E, W_U } = embeddings(model);
    const { QK, OV } = headMatrices(model, { layer: 1, head: 1 });
    const [S, out] = [mul(W_E, QK, t(W_E)), mul(W_E, OV, W_U)];
    const expected = all.map((one) => {
      const row = S[one.destination] ?? [];
      const rival = start === undefined ? row.reduce((sum, x) => sum + x, 0) / row.length : (row[start] ?? 0);
      const attention = 1 / (1 + Math.exp(-((row[one.source] ?? 0) - rival) / 1.7));
      return attention * (out[one.source]?.[one.out] ?? 0);
    });
    const found = skipTrigramEffects(model, "L1H1", all, { start });
    expectClose(
      found.map(({ effect }) => effect),
      expected,
      { atol: 1e-12, rtol: 1e-12 },
    );
    expect(found.map(({ source, destination, out: raised }) => ({ source, destination, out: raised }))).toEqual(all);
  });

  it("agrees with the table of bugs of one source", () => {
    const pairs = [
      { destination: 3, out: 5 },
      { destination: 8, out: 2 },
    ] as const;
    const { wanted, bugs } = skipTrigramBugs(model, "L0H0", 7, pairs, { start: 0 });
    const list = [...wanted, ...bugs];
    const found = skipTrigramEffects(model, "L0H0", list, { start: 0 });
    expectClose(
      found.flatMap(({ attention, effect }) => [attention, effect]),
      list.flatMap(({ attention, effect }) => [attention, effect]),
      { atol: 1e-12 },
    );
  });

  it("takes repeats and the empty list, and refuses tokens and heads that do not exist", () => {
    const one = { source: 1, destination: 2, out: 3 };
    const [first, second] = skipTrigramEffects(model, "L0H0", [one, one]);
    expect(second).toEqual(first);
    expect(skipTrigramEffects(model, "L0H0", [])).toEqual([]);
    expect(() => skipTrigramEffects(model, "L0H0", [{ ...one, out: 13 }])).toThrow(
      "skipTrigramEffects: out is 13; token ids of this model are 0 to 12.",
    );
    expect(() => skipTrigramEffects(model, "L0H0", [], { start: -1 })).toThrow("start is -1");
    expect(() => skipTrigramEffects(model, "L2H0", [])).toThrow("there is no head L2H0");
  });
});
