/** Edits of padded runs: what would take the activations of padding for those of text is refused. */
import { describe, expect, test } from "vitest";
import { edit, sweepEdits, type Action } from "../../../src/interventions/index.ts";
import { gradients, logitDifference } from "../../../src/model/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { refusal } from "../../support/refusal.ts";

const model = randomModel({ n_layers: 2, n_heads: 3, norm: "LN", bias: true });
const tokens = [
  [1, 5, 3, 5, 2],
  [2, 2, 7, 1, 9],
];
const attentionMask = [
  [0, 0, 1, 1, 1],
  [1, 1, 1, 1, 1],
];
const whole = attentionMask.map((row) => row.map(() => 1));
const reference = model.run(tokens);
const metric = logitDifference({ answer: 3, wrong: 4 });

const taking: [string, Action, RegExp][] = [
  ["mean", "mean", /the mean over this run would take in padding/],
  ["mean over positions", { mean: "batch pos" }, /the mean over this run would take in padding/],
  ["resample", "resample", /resampling within the batch would take in padding/],
  ["relative noise", { noise: 1, relative: true }, /noise relative to the activation would take in padding/],
];
const others: [string, Action][] = [
  ["zero", "zero"],
  ["noise", { noise: 1 }],
  ["mean of reference runs", { mean: "batch pos", of: reference }],
  ["resampling from a run", { resample: 0, from: reference }],
];

describe.each(taking)("%s", (_, action, text) => {
  const edits = edit("L0H1", action);

  test("is refused in runs, gradients and sweeps of edits where a mask hides positions", () => {
    expect(refusal(() => model.run(tokens, { edits, attentionMask }))).toMatch(text);
    expect(refusal(() => gradients(model, tokens, metric, { edits, attentionMask }))).toMatch(text);
    expect(refusal(() => sweepEdits(model, tokens, [edits], { metric, attentionMask }))).toMatch(text);
  });

  test("acts as without a mask where one hides nothing", () => {
    const masked = model.run(tokens, { edits, attentionMask: whole }).logits;
    expect([...masked.data]).toEqual([...model.run(tokens, { edits }).logits.data]);
  });
});

test.each(others)("%s acts in a padded run", (_, action) => {
  const { logits } = model.run(tokens, { edits: edit("L0H1", action), attentionMask });
  expect(logits.shape).toEqual([2, 5, model.config.d_vocab]);
});
