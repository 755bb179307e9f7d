/**
 * The forward pass against TransformerLens on the golden cases: logits, loss and every cached activation.
 *
 * Both sides store float32 and sum in different orders; 1e-5 absolute plus 1e-5 relative is about a hundred roundings of a number
 * near 1, and two orders of magnitude below what a missing bias or a wrong scale does to these models.
 */
import { describe, expect, test } from "vitest";
import { hookNames, lossPerToken, meanLoss } from "../../src/model/index.ts";
import type { HookName } from "../../src/model/index.ts";
import { type Tensor, add, map } from "../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../support/golden.ts";

const tolerance = { atol: 1e-5, rtol: 1e-5 };
const cases = [...attentionCases, ...mlpCases, "bundled"] as const;

describe.each(cases)("%s", (name) => {
  const golden = loadGolden(name);
  const tokens = golden.tokens();
  const run = golden.model.run(tokens);

  test("logits agree within 1e-5 absolute plus 1e-5 relative", () => {
    expectClose(run.logits, golden.expected("logits"), tolerance);
    expectClose(golden.model.forward(tokens), golden.expected("logits"), tolerance);
  });

  test("the loss of each token and the mean loss agree within 1e-5 nats plus 1e-5 relative", () => {
    expectClose(lossPerToken(run.logits, run.tokens), golden.expected("loss_per_token"), tolerance);
    expectClose([meanLoss(run.logits, run.tokens)], [golden.labels.loss], tolerance);
  });

  const cached = golden.names.filter((key) => key.startsWith("cache."));

  test("there are activations to compare", () => {
    expect(cached.length).toBeGreaterThanOrEqual(name === "bundled" ? 2 : 13);
  });

  test.each(cached)("%s agrees within 1e-5 absolute plus 1e-5 relative", (key) => {
    expectClose(run.cache.get(key.slice("cache.".length) as HookName), golden.expected(key), tolerance);
  });

  test("every hook of the model is cached, with finite numbers but for masked scores", () => {
    expect(run.cache.names()).toEqual(hookNames(golden.model.config));
    for (const hook of run.cache.names()) {
      const value: Tensor = run.cache.get(hook);
      const isScores = hook.endsWith("hook_attn_scores");
      expect(
        [...value.data].every((x) => Number.isFinite(x) || (isScores && x === -Infinity)),
        hook,
      ).toBe(true);
    }
  });

  test("masked scores are -Infinity above the diagonal and nowhere else", () => {
    for (let layer = 0; layer < golden.model.config.n_layers; layer++) {
      const scores = run.cache.get(`blocks.${layer}.attn.hook_attn_scores`);
      const n = scores.sizeOf("key_pos");
      const isMasked = [...scores.data].map((x) => x === -Infinity);
      expect(isMasked.every((masked, i) => masked === i % n > Math.floor(i / n) % n)).toBe(true);
    }
  });

  test("the comparison notices a change of one thousandth in one activation", () => {
    const changed = map(run.logits, (x) => x);
    const nudged = add(changed, 1e-3);
    expect(() => {
      expectClose(nudged, golden.expected("logits"), tolerance);
    }).toThrow("are not close");
  });
});
