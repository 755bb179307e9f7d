/** Figures that follow a model through its training: a run of which every checkpoint is known. */
import { describe, expect, it } from "vitest";
import {
  changeAttribution,
  evaluations,
  makeFigure,
  trainingLosses,
  type FigureCheckpoint,
} from "../../src/figures/index.ts";
import { inContextLearningScore, prefixMatchingScores, repeatedTokens } from "../../src/heads/index.ts";
import { lossPerToken, type Transformer } from "../../src/model/index.ts";
import { map, stack } from "../../src/tensor/index.ts";
import { rawData } from "../../src/tensor/internal.ts";
import { contextScores } from "../../src/figures/training/training-losses.ts";
import { expectClose } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel, withWeights } from "../support/random-model.ts";

const model = plantedModel({ d_vocab: 40, n_ctx: 41 });
/** The planted model with its later head's output scaled: at 0 it is not there yet. */
const grown = (share: number): Transformer =>
  withWeights(model, (name, W) => (name === "blocks.1.attn.W_O" ? map(W, (x) => share * x) : W));
const shares = [0, 0.5, 1];
let loads = 0;
const checkpoints: FigureCheckpoint[] = shares.map((share, i) => ({
  label: `step ${100 * i}`,
  step: 100 * i,
  load: () => {
    loads += 1;
    return Promise.resolve(grown(share));
  },
}));
// Twenty tokens and the same again, over and over: what came 20 before comes again.
const period = Array.from({ length: 20 }, (_, i) => 1 + ((i * 7) % 39));
const text = Array.from({ length: 400 }, (_, i) => period[i % 20] as number);
const input = { model, bos: 0, text, checkpoints };

