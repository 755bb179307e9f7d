import { describe, expectTypeOf, test } from "vitest";
import {
  type Dual,
  type Linear,
  type Tensor,
  type Transformer,
  applyMap,
  compose,
  toDense,
  transpose,
} from "transformer-circuits";
import { addMaps, composeAll, scaleMap, sumMaps } from "transformer-circuits/linear";
import type { AttentionHead } from "transformer-circuits/model";

declare const model: Transformer;
declare const head: AttentionHead;
declare const W_E: Linear<"d_vocab", "d_model">;
declare const W_V: Linear<"d_model", "d_head">;
declare const W_U: Linear<"d_model", "d_vocab">;

describe("spaces of maps", () => {
  test("the model and its heads have the spaces of the paper", () => {
    expectTypeOf(model.W_E).toEqualTypeOf<Linear<"d_vocab", "d_model">>();
    expectTypeOf(model.W_U).toEqualTypeOf<Linear<"d_model", "d_vocab">>();
    expectTypeOf(head.W_QK).toEqualTypeOf<Linear<"d_model", "d_model*">>();
    expectTypeOf(head.W_OV).toEqualTypeOf<Linear<"d_model", "d_model">>();
  });

  test("compose goes from the first map's space to the last one's", () => {
    expectTypeOf(compose(W_E, head.W_OV, W_U)).toEqualTypeOf<Linear<"d_vocab", "d_vocab">>();
    expectTypeOf(compose(W_E, head.W_QK, transpose(W_E))).toEqualTypeOf<Linear<"d_vocab", "d_vocab*">>();
    expectTypeOf(composeAll([head.W_OV, head.W_OV])).toEqualTypeOf<Linear<"d_model", "d_model">>();
  });

  test("transpose swaps the ends and stars them; twice, it gives the map's own type back", () => {
    expectTypeOf(transpose(W_V)).toEqualTypeOf<Linear<"d_head*", "d_model*">>();
    expectTypeOf(transpose(head.W_QK)).toEqualTypeOf<Linear<"d_model", "d_model*">>();
    expectTypeOf(transpose(transpose(W_V))).toEqualTypeOf<Linear<"d_model", "d_head">>();
    expectTypeOf<Dual<"d_model*">>().toEqualTypeOf<"d_model">();
  });

  test("sums and multiples keep the spaces", () => {
    expectTypeOf(addMaps(head.W_OV, head.W_OV)).toEqualTypeOf<Linear<"d_model", "d_model">>();
    expectTypeOf(scaleMap(W_V, 2)).toEqualTypeOf<Linear<"d_model", "d_head">>();
  });

  test("a map takes tensors that end in its space, and multiplied out it is a tensor", () => {
    expectTypeOf(applyMap({} as Tensor<"batch pos d_model">, W_V)).toEqualTypeOf<Tensor<"batch pos d_head">>();
    expectTypeOf(toDense(W_V)).toEqualTypeOf<Tensor<"d_model d_head">>();
  });
});

describe("what would be accepted in silence without NoInfer and duals", () => {
  const linearMap = <In extends string, Out extends string>(from: In, to: Out): Linear<In, Out> =>
    ({ in: from, out: to }) as unknown as Linear<In, Out>;

  test("compose refuses a gap, also between maps written in place", () => {
    // @ts-expect-error d_head is not d_model
    compose(W_E, W_V, W_U);
    // @ts-expect-error d_head is not d_model
    compose(linearMap("d_vocab", "d_model"), linearMap("d_model", "d_head"), linearMap("d_model", "d_vocab"));
  });

  test("the three mistakes with W_QK", () => {
    // @ts-expect-error the transpose is forgotten
    compose(W_E, head.W_QK, W_E);
    // @ts-expect-error attention scores are no logits
    compose(W_E, head.W_QK, W_U);
    // @ts-expect-error keys are read before queries write
    compose(head.W_QK, head.W_OV);
  });

  test("lists of maps of several spaces are none of one space", () => {
    // @ts-expect-error one is a score
    sumMaps([head.W_OV, head.W_QK]);
    // @ts-expect-error two spaces
    composeAll([head.W_OV, linearMap("d_head", "d_head")]);
    expectTypeOf(sumMaps([W_V, W_V])).toEqualTypeOf<Linear<"d_model", "d_head">>();
  });

  test("maps between different spaces do not add", () => {
    // @ts-expect-error a score is no residual
    addMaps(head.W_OV, head.W_QK);
  });
});
