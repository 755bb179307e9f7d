import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bundledModule } from "../../scripts/make-bundled.mjs";
import { openBundledModel } from "../../src/io/bundled.ts";
import { meanLoss, toTokenTensor } from "../../src/model/index.ts";
import { expectClose, goldenFile, loadGolden } from "../support/golden.ts";

const golden = loadGolden("bundled");

test("data/bundled-model.js is what scripts/make-bundled.mjs makes of the float32 original", async () => {
  const committed = readFileSync(new URL("../../data/bundled-model.js", import.meta.url), "utf8");
  expect((await bundledModule()) === committed).toBe(true);
});

test("the float32 original computes TransformerLens's logits, within 5e-5 (float32 sums in another order)", () => {
  expectClose(golden.model.forward(golden.tokens()), golden.expected("logits"), { atol: 5e-5 });
});

describe("the float16 model", async () => {
  const { model, tokenizer } = await openBundledModel();

  test("weights are the nearest float16: within 2^-11 relative, 2^-25 absolute", () => {
    expect([...model.weights.keys()].sort()).toEqual([...golden.model.weights.keys()].sort());
    for (const [name, w] of golden.model.weights) {
      expectClose(model.weight(name), w, { rtol: 2 ** -11, atol: 2 ** -25 });
    }
  });

  test("logits within 0.02 of float32's, and not the same", () => {
    const logits = model.forward(golden.tokens());
    expectClose(logits, golden.expected("logits"), { atol: 0.02 });
    expect(() => expectClose(logits, golden.expected("logits"), { atol: 1e-4 })).toThrow();
  });

  test("mean loss within 0.001 nats", () => {
    const tokens = toTokenTensor(model.config, golden.tokens(), "test");
    expectClose([meanLoss(model.forward(tokens), tokens)], [golden.labels.loss], { atol: 0.001 });
  });

  test("attention patterns within 0.003", () => {
    const names = ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"] as const;
    const { cache } = model.run(golden.tokens(), { cache: names });
    for (const name of names) expectClose(cache.get(name), golden.expected(`cache.${name}`), { atol: 0.003 });
  });

  test("tokenizer and model fit", () => {
    expect(tokenizer.vocabSize).toBe(model.config.d_vocab);
    expect(tokenizer.bos).toBe(0);
    const json: unknown = JSON.parse(readFileSync(goldenFile("bundled", "tokenizer.json"), "utf8"));
    const { added_tokens: added } = json as { added_tokens: { content: string }[] };
    expect(tokenizer.tokenString(0)).toBe(added[0]?.content);
  });

  test("each call gives a new one", async () => {
    expect((await openBundledModel()).model === model).toBe(false);
  });
});
