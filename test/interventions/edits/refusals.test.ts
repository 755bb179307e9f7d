/** What edits refuse, when they are made and when a run meets them, and with which words. */
import { describe, expect, test } from "vitest";
import { edit, parseEdits, withRuns } from "../../../src/interventions/index.ts";
import type { Action, EditTarget } from "../../../src/interventions/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { refusal } from "../../support/refusal.ts";

const model = randomModel({ n_layers: 2, n_heads: 3 });
const tokens = [
  [1, 5, 3],
  [2, 2, 7],
];

describe("made", () => {
  test.each<[unknown, unknown, string]>([
    ["zz", "zero", 'there is no hook "zz". The nearest are "z", "q", "k".'],
    ["hook_z", "zero", 'there is no hook "hook_z". Did you mean "z"?'],
    ["L0H5x", "zero", 'there is no hook "L0H5x".'],
    [null, "zero", "at is null. Give a selection { hook, layer, head, … }"],
    [[], "zero", "at is an empty list, so nothing is selected."],
    [[["z"]], "zero", "at is an array."],
    [{ heads: 3 }, "zero", 'a selection has no field "heads". Did you mean head?'],
    [{ hook: 3 }, "zero", 'hook is 3. Give a name, as "pattern", or a predicate over names.'],
    [{ hook: "resid_pre", head: 1 }, "zero", 'head selects nothing at "resid_pre", whose axes are "batch pos d_model"'],
    [{ hook: "z", offset: 1 }, "zero", 'offset selects nothing at "z"'],
    [
      { hook: "pattern", pos: 1 },
      "zero",
      'pos selects nothing at "pattern", whose axes are "batch head query_pos key_pos"',
    ],
    [{ hook: "z", neuron: 1 }, "zero", 'neuron selects nothing at "z"'],
    [{ hook: "blocks.0.attn.hook_z", layer: 0 }, "zero", 'layer is given, but "blocks.0.attn.hook_z" is one hook.'],
    [{ head: [] }, "zero", "head is an empty list, so nothing is selected. Leave it out to select all."],
    [{ pos: 1.5 }, "zero", "pos is 1.5. Give whole numbers."],
    [{ pos: "1" }, "zero", 'pos is "1". Give a whole number, a list, a range { start, end } (end excluded)'],
    [{ pos: { from: 1 } }, "zero", "pos is an object. Give a whole number"],
    [{ pos: { start: 0.5 } }, "zero", "pos has a range that ends at 0.5. Give whole numbers."],
    [{ head: "head 5" }, "zero", '"head 5" does not name a head; write it as L1H4 or 1.4.'],
    ["z", null, "the action is null. The actions are zero, mean, resample, noise,"],
    ["z", "zeros", 'there is no action "zeros". Did you mean zero?'],
    ["z", "noise", 'there is no action "noise". Write it with what it takes, as { noise: … }.'],
    ["z", {}, "an object with nothing is no action."],
    ["z", { ad: 3 }, "an object with ad is no action. Did you mean add?"],
    ["z", { add: 1, scale: 2 }, "one action is add and scale at once. Give a list of edits"],
    ["z", { add: 1, seed: 2 }, '{ add } takes no "seed". Beside it stand times.'],
    ["z", { scale: "2" }, 'scale is "2". Give a number.'],
    ["z", { add: ["2"] }, "add is an array. Give a number, a list of numbers or a Tensor."],
    ["z", { mean: "pos" }, 'mean is "pos". Give the axes to average over: "batch" or "batch pos".'],
    ["z", { mean: "batch", of: [] }, "of is an empty list. Give at least one run."],
    ["z", { mean: "batch", of: 3 }, "of is 3, not a run."],
    ["z", { noise: -1 }, "noise is -1. Give a standard deviation of at least 0."],
    ["z", { noise: 1, seed: -1 }, "seed is -1. Give a whole number from 0 to 2^32 - 1."],
    ["z", { noise: 1, relative: "yes" }, 'relative is "yes". Give true or false.'],
    ["z", { resample: 1.5 }, "resample is 1.5. Give a seed"],
    ["z", { projectOut: "up" }, 'projectOut is "up". Give a direction'],
    [
      "z",
      { copyFrom: Promise.resolve() },
      "copyFrom is a Promise, not a run. Write await before the call that gave it.",
    ],
    ["z", { copyFrom: "" }, "copyFrom is an empty name. Give a run or its name."],
  ])("%j, %j", (at, action, text) => {
    expect(refusal(() => edit(at as EditTarget, action as Action))).toContain(text);
  });
});

