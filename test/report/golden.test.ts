/** The numbers of the report are those of TransformerLens on the same inputs. */
import { describe, expect, test } from "vitest";
import { importanceFacts } from "../../src/report/parts/importance.ts";
import { compositionFacts } from "../../src/report/parts/composition.ts";
import { spectraOf } from "../../src/report/parts/heads.ts";
import { lossRows, secondCopyLoss } from "../../src/report/parts/loss.ts";
import { silencedLastLayer, silencedLoss } from "../../src/report/parts/silence.ts";
import { planFor } from "../../src/report/plan.ts";
import { expectClose, loadGolden } from "../support/golden.ts";

const golden = loadGolden("bundled");
const { model, labels } = golden;
const pause = (): Promise<void> => Promise.resolve();
/** The reference counts one prediction more than the report, that of the second copy's first token: as if the period of 11 were 12. */
const period = 12;

describe("the report's numbers on the bundled model against TransformerLens", () => {
  test("loss by order of paths, mean over windows, to 1e-4 (float32 runs)", async () => {
    const windows = golden.tokens();
    const plan = planFor(model.config, true, {});
    const facts = await importanceFacts(model, windows, plan, 0, pause);
    expectClose(
      facts.orders.map(({ loss }) => loss),
      labels.loss_by_max_order,
      { atol: 1e-4 },
    );
    expect(Math.abs(facts.uniform - labels.loss_uniform)).toBeLessThan(1e-9);
    // the gains add up to what the whole model gains on a uniform guess
    const total = facts.orders.reduce((sum, { gain }) => sum + gain, 0);
    expect(Math.abs(total - (labels.loss_uniform - labels.loss))).toBeLessThan(1e-4);
  });

  test("loss on the second copy, to 1e-4", () => {
    const rows = lossRows(model, golden.tokens("repeated_tokens"));
    expect(Math.abs(secondCopyLoss(rows, period) - labels.repeated_loss_second_half)).toBeLessThan(1e-4);
  });

  test("change of that loss without each head, to 2e-4 (a difference of two float32 losses)", () => {
    const prompts = golden.tokens("repeated_tokens");
    const whole = silencedLoss(model, prompts, period, []);
    const deltas = model.heads.map((head) => silencedLoss(model, prompts, period, [head]) - whole);
    expectClose(deltas, golden.expected("ablation.zero_delta_loss").data, { atol: 2e-4 });
    const last = model.heads.filter(({ layer }) => layer === 1);
    expectClose(
      silencedLastLayer(model, prompts, period, last).map((loss) => loss - whole),
      golden.expected("ablation.zero_delta_loss").data.slice(model.config.n_heads),
      { atol: 2e-4 },
    );
  });

  test("copying and matching scores, to 1e-6", () => {
    const spectra = spectraOf(model, 0, 4);
    expectClose(spectra?.ov.score.data ?? [], golden.expected("ov.copying_score").data, { atol: 1e-6 });
    expectClose(spectra?.qk.score.data ?? [], golden.expected("qk.matching_score").data, { atol: 1e-6 });
  });

  test("composition scores of all pairs, to 2e-6 (kept to six digits)", () => {
    const facts = compositionFacts(model, 0, 4);
    for (const kind of ["Q", "K", "V"] as const) {
      expectClose((facts?.[kind] ?? []).flat(), golden.expected(`composition.${kind}`).data, { atol: 2e-6 });
    }
  });
});
