/**
 * Gradients through edits, against central differences of edited runs. Runs are float32; with a step of 4e-3 rounding and
 * curvature leave some 1e-3 of the size of the terms.
 */
import { expect, test } from "vitest";
import { edit } from "../../../src/interventions/index.ts";
import type { Action, EditTarget } from "../../../src/interventions/index.ts";
import { editAt, editWithDerivative, gradients, logProbability } from "../../../src/model/index.ts";
import type { Edits } from "../../../src/model/index.ts";
import { add, multiply, randomNormal } from "../../../src/tensor/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { rawData } from "../../../src/tensor/internal.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";

const model = randomModel({ norm: "LN", bias: true, seed: 21 });
const tokens = [
  [0, 3, 9, 3, 7],
  [5, 5, 1, 2, 0],
];
const other = model.run([
  [1, 8, 9, 1, 7],
  [5, 6, 1, 2, 4],
]);
const metric = logProbability({ answer: [3, 9] });
const direction = randomNormal("batch pos d_model", [2, 5, 12], { seed: 77 });
const moving = (by: number): Edits =>
  editAt(
    "hook_embed",
    editWithDerivative<"hook_embed">(
      (x) => add(x, multiply(direction, by)),
      (gradient) => gradient,
    ),
  );
const inner = (a: Tensor, b: Tensor): number => {
  let sum = 0;
  for (const [i, x] of rawData(a).entries()) sum += x * (rawData(b)[i] as number);
  return sum;
};

const actions: readonly [string, EditTarget, Action][] = [
  ["zero", "L0H1", "zero"],
  ["set", { hook: "q", layer: 0, pos: [1, 3] }, { set: 0.3 }],
  ["scale", { hook: "pattern", layer: 1, head: 2 }, { scale: 0.4 }],
  ["scale scores", { hook: "attn_scores", layer: 0 }, { scale: 0.4 }],
  ["add", { hook: "resid_pre", layer: 1, pos: 2 }, { add: 1.5 }],
  ["noise", { hook: "v", layer: 1 }, { noise: 0.5, seed: 2 }],
  ["copyFrom", { hook: "z", layer: 0, head: [0, 2] }, { copyFrom: other }],
  ["mean of other runs", { hook: "attn_out", layer: 0, pos: [0, 1, 2] }, { mean: "batch", of: other }],
];

test.each(actions)("the gradient goes through %s", (_, at, action) => {
  const change = edit(at as never, action);
  const value = (by: number): number => {
    const [a = 0, b = 0] = metric.values(model.run(tokens, { edits: [moving(by), change], cache: [] }).logits);
    return (a + b) / 2;
  };
  const { at: gradientAt } = gradients(model, tokens, metric, { at: ["hook_embed"], edits: [moving(0), change] });
  const step = 4e-3;
  const derivative = (value(step) - value(-step)) / (2 * step);
  expectClose([inner(gradientAt("hook_embed"), direction)], [derivative], { atol: 5e-3 });
});

test("the gradient goes through several edits of one hook", () => {
  const edits = [edit({ hook: "z", layer: 1 }, { scale: 0.5 }), edit("L1H1", { scale: 3 }), edit("L1H2", "zero")];
  const found = gradients(model, tokens, metric, { at: ["blocks.1.attn.hook_z", "blocks.1.attn.hook_v"], edits });
  const alone = gradients(model, tokens, metric, { at: ["blocks.1.attn.hook_z"], edits });
  expect(found.at("blocks.1.attn.hook_z").data).toEqual(alone.at("blocks.1.attn.hook_z").data);
  const ofHead = (head: number): number =>
    Math.max(...found.at("blocks.1.attn.hook_v").select("head", head).data.map(Math.abs));
  expect(ofHead(2)).toBe(0);
  expect(ofHead(0)).toBeGreaterThan(0);
});

test.each<[string, Action]>([
  ["a mean over this run's prompts", "mean"],
  ["another prompt of this run", "resample"],
])("%s is refused, since a gradient would have to go to other prompts", (_, action) => {
  expect(() => gradients(model, tokens, metric, { edits: edit("L0H1", action) })).toThrow("editWithDerivative");
});
