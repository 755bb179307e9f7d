import { describe, expectTypeOf, test } from "vitest";
import { mean, multiply } from "transformer-circuits";
import type { Tensor, Transformer } from "transformer-circuits";
import { edit } from "transformer-circuits/interventions";
import type { ActivationEdit, Selection } from "transformer-circuits/interventions";

declare const model: Transformer;

describe("where an edit acts", () => {
  test("hooks by short and full name, heads by label and place, predicates and lists", () => {
    expectTypeOf(edit("L0H5", "zero")).toEqualTypeOf<ActivationEdit>();
    edit(["L0H5", { layer: 1, head: 2 }], "zero");
    edit({ layer: 1, head: [1, 2], pos: -1 }, "mean");
    edit({ hook: "pattern", offset: { not: [0, 1] }, head: { not: "L0H1" } }, { scale: 2 });
    edit({ hook: "mlp_post", neuron: { start: 3 } }, { add: 1 });
    edit({ hook: (name) => name.endsWith("hook_z"), pos: 3 }, "zero");
    for (const { layer } of model.layers) edit({ hook: `blocks.${layer}.hook_resid_pre`, pos: [0, 1] }, "zero");
    for (const head of model.heads) edit([head], "zero");
    for (const head of model.heads) edit(head, "zero");
    edit({} as Selection, "zero");
  });

  test("no axis that the activation has not, nor a layer of one hook", () => {
    // @ts-expect-error the stream has no heads
    edit({ hook: "resid_pre", head: 3 }, "zero");
    // @ts-expect-error heads' outputs are no pairs of positions
    edit({ hook: "z", offset: 3 }, "zero");
    // @ts-expect-error patterns have query_pos and key_pos
    edit({ hook: "pattern", pos: 3 }, "zero");
    // @ts-expect-error one hook
    edit({ hook: "blocks.0.attn.hook_z", layer: 3 }, "zero");
    // @ts-expect-error in a list too
    edit([{ hook: "resid_pre", head: 1 }, "L0H1"], "zero");
    // @ts-expect-error no such field
    edit({ layer: 1, head: 1, posn: 1 }, "zero");
    // @ts-expect-error no such hook
    edit("zz", "zero");
  });
});

describe("what an edit does", () => {
  test("a function gets the axes of what is selected, and returns them", () => {
    edit("blocks.0.attn.hook_z", (z) => {
      expectTypeOf(z).toEqualTypeOf<Tensor<"batch pos head d_head">>();
      return multiply(z, 2);
    });
    edit({ hook: "attn_scores", layer: 1 }, (scores) => {
      expectTypeOf(scores).toEqualTypeOf<Tensor<"batch head query_pos key_pos">>();
      return scores;
    });
    // @ts-expect-error an axis is lost
    edit("resid_pre", (x) => mean(x, "pos"));
  });

  test("no action that there is not, nor what does not belong to it", () => {
    // @ts-expect-error no such action
    edit("z", "zeros");
    // @ts-expect-error no such action
    edit("z", { noize: 3 });
    // @ts-expect-error seed is misspelt
    edit("z", { noise: 3, sed: 1 });
    // @ts-expect-error no such axis to average over
    edit("z", { mean: "pos" });
  });
});
