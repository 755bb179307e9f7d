import { describe, expectTypeOf, test } from "vitest";
import type { HookName, Run, Tensor, Transformer } from "transformer-circuits";
import type {
  ActivationCache,
  AxesOfHook,
  PartialRun,
  PartialRunOptions,
  RunOptions,
  StoppedRun,
} from "transformer-circuits/model";

declare const model: Transformer;
declare const cache: ActivationCache;

describe("hook names and their axes", () => {
  test("a name decides the axes of what the cache gives", () => {
    expectTypeOf(cache.get("blocks.1.attn.hook_pattern")).toEqualTypeOf<Tensor<"batch head query_pos key_pos">>();
    expectTypeOf(cache.get("blocks.0.attn.hook_q")).toEqualTypeOf<Tensor<"batch pos head d_head">>();
    expectTypeOf(cache.get("blocks.0.attn.hook_result")).toEqualTypeOf<Tensor<"batch pos head d_model">>();
    expectTypeOf(cache.get("hook_embed")).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf<AxesOfHook<"unembed.hook_out">>().toEqualTypeOf<"batch pos d_vocab">();
  });

  test("the layer may be known at run time only", () => {
    const layer = 1 as number;
    expectTypeOf(cache.get(`blocks.${layer}.attn.hook_z`)).toEqualTypeOf<Tensor<"batch pos head d_head">>();
  });

  test("other names are no hooks", () => {
    expectTypeOf<"blocks.0.attn.hook_patern">().not.toExtend<HookName>();
    expectTypeOf<"blocks.x.attn.hook_z">().not.toExtend<HookName>();
    // @ts-expect-error no such hook
    cache.get("blocks.0.hook_pattern");
  });
});

describe("a run", () => {
  test("gives logits with their axes", () => {
    expectTypeOf(model.forward([0, 1])).toEqualTypeOf<Tensor<"batch pos d_vocab">>();
    expectTypeOf(model.run([0, 1])).toEqualTypeOf<Run>();
    expectTypeOf<Run["logits"]>().toEqualTypeOf<Tensor<"batch pos d_vocab">>();
  });

  test("hands each edit the tensor of its hook and wants the same axes back", () => {
    model.run([0, 1], {
      edits: {
        "blocks.0.attn.hook_pattern": (pattern) => {
          expectTypeOf(pattern).toEqualTypeOf<Tensor<"batch head query_pos key_pos">>();
          return pattern;
        },
      },
    });
    // @ts-expect-error another hook's axes
    model.run([0, 1], { edits: { "blocks.0.attn.hook_z": () => cache.get("hook_embed") } });
  });
});

describe("a run that computes no logits", () => {
  test("has none in its type, and the stream where it stopped before a layer", () => {
    expectTypeOf(model.run([0, 1], { unembed: "none" })).toEqualTypeOf<PartialRun>();
    expectTypeOf(model.run([0, 1], { stopAt: "blocks.0.attn.hook_pattern" })).toEqualTypeOf<PartialRun>();
    expectTypeOf(model.run([0, 1], { stopAt: 1 })).toEqualTypeOf<StoppedRun>();
    expectTypeOf(model.run([0, 1], { unembed: "last", directions: [3] })).toEqualTypeOf<Run>();
    // @ts-expect-error no logits
    void model.run([0, 1], { unembed: "none" }).logits;
  });

  test("options made before say what they know", () => {
    expectTypeOf(model.run([0, 1], {} as RunOptions)).toEqualTypeOf<Run>();
    expectTypeOf(model.run([0, 1], {} as PartialRunOptions)).toEqualTypeOf<PartialRun>();
  });

  test("is no run to read logits of, and stops where it has a layer or a hook", () => {
    expectTypeOf<PartialRun>().not.toExtend<Run>();
    expectTypeOf<Run>().toExtend<PartialRun>();
    // @ts-expect-error output tokens of a run without logits
    model.run([0, 1], { unembed: "none", directions: [3] });
    // @ts-expect-error no such option
    model.run([0, 1], { unembd: "none" });
    // @ts-expect-error logits of a run that stops before them
    model.run([0, 1], { stopAt: 1, unembed: "last" });
    // @ts-expect-error no such hook
    model.run([0, 1], { stopAt: "blocks.0.hook_pattern" });
  });
});
