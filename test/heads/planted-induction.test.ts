/**
 * A model whose circuits are known exactly (a planted previous-token head and a planted induction head), so that every number below is
 * worked by hand: v = 30 tokens, r of L = 10 tokens, gains of 40 on scores and 20 on copying.
 */
import { describe, expect, test } from "vitest";
import { findHeads, headScores, inductionScores, repeatedTokens, valueWeightedPattern } from "../../src/heads/index.ts";
import { lossByMaxOrder, headTermImportance, logitAttribution, pathExpansion } from "../../src/paths/index.ts";
import { lossPerToken, meanLoss } from "../../src/model/index.ts";
import type { Edits } from "../../src/model/index.ts";
import { multiply, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";

const L = 10;
const model = plantedModel({ d_vocab: 30, n_ctx: 21, previousGain: 40, matchGain: 40, copyGain: 20 });
// Different tokens, so that every token of the second copy has one match.
const tokens = repeatedTokens(model.config, { length: L, batch: 4, seed: 2, bos: 0, distinct: true });
const scores = headScores(model, { tokens, period: L });

describe("scores", () => {
  test("previous-token score 1 within 1e-12: what leaks is e^-40 per key", () => {
    expect(Math.abs(scores.previous.at(0, 0) - 1)).toBeLessThan(1e-12);
    expect(scores.induction.at(0, 0)).toBeLessThan(0.1);
  });

  test("ARENA's stripe is (L + 1/L + 1/(L+1))/(L + 2) = 0.849242, as the head rests evenly before the repeat (1e-6: float32 patterns)", () => {
    const expected = (L + 1 / L + 1 / (L + 1)) / (L + 2);
    expect(expected).toBeCloseTo(0.849242, 6);
    expect(Math.abs(scores.induction.at(1, 0) - expected)).toBeLessThan(1e-6);
  });

  test("strict induction and prefix matching are 1 within 1e-6", () => {
    expect(Math.abs(scores.inductionStrict.at(1, 0) - 1)).toBeLessThan(1e-6);
    expect(Math.abs(scores.prefixMatching.at(1, 0) - 1)).toBeLessThan(1e-6);
  });

  test("without the previous-token head every key looks alike: the stripe is the mean of 1/(q + 1) over its queries (1e-6: float32 patterns)", () => {
    const silenced: Edits = {
      "blocks.0.attn.hook_z": (z) => multiply(z, Tensor.from("head", [z.sizeOf("head")], [0])),
    };
    const score = (edits: Edits): number =>
      inductionScores(model.run(tokens, { edits }).cache.get("blocks.1.attn.hook_pattern"), { period: L }).at(0);
    let even = 0;
    for (let q = L - 1; q <= 2 * L; q++) even += 1 / (q + 1) / (L + 2);
    expect(Math.abs(score(silenced) - even)).toBeLessThan(1e-6);
    expect(score({})).toBe(scores.induction.at(1, 0));
  });

  test("the heads are found for what they are, and for nothing else", () => {
    const found = findHeads(scores);
    expect(found.previousToken).toEqual([{ layer: 0, head: 0 }]);
    expect(found.induction).toEqual([{ layer: 1, head: 0 }]);
    expect([found.currentToken, found.duplicateToken]).toEqual([[], []]);
  });
});

describe("loss", () => {
  const run = model.run(tokens);
  const loss = lossPerToken(run.logits, run.tokens);

  test("after the first repeat it is ln(1 + 28 e^-20 + e^-19) = 6e-8 nats; float32 stores it as about that, below 3e-7", () => {
    // The correct token has logit 20, the current one 1, 28 others 0; softmax of float32 logits.
    const exact = Math.log1p(28 * Math.exp(-20) + Math.exp(-19));
    expect(exact).toBeCloseTo(6.3e-8, 9);
    for (let b = 0; b < 4; b++) {
      for (let p = L + 1; p < 2 * L; p++) expect(Math.abs(loss.at(b, p) - exact)).toBeLessThan(2e-7);
      for (let p = 0; p < L; p++) expect(loss.at(b, p)).toBeGreaterThan(1);
    }
  });

  // The direct path gives the current token a logit of 1 and all others 0; the next token is never the current one.
  const direct = Math.log(29 + Math.E);
  const full = meanLoss(run.logits, run.tokens);

  test("the direct path alone loses ln(29 + e) nats, single-head paths do the rest, virtual heads nothing", () => {
    const { loss: byOrder, marginalGain, uniformLoss } = lossByMaxOrder(model, tokens);
    expectClose([uniformLoss, byOrder.at(0)], [Math.log(30), direct], { atol: 1e-12 });
    expectClose([byOrder.at(1), byOrder.at(2)], [full, full], { atol: 1e-6 });
    // The virtual head writes into coordinates that the unembedding does not read: exactly nothing.
    expect(marginalGain.at(2)).toBe(0);
  });

  test("removing L0H0 with patterns frozen costs nothing, as it matters through K-composition; L1H0 is all of the difference", () => {
    const { removedFromFull, addedToDirect } = headTermImportance(model, tokens);
    expect([removedFromFull.at(0, 0), addedToDirect.at(0, 0)]).toEqual([0, 0]);
    expectClose([removedFromFull.at(1, 0), addedToDirect.at(1, 0)], [direct - full, direct - full], { atol: 1e-6 });
    expect(Math.abs(direct - full)).toBeGreaterThan(0.1);
  });
});

describe("attribution", () => {
  test("L1H0 gives the correct next token 20 logits from the first repeat on, everything else 0 (1e-5: float32 patterns)", () => {
    const { labels, attribution, certificate } = logitAttribution(model, tokens);
    expect(labels).toEqual(["embed", "L0H0", "L1H0", "bias"]);
    expect(certificate.withinBound).toBe(true);
    for (let b = 0; b < 4; b++) {
      for (let p = L + 1; p < 2 * L; p++) {
        expectClose(
          [0, 1, 2, 3].map((c) => attribution.at(c, b, p)),
          [0, 0, 20, 0],
          { atol: 1e-5 },
        );
      }
    }
  });

  test("the four paths: L1H0 carries it, the virtual head L0H0→L1H0 writes nothing that is read", () => {
    const expansion = pathExpansion(model, tokens);
    expect(expansion.labels).toEqual(["direct", "L0H0", "L1H0", "L0H0→L1H0", "bias"]);
    expect(expansion.certificate().withinBound).toBe(true);
    expect(expansion.rank()[0]?.term.label).toBe("L1H0");
    const attribution = expansion.attribution();
    expectClose(
      [0, 1, 2, 3, 4].map((t) => attribution.at(t, 0, 15)),
      [0, 0, 20, 0, 0],
      { atol: 1e-5 },
    );
  });

  test("value-weighted attention: values are one-hot, results 20 times that", () => {
    const run = model.run(tokens);
    const pattern = run.cache.get("blocks.1.attn.hook_pattern");
    expectClose(valueWeightedPattern(model, run, 1), pattern, { atol: 1e-7 });
    const results = valueWeightedPattern(model, run, 1, { norm: "result" });
    expectClose(
      results.data,
      [...pattern.data].map((x) => 20 * x),
      { rtol: 1e-6 },
    );
  });
});
