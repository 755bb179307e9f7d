/**
 * Head scores, path expansion, residual decompositions and attributions against TransformerLens and float64 path sums, on the
 * golden cases.
 *
 * The oracle stores float32 (1e-5 absolute plus 1e-5 relative covers some hundred roundings); path logits and losses by order were
 * computed in float64 from float32 patterns, as here, and stored as float32 or printed in full: the same tolerance holds.
 */
import { describe, expect, test } from "vitest";
import {
  accumulatedResid,
  decomposeResid,
  logitAttribution,
  logitsByOrder,
  lossByMaxOrder,
  pathExpansion,
} from "../../src/paths/index.ts";
import {
  currentTokenScores,
  duplicateTokenScores,
  firstTokenScores,
  inductionScores,
  previousTokenScores,
} from "../../src/heads/index.ts";
import type { DecomposeOptions, PathTerm, ResidDecomposition } from "../../src/paths/index.ts";
import type { Pattern } from "../../src/heads/index.ts";
import { gather, sum, type Tensor } from "../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../support/golden.ts";

const tolerance = { atol: 1e-5, rtol: 1e-5 };

/** `L0H1→L1H2` as the golden cases write it, `0.1->1.2`. */
const goldenLabel = ({ path }: PathTerm): string => path.map(({ layer, head }) => `${layer}.${head}`).join("->");

type Define = (name: string, body: () => void) => void;

/** Defines a group or a test only where the case has what it compares with. */
const describeIf =
  (has: boolean): Define =>
  (name, body) => {
    if (has) describe(name, body);
  };
