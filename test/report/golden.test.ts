/** The numbers of the report are those of TransformerLens on the same inputs. */
import { describe, expect, test } from "vitest";
import { compositionDiagram } from "../../src/figures/index.ts";
import { ablatedLosses } from "../../src/heads/index.ts";
import { termImportance } from "../../src/paths/index.ts";
import { ablations, labelsOf, secondCopyFrom } from "../../src/report/heads.ts";
import { meanOf } from "../../src/tensor/internal.ts";
import { strongestPairs } from "../../src/report/pairs.ts";
import { expectClose, loadGolden } from "../support/golden.ts";

const golden = loadGolden("bundled");
const { model, labels } = golden;
/** The reference counts one prediction more than the report, that of the second copy's first token: as if the period of 11 were 12. */
const prompts = { prompts: golden.tokens("repeated_tokens"), period: 12, bos: 0 };
const none = labelsOf(undefined);

describe("the report's numbers on the bundled model against TransformerLens", () => {
  test("loss by order of paths, mean over windows, to 1e-4 (float32 runs)", () => {
    const rows = termImportance(model, golden.tokens(), { heads: false, resamples: 2 });
    let loss = labels.loss_uniform;
    const losses = rows.filter(({ terms }) => terms.startsWith("order")).map(({ gain }) => (loss -= gain));
    expectClose(losses, labels.loss_by_max_order, { atol: 1e-4 });
  });

  test("loss on the second copy, to 1e-4", () => {
    const losses = ablatedLosses(model, prompts.prompts, []).slice("pos", secondCopyFrom(prompts));
    expect(Math.abs(meanOf(losses.data) - labels.repeated_loss_second_half)).toBeLessThan(1e-4);
  });

  test("change of that loss without each head, to 2e-4 (a difference of two float32 losses)", () => {
    const { rises, clean } = ablations(model, prompts, none, new Map(), 99, {});
    expect(Math.abs(clean - labels.repeated_loss_second_half)).toBeLessThan(1e-4);
    expectClose([...rises.values()], golden.expected("ablation.zero_delta_loss").data, { atol: 2e-4 });
  });

  test("of fewer runs than heads, those found are ablated first, then those of the largest effect", () => {
    const attribution = new Map(model.heads.map(({ label }, i) => [label, i === 3 ? -5 : i / 10]));
    const { rises } = ablations(model, prompts, { ...none, induction: ["L0H1"] }, attribution, 3, {});
    expect([...rises.keys()]).toEqual(["L0H1", "L0H3", "L1H7"]);
    const all = golden.expected("ablation.zero_delta_loss").data;
    expectClose(
      [...rises.values()],
      [1, 3, 15].map((i) => all[i] ?? NaN),
      { atol: 2e-4 },
    );
  });

  test("scores of the strongest pairs, to 2e-6", () => {
    const composition = compositionDiagram({ model }, { original: false });
    const limits = { moved: 0, cut: 0, restricted: false };
    const pairs = strongestPairs(model, composition, [], { text: [0, 5, 6, 7], repeats: undefined }, limits);
    const expected = (["Q", "K", "V"] as const).flatMap((kind) => [...golden.expected(`composition.${kind}`).data]);
    expectClose(
      pairs.map(({ score }) => score),
      expected.sort((a, b) => b - a).slice(0, pairs.length),
      { atol: 2e-6 },
    );
  });
});