describe("in a run", () => {
  test.each<[EditTarget, Action, string]>([
    ["L0H3", "zero", "there is no head L0H3: this model has 2 layers of 3 heads, counted from 0."],
    ["L2H0", "zero", "there is no head L2H0"],
    [{ layer: 1, head: "L0H2" }, "zero", "L0H2 lies in none of the layers selected, 1."],
    [{ layer: 2 }, "zero", "layer 2 is outside the 2 layers of this model. layer takes -2 to 1."],
    [{ layer: -3 }, "zero", "layer -3 is outside the 2 layers of this model."],
    [{ head: 3 }, "zero", "head 3 is outside the 3 heads of a layer of this model. head takes -3 to 2."],
    [{ head: { not: { start: 0 } } }, "zero", "nothing is selected"],
    [
      { hook: "resid_pre", pos: 3 },
      "zero",
      'pos 3 is outside the 3 along pos at "blocks.0.hook_resid_pre" in this run. pos takes -3 to 2.',
    ],
    [{ hook: "resid_pre", pos: { start: 1, end: 9 } }, "zero", "pos 1 to 9 is outside the 3 along pos"],
    [
      { hook: "resid_pre", pos: { start: 2, end: 2 } },
      "zero",
      "the range of pos 2 to 2 is empty; its end is excluded.",
    ],
    [{ hook: "resid_pre", pos: { not: [0, 1, 2] } }, "zero", 'nothing is selected at "blocks.0.hook_resid_pre"'],
    [{ hook: "resid_pre", feature: 12 }, "zero", "feature 12 is outside the 12 of d_model of this model."],
    [{ batch: 2 }, "zero", "batch 2 is outside the 2 along batch"],
    [{ hook: "pattern", offset: 3 }, "zero", "offset 3 is outside the offsets of 3 positions"],
    [{ hook: "pattern", offset: -1 }, "zero", "where no position looks at later ones. offset takes 0 to 2."],
    [{ hook: "pattern", query_pos: 1, offset: 2 }, "zero", "nothing is selected"],
    [{ hook: "pattern", query_pos: 0, key_pos: 1 }, "zero", "nothing is selected"],
    ["rot_q", "zero", 'this model has no hook "rot_q": its positions are shortformer, not rotary.'],
    ["ln1_scale", "zero", 'this model has no hook "ln1_scale": it has no norms.'],
    ["mlp_post", "zero", 'this model has no hook "mlp_post": it has no MLP.'],
    ["blocks.7.attn.hook_z", "zero", 'there is no hook "blocks.7.attn.hook_z".'],
    [() => false, "zero", "the predicate picks no hook of this model"],
    [{ hook: (name) => name === "hook_embed", head: 1 }, "zero", 'head selects nothing at "hook_embed"'],
    [
      "z",
      { copyFrom: "clean" },
      'needs the run "clean", which was not supplied. Supply it: withRuns(edits, { clean: run }).',
    ],
    [
      "z",
      { copyFrom: model.run([1, 2]) },
      "the other run has [batch=1 pos=2 head=3 d_head=4], this one [batch=2 pos=3",
    ],
    [
      "z",
      {
        copyFrom: model.run([
          [1, 2, 3],
          [1, 2, 3],
          [1, 2, 3],
        ]),
      },
      "the other run has 3 prompts, this one 2.",
    ],
    ["z", { copyFrom: model.run(tokens, { cache: [] }) }, '"blocks.0.attn.hook_z" was not kept by this run.'],
    ["pattern", { mean: "batch pos" }, "what is attended to from one position is not what is from another."],
    ["z", { resample: [0] }, "resample names 1 prompts for the 2 of this run."],
    ["z", { resample: [0, 2] }, "resample names prompt 2, but prompts are 0 to 1."],
    ["z", { set: [1, 2, 3] }, 'set has 3 along d_head, but "blocks.0.attn.hook_z" has 4.'],
    [
      { feature: [0, 1] },
      { set: [1, 2, 3] },
      "has 4, of which 2 are selected. Give as many as there are or as are selected.",
    ],
    ["z", { add: Tensor.zeros("d_model", [12]) }, 'with an axis "d_model" that "blocks.0.attn.hook_z" lacks'],
    ["z", { projectOut: [1, 2] }, 'a direction has 2 coordinates, but d_head at "blocks.0.attn.hook_z" has 4.'],
    ["z", { projectOut: Tensor.zeros("d_model", [12]) }, 'Directions at "blocks.0.attn.hook_z" are [d_head]'],
    ["z", { projectOut: [0, 0, 0, 0] }, "a direction has length 0."],
  ])("%s, %s", (at, action, text) => {
    expect(refusal(() => model.run(tokens, { edits: edit(at, action) }))).toContain(text);
  });

  test("a mean or a sample of one prompt, of which there is no other", () => {
    expect(refusal(() => model.run([1, 2], { edits: edit("z", "mean") }))).toContain(
      "the mean over one prompt is that prompt itself, so nothing would change.",
    );
    expect(refusal(() => model.run([1, 2], { edits: edit("z", "resample") }))).toContain(
      "no other prompt in the batch",
    );
    expect(model.run([1, 2], { edits: edit("z", { mean: "batch pos" }) }).logits.shape).toEqual([1, 2, 17]);
  });

  test("an object { at, do } that is no edit yet, among others", () => {
    const edits = [edit("z", "zero"), { at: "z", do: "zero" }] as never;
    expect(refusal(() => model.run(tokens, { edits }))).toContain("Make one of it: edit(at, do), or parseEdits(json).");
  });
});

