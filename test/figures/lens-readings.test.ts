/** The lens figures against what `logitLens` and `klDivergence` say of the same streams, position by position. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { drawLensReadings, lensReadings, tunedReadings } from "../../src/figures/index.ts";
import { openBundledModel } from "../../src/io/bundled.ts";
import { klDivergence, probability } from "../../src/model/index.ts";
import { fitTranslators, logitLens } from "../../src/paths/index.ts";
import { argmax, meanAll } from "../../src/tensor/index.ts";
import { root } from "../support/files.ts";
import { randomModel } from "../support/random-model.ts";

test.each([
  ["attention-only", {}],
  ["with norms and MLPs", { norm: "LN", mlp: "gelu", position: "standard" }],
  ["without layers", { n_layers: 0 }],
] as const)("a model %s: top tokens, probabilities and divergences (1e-5)", (_, options) => {
  const model = randomModel({ ...options, n_ctx: 12 });
  const text = [3, 1, 4, 1, 5, 9, 2, 6];
  const { labels, top, probability: shares, divergence, tokens } = lensReadings({ model, text });
  expect(tokens.map(({ id }) => id)).toEqual(text);
  const lens = logitLens(model.run(text));
  expect(labels).toEqual(lens.labels);
  const last = lens.logits.select("component", labels.length - 1);
  for (const [c] of labels.entries()) {
    const logits = lens.logits.select("component", c);
    expect(top[c]?.map(({ id }) => id)).toEqual([...argmax(logits, "d_vocab").data]);
    for (const [pos] of text.entries()) {
      const answer = top[c]?.[pos]?.id ?? -1;
      expect(Math.abs(shares.at(c, pos) - (probability({ answer, pos }).values(logits)[0] ?? NaN))).toBeLessThan(1e-5);
      expect(Math.abs(divergence.at(c, pos) - (klDivergence(last, { pos }).values(logits)[0] ?? NaN))).toBeLessThan(
        1e-5,
      );
    }
  }
});

test("translators change what streams say; those of the last stream stay the model's", () => {
  const model = randomModel({ n_ctx: 12 });
  const input = { model, text: [3, 1, 4, 1, 5, 9, 2, 6] };
  const translators = fitTranslators([
    model.run([
      [1, 2, 3, 4, 5, 6, 7, 8],
      [8, 7, 6, 5, 4, 3, 2, 1],
    ]),
  ]);
  const [plain, tuned] = [lensReadings(input), lensReadings(input, { translators })];
  expect([...tuned.divergence.select("component", 0).data]).not.toEqual([
    ...plain.divergence.select("component", 0).data,
  ]);
  expect([...tuned.probability.select("component", 2).data]).toEqual([
    ...plain.probability.select("component", 2).data,
  ]);
});

test("on code, a tuned lens is nearer to the bundled model's predictions than the plain one", async () => {
  const bundled = await openBundledModel();
  const text = readFileSync(`${root}/src/errors.ts`, "utf8");
  const [plain, tuned] = [lensReadings({ ...bundled, text }), tunedReadings({ ...bundled, text })];
  expect(tuned.fitted).toBeGreaterThan(3000);
  expect(meanAll(tuned.divergence)).toBeLessThan(0.7 * meanAll(plain.divergence));
});

test("large models show fewer positions, so that cells keep their texts", () => {
  const model = randomModel({ n_layers: 47, d_model: 4, n_heads: 1, n_ctx: 40, d_vocab: 9 });
  const data = lensReadings({ model, text: Array.from({ length: 40 }, (_, i) => i % 9) });
  expect(data.probability.shape).toEqual([48, 18]);
  const texts = drawLensReadings(data).svg.match(/tc-mono/g) ?? [];
  expect(texts.length).toBeGreaterThanOrEqual(2 * 48 * 18);
});
