/** Certificates of score expansions from both sides: never below what is seen, and at most twenty times it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AttentionHead, HeadRef, Transformer } from "../../../src/model/index.ts";
import { scoreExpansion } from "../../../src/paths/index.ts";
import type { Certificate } from "../../../src/paths/index.ts";
import { attentionCases, loadGolden, mlpCases } from "../../support/golden.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";

const PARTITIONS = ["head", "path", "order", "firstHead"] as const;
const ULP = 2 ** -24;

/** A certificate with the size of the scores it is about. */
function certified(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  head: HeadRef,
  by: (typeof PARTITIONS)[number],
): Certificate & { readonly size: number } {
  const expansion = scoreExpansion(model, prompts, head, { by });
  const size = Math.max(...expansion.total().data.map(Math.abs));
  return { ...expansion.certificate(), size };
}

/** Where the deviation is below a few units in the last place of the scores, the float64 of the terms may be what is left. */
function expectTight({ maxDeviation, bound, withinBound, size }: ReturnType<typeof certified>): void {
  expect(withinBound).toBe(true);
  expect(bound).toBeGreaterThanOrEqual(maxDeviation);
  if (maxDeviation > 2 * ULP * size) expect(bound / maxDeviation).toBeLessThanOrEqual(20);
  else expect(bound).toBeLessThanOrEqual(40 * ULP * size);
}

describe("bound >= deviation, and bound <= 20 x deviation", () => {
  test.each([
    ["attention-only models", modelOptions],
    ["models with MLPs", mlpModelOptions],
  ])("%s of every norm, position, bias, depth and size, prompts of 1 to 6 tokens", (_, options) => {
    fc.assert(
      fc.property(
        options.filter(({ n_layers }) => n_layers > 0),
        fc.constantFrom(...PARTITIONS),
        fc.nat(),
        fc.array(fc.array(fc.nat({ max: 1000 }), { minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 6 }),
        (fields, by, pick, drawn, length) => {
          const model = randomModel(fields);
          const prompts = drawn.map((row) => row.slice(0, length).map((id) => id % fields.d_vocab));
          const head = (model.heads[pick % model.heads.length] as AttentionHead).label;
          expectTight(certified(model, prompts, head, by));
        },
      ),
      runs(914, 60),
    );
  });

  test.each([...attentionCases, ...mlpCases, "bundled"] as const)("%s: every head of the last layer", (name) => {
    const { model, tokens } = loadGolden(name);
    const prompts = tokens().slice(0, 1);
    for (const { label } of model.layer(model.config.n_layers - 1).heads) {
      for (const by of PARTITIONS) {
        const certificate = certified(model, prompts, label, by);
        expectTight(certificate);
        expect(certificate.maxDeviation, "there is rounding to see").toBeGreaterThan(0);
      }
    }
  });

  test.each([
    [
      "12 layers, standard, LN",
      { n_layers: 12, n_heads: 4, d_model: 48, d_head: 12, norm: "LN", position: "standard" },
    ],
    ["9 layers, rotary, RMS", { n_layers: 9, n_heads: 3, d_model: 64, d_head: 16, norm: "RMS", position: "rotary" }],
    ["24 layers, no norm: scores of 1e12", { n_layers: 24, n_heads: 2, d_model: 32, d_head: 8, position: "none" }],
    ["d_model of 512", { n_layers: 2, n_heads: 2, d_model: 512, d_head: 64, norm: "LNPre", position: "shortformer" }],
  ] as const)("deep and wide: %s", (_, fields) => {
    const model = randomModel({ ...fields, n_ctx: 24, bias: true });
    const prompt = Array.from({ length: 24 }, (__, i) => (i * 7) % 17);
    for (const by of ["head", "order"] as const) {
      expectTight(certified(model, [prompt], `L${fields.n_layers - 1}H1` as const, by));
    }
  });

  test("a missing term is noticed from a hundred times the deviation on, under 1e-4 of the scores", () => {
    const model = randomModel({ norm: "LN", position: "standard", bias: true, seed: 3 });
    const expansion = scoreExpansion(model, [[3, 1, 4, 1, 5]], "L1H0");
    const { maxDeviation } = expansion.certificate();
    const largest = (data: ArrayLike<number>): number => Math.max(...Array.from(data, Math.abs));
    expect(100 * maxDeviation).toBeLessThan(1e-4 * largest(expansion.total().data));
    for (const [t, term] of expansion.terms.entries()) {
      expect(largest(expansion.scores(term).data), term.label).toBeGreaterThan(100 * maxDeviation);
      const others = expansion.terms.filter((__, other) => other !== t);
      expect(expansion.certificate(others).withinBound, term.label).toBe(false);
    }
  });
});
