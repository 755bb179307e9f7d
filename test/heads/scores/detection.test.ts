/** The head detector against TransformerLens 3.9's on random patterns; the fixture's script stands beside it. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { detectionPattern, detectionScores } from "../../../src/heads/index.ts";
import type { DetectionKind, DetectionOptions } from "../../../src/heads/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";

interface DetectorCase {
  readonly kind: string;
  readonly tokens: number[];
  readonly pattern: number[][];
  readonly ideal: number[][];
  readonly scored: readonly (Required<DetectionOptions> & { readonly score: number | null })[];
}

const cases = JSON.parse(
  readFileSync(new URL("../../fixtures/analysis/head-detector.json", import.meta.url), "utf8"),
) as DetectorCase[];
const KINDS: readonly string[] = ["previous_token_head", "duplicate_token_head", "induction_head"];
const named = cases.map((each) => [`${each.kind} on ${each.tokens.join(" ")}`, each] as const);

describe("detect_head of TransformerLens 3.9", () => {
  test.each(named)("%s: both measures, whatever is left out (5e-6: float32 there)", (_, { pattern, ideal, scored }) => {
    const A = Tensor.fromNested("batch head query_pos key_pos", [[pattern]]);
    const D = Tensor.fromNested("batch query_pos key_pos", [ideal]);
    expect(scored).toHaveLength(8);
    for (const { score, ...options } of scored) {
      // Where no attention is left it gives NaN, and we 0 as documented.
      expectClose(detectionScores(A, D, options), [score ?? 0], { atol: 5e-6 });
    }
  });

  test.each(named.filter(([, { kind }]) => KINDS.includes(kind)))(
    "%s: the ideal pattern",
    (_, { kind, tokens, ideal }) => {
      const drawn = detectionPattern(
        Tensor.from("batch pos", [1, tokens.length], tokens, "int32"),
        kind as DetectionKind,
      );
      expect(drawn.select("batch", 0).toNested()).toEqual(ideal);
    },
  );

  test("heads and prompts of one tensor are those one by one, averaged over prompts", () => {
    const five = cases.filter(({ tokens, kind }) => tokens.length === 5 && KINDS.includes(kind));
    const A = Tensor.fromNested(
      "batch head query_pos key_pos",
      five.map(({ pattern }) => [pattern, five[0]?.pattern ?? []]),
    );
    const D = Tensor.fromNested(
      "batch query_pos key_pos",
      five.map(({ ideal }) => ideal),
    );
    const options = { measure: "abs", excludeBos: true } as const;
    const mean = (scores: readonly number[]): number => scores.reduce((a, b) => a + b) / scores.length;
    const first = five.map(
      ({ scored }) => scored.find((s) => s.measure === "abs" && s.excludeBos && !s.excludeCurrentToken)?.score ?? 0,
    );
    const second = five.map(({ ideal }) =>
      detectionScores(
        Tensor.fromNested("batch head query_pos key_pos", [[five[0]?.pattern ?? []]]),
        Tensor.fromNested("batch query_pos key_pos", [ideal]),
        options,
      ).at(0),
    );
    expectClose(detectionScores(A, D, options), [mean(first), mean(second)], { atol: 5e-6 });
  });
});