const testIf =
  (has: boolean): Define =>
  (name, body) => {
    if (has) test(name, body);
  };

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)("%s", (name) => {
  const golden = loadGolden(name);
  const { model } = golden;
  const tokens = golden.tokens();
  const run = model.run(tokens);

  describe("head scores on repeated tokens", () => {
    const repeated = golden.tokens("repeated_tokens");
    const period = ((repeated[0]?.length ?? 0) - 1) / 2;
    const { cache } = model.run(repeated);
    test.each<[string, (pattern: Pattern) => Tensor<"head">]>([
      ["current", currentTokenScores],
      ["previous", previousTokenScores],
      ["first", firstTokenScores],
      ["duplicate", (pattern) => duplicateTokenScores(pattern, period)],
      ["induction", (pattern) => inductionScores(pattern, { period })],
    ])("detect.%s (1e-6: a mean of float32 numbers below 1)", (kind, score) => {
      const scores = model.layers.flatMap(({ layer }) => [
        ...score(cache.get(`blocks.${layer}.attn.hook_pattern`)).data,
      ]);
      expectClose(scores, golden.expected(`detect.${kind}`).data, { atol: 1e-6 });
    });
  });

  describeIf(golden.has("path_bias_logits"))("path expansion", () => {
    const expansion = pathExpansion(model, tokens);

    test("the paths are those of the oracle, in its order or another", () => {
      expect(expansion.terms.map(goldenLabel).sort()).toEqual([...golden.labels.paths].sort());
    });

    test("path_bias_logits", () => {
      expectClose(expansion.logits(expansion.bias), golden.expected("path_bias_logits"), tolerance);
    });

    test("path_logits_last: every path at the last position", () => {
      const expected = golden.expected("path_logits_last");
      const last = expected.rank === 3 ? run.tokens.sizeOf("pos") - 1 : 0;
      const byLabel = new Map(expansion.terms.map((term) => [goldenLabel(term), term]));
      for (const [i, label] of golden.labels.paths.entries()) {
        const logits = expansion.logits(byLabel.get(label) as PathTerm).select("pos", last);
        expectClose(logits.data, expected.select(expected.names[0] ?? "", i).data, tolerance);
      }
    });

    testIf(golden.has("path_logits"))("path_logits: every path at every position", () => {
      const expected = golden.expected("path_logits");
      const byLabel = new Map(expansion.terms.map((term) => [goldenLabel(term), term]));
      for (const [i, label] of golden.labels.paths.entries()) {
        const logits = expansion.logits(byLabel.get(label) as PathTerm);
        expectClose(logits.data, expected.select(expected.names[0] ?? "", i).data, tolerance);
      }
    });

    test("loss_by_max_order (nats)", () => {
      const { loss, uniformLoss } = lossByMaxOrder(model, tokens);
      expectClose(loss.data, golden.labels.loss_by_max_order, tolerance);
      expectClose([uniformLoss], [golden.labels.loss_uniform], { atol: 1e-12 });
    });
  });

  test("logits by order sum to the logits of the oracle", () => {
    expectClose(sum(logitsByOrder(model, tokens), "order").data, golden.expected("logits").data, tolerance);
  });

  test("the certificate of the expansion holds, with a bound below 1e-3", () => {
    const { withinBound, bound } = pathExpansion(model, tokens).certificate();
    expect(withinBound).toBe(true);
    expect(bound).toBeLessThan(1e-3);
  });

  /** Rows of an expected stack without the shortformer positions that the oracle counts in wrongly. */
  const withoutPositions = (stack: Tensor, labels: readonly string[]): { labels: string[]; data: number[] } => {
    const isWrong = model.config.positional_embedding_type === "shortformer";
    const kept = labels.map((label, i) => ({ label, i })).filter(({ label }) => !(isWrong && label === "pos_embed"));
    const axis = stack.names[0] ?? "";
    return { labels: kept.map(({ label }) => label), data: kept.flatMap(({ i }) => [...stack.select(axis, i).data]) };
  };

  /** By layer, without the MLPs, which the oracle was not asked for. */
  const attentionParts = (options: DecomposeOptions): ResidDecomposition => {
    const { labels, components } = decomposeResid(model, run, options);
    const kept = labels.map((label, i) => ({ label, i })).filter(({ label }) => !label.endsWith("mlp_out"));
    expect(labels.length - kept.length).toBe(model.config.attn_only ? 0 : model.config.n_layers);
    return {
      labels: kept.map(({ label }) => label),
      components: gather(
        components,
        "component",
        kept.map(({ i }) => i),
      ),
    };
  };

  test("decompose_resid, by layer", () => {
    const { labels, components } = attentionParts({});
    const expected = withoutPositions(golden.expected("decompose_resid"), golden.labels.decompose_resid_labels);
    expect(labels).toEqual(expected.labels);
    expectClose(components.data, expected.data, tolerance);
  });

  test("accumulated_resid", () => {
    const { labels, components } = accumulatedResid(model, run);
    expect(labels).toEqual(golden.labels.accumulated_resid_labels);
    expectClose(components.data, golden.expected("accumulated_resid").data, tolerance);
  });

  testIf(golden.has("head_results"))("head_results", () => {
    const { labels, components } = decomposeResid(model, run, { by: "head" });
    const heads = labels.filter((label) => label.startsWith("L")).length;
    expectClose(components.slice("component", 0, heads).data, golden.expected("head_results").data, tolerance);
  });

  testIf(golden.has("full_resid_decomposition_ln"))("full_resid_decomposition_ln: by head, centred and scaled", () => {
    const { labels, components } = decomposeResid(model, run, { by: "head", applyNorm: "scale" });
    const expected = withoutPositions(
      golden.expected("full_resid_decomposition_ln"),
      golden.labels.full_resid_decomposition_labels,
    );
    expect(labels).toEqual(expected.labels);
    expectClose(components.data, expected.data, tolerance);
  });

  test("logit_attrs_last: by layer, at the last position, towards the last token, centred and scaled, without biases", () => {
    const { labels, components } = attentionParts({ applyNorm: "scale" });
    const expected = withoutPositions(golden.expected("logit_attrs_last"), golden.labels.decompose_resid_labels);
    const W_U = model.weight("unembed.W_U");
    const last = (tokens[0]?.length ?? 0) - 1;
    const actual = labels.flatMap((_, c) =>
      tokens.map((row, b) => {
        const stream = components.select("component", c).select("batch", b).select("pos", last).data;
        const column = W_U.select("d_vocab", row[last] ?? 0).data;
        return [...stream].reduce((s, x, i) => s + x * (column[i] as number), 0);
      }),
    );
    expectClose(actual, expected.data, { atol: 5e-5, rtol: 1e-5 });
  });

  testIf(model.config.normalization_type === null)(
    "logit_attrs_last again, from logitAttribution of that token, less b_U",
    () => {
      const targets = tokens.map((row) => row.map(() => row.at(-1) ?? 0));
      const { labels, attribution } = logitAttribution(model, tokens, { by: "layer", targets });
      const expected = withoutPositions(golden.expected("logit_attrs_last"), golden.labels.decompose_resid_labels);
      expect(labels).toEqual([...expected.labels, "bias"]);
      const last = attribution.sizeOf("pos") - 1;
      const actual = expected.labels.flatMap((_, c) => tokens.map((_row, b) => attribution.at(c, b, last)));
      expectClose(actual, expected.data, { atol: 5e-5, rtol: 1e-5 });
      expectClose(
        tokens.map((_, b) => attribution.at(labels.length - 1, b, last)),
        tokens.map((row) => model.b_U.at(row.at(-1) ?? 0)),
        { atol: 1e-7 },
      );
    },
  );
});