describe("read from JSON, and supplied with runs", () => {
  test.each<[unknown, string]>([
    ["{", "FormatError: parseEdits: the text is no JSON"],
    [[3], "edits[0] is 3, not an object of named values"],
    [{ at: "z", do: "zero", note: 1 }, 'there is no option "note".'],
    [{ at: "z" }, "the action is undefined."],
    [{ do: "zero" }, "at is undefined."],
    [
      { at: "z", do: { set: { axes: "pos", shape: [2], dtype: "float32", data: [1] } } },
      "hold 2 numbers but 1 were given",
    ],
    [{ at: "z", do: { set: { axes: "pos", shape: [1], dtype: "half", data: [1] } } }, "there is no dtype"],
    [{ at: "z", do: { set: { data: [1] } } }, "set is an object, not a tensor { axes, shape, dtype, data }."],
    [{ at: "z", do: { set: { axes: "pos", shape: [1], dtype: "float32", data: ["one"] } } }, "not a number"],
    ['{"at":{"__proto__":{"pos":1}},"do":"zero"}', 'a selection has no field "__proto__"'],
    [`{"at":{"pos":${'{"not":'.repeat(5000)}1${"}".repeat(5000)}},"do":"zero"}`, "nested more than 64 deep"],
  ])("%j", (json, text) => {
    expect(refusal(() => parseEdits(json as string))).toContain(text);
  });

  test("runs for which no edit asks, or several for one", () => {
    const run = model.run(tokens);
    expect(refusal(() => withRuns(edit("z", { copyFrom: "clean" }), { corrupted: run }))).toContain(
      'no edit asks for a run "corrupted"; they ask for clean.',
    );
    expect(refusal(() => withRuns(edit("z", "zero"), { clean: run }))).toContain("they ask for none");
    expect(refusal(() => withRuns(edit("z", { copyFrom: "clean" }), { clean: [run] }))).toContain(
      "{ copyFrom } takes one run",
    );
  });

  test("functions, predicates and runs without a name are not written", () => {
    const written = (one: object): string => refusal(() => JSON.stringify(one));
    expect(written(edit("z", (x) => x))).toContain("can't be written as JSON: its action is a function.");
    expect(written(edit(() => true, "zero"))).toContain("a predicate picks its hooks.");
    expect(written(edit("z", { copyFrom: model.run(tokens) }))).toContain("of a run without a name.");
  });
});