describe("trainingLosses", () => {
  it("has the losses of each checkpoint's own runs, loads one after the other and reports them", async () => {
    loads = 0;
    const seen: number[] = [];
    const data = await trainingLosses(input, { onProgress: (done) => seen.push(done) });
    expect([loads, seen]).toEqual([3, [1, 2, 3]]);
    expect([data.windows, data.length, data.stepName]).toEqual([10, 41, "training step"]);
    expect(data.checkpoints).toEqual([
      { label: "step 0", step: 0 },
      { label: "step 100", step: 100 },
      { label: "step 200", step: 200 },
    ]);
    const windows = Array.from({ length: 10 }, (_, w) => [0, ...text.slice(40 * w, 40 * (w + 1))]);
    for (const [c, share] of shares.entries()) {
      const { logits, tokens } = grown(share).run(windows);
      const own = rawData(lossPerToken(logits, tokens));
      expectClose(rawData(data.losses.select("snapshot", c)), own, { atol: 1e-6 });
      expect(data.byIndex.at(c, 30)).toBeCloseTo(
        Array.from({ length: 10 }, (_, w) => own[w * 40 + 30] as number).reduce((a, b) => a + b, 0) / 10,
        6,
      );
    }
    // Induction sets in: the last checkpoint's late tokens cost next to nothing, and the score falls.
    const scores = contextScores(data);
    expect(scores[2]).toBeLessThan((scores[0] as number) - 1);
    const { logits, tokens } = grown(1).run(windows);
    expect(scores[2]).toBeCloseTo(inContextLearningScore(lossPerToken(logits, tokens), { early: 4, late: 41 }), 5);
  });

  it("takes the model alone where there are no checkpoints", async () => {
    const data = await trainingLosses({ model, bos: 0, text });
    expect(data.checkpoints).toEqual([{ label: "model", step: 0 }]);
    expect(data.stepName).toBe("checkpoint");
  });

  it("refuses checkpoints of another model, and stops when aborted", async () => {
    const other: FigureCheckpoint = { label: "other", load: () => randomModel({ d_vocab: 50, n_ctx: 41 }) };
    await expect(trainingLosses({ ...input, checkpoints: [other, other] })).rejects.toThrow(
      "trainingLosses: checkpoint other has n_heads=3, but the model has n_heads=1. Give checkpoints of one model.",
    );
    await expect(trainingLosses(input, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });
});

describe("evaluations", () => {
  it("follow prefix matching, copying and the QK trace; by hand for the planted model", async () => {
    const data = await evaluations({ model, bos: 0, checkpoints });
    expect(data.prefixMatching.shape).toEqual([3, 2, 1]);
    const prompts = repeatedTokens(model.config, { length: 10, repeats: 4, batch: 10, seed: 0, bos: 0 });
    const patterns = prompts.map((prompt) =>
      model.run(prompt).cache.get("blocks.1.attn.hook_pattern").select("batch", 0),
    );
    const { tokens } = model.run(prompts);
    const own = prefixMatchingScores(stack("batch", patterns), tokens);
    expectClose([data.prefixMatching.at(2, 1, 0)], own, { atol: 1e-6 });
    // The head is not there at first, copies afterwards: W_OV = 20 share times the identity.
    expect(data.copying.at(0, 1, 0)).toBe(0);
    expect(data.copying.at(1, 1, 0)).toBeCloseTo(1, 6);
    expectClose(rawData(data.eigenvalues.select("layer", 1)), [0, 1, 1], { atol: 1e-9 });
    // OL4: beta1 times the vocabulary times the previous-token score.
    expect(data.trace.at(2, 1, 0)).toBeCloseTo(40 * 40 * data.previous.at(2, 0, 0), 3);
    expect(data.trace.at(2, 0, 0)).toBe(0);
  });
});

describe("changeAttribution", () => {
  it("is the ablation's effect along the change: minus its length where the head is what changed", async () => {
    const data = await changeAttribution(input);
    expect([data.before, data.after]).toEqual(["step 0", "step 200"]);
    const windows = Array.from({ length: data.windows }, (_, w) => [0, ...text.slice(40 * w, 40 * (w + 1))]);
    const losses = (one: Transformer): ArrayLike<number> => {
      const { logits, tokens } = one.run(windows);
      return rawData(lossPerToken(logits, tokens));
    };
    const [before, after] = [losses(grown(0)), losses(grown(1))];
    const length = Math.hypot(...Array.from(after, (x, i) => x - (before[i] as number)));
    // Without L1H0, patterns kept, the last checkpoint is the first.
    expect(data.attribution.at(1, 0)).toBeCloseTo(-length, 3);
    expect(length).toBeGreaterThan(5);
  });

  it("needs two checkpoints", async () => {
    await expect(changeAttribution({ model, bos: 0, text })).rejects.toThrow(
      "changeAttribution: this figure follows a model through its training, and one checkpoint was given. Give two or more as `checkpoints`.",
    );
  });
});

describe("makeFigure", () => {
  it.each([
    "loss-curve",
    "loss-by-index",
    "loss-slope",
    "context-score",
    "loss-path",
    "prefix-over-training",
    "trace-over-training",
    "evaluator-scatter",
    "evaluator-validation",
    "ablation-attribution",
    "training-film",
  ])("%s of three checkpoints", async (name) => {
    const { figure } = await makeFigure(name, input);
    expect(figure.svg).toContain("<svg");
    expect(/="[^"]*(NaN|Infinity)/.exec(figure.svg.replace(/base64,[^"]*/g, ""))?.[0]).toBeUndefined();
  });

  it.each([
    "loss-curve",
    "loss-by-index",
    "context-score",
    "loss-path",
    "prefix-over-training",
    "trace-over-training",
    "ablation-attribution",
    "training-film",
  ])("%s refuses a single checkpoint", async (name) => {
    await expect(makeFigure(name, { ...input, checkpoints: undefined })).rejects.toThrow("one checkpoint was given");
  });

  it("places checkpoints one after the other where one has no step", async () => {
    const mixed = [checkpoints[2], { label: "end", load: () => model }] as FigureCheckpoint[];
    const data = await trainingLosses({ ...input, checkpoints: mixed });
    expect(data.checkpoints.map(({ step }) => step)).toEqual([0, 1]);
  });
});
