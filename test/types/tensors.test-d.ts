import { describe, expectTypeOf, test } from "vitest";
import { type Tensor, add, matmul, mean, multiply, softmax, stack, subtract, sum } from "transformer-circuits";
import type { TensorFile } from "transformer-circuits/io";
import { batchMatmul, diagonal, min, reshape, set, std, topK, where } from "transformer-circuits/tensor";

declare const resid: Tensor<"batch pos d_model">;
declare const scores: Tensor<"head query_pos key_pos">;
declare const W_Q: Tensor<"d_model d_head">;
declare const W_O: Tensor<"d_head d_model">;
declare const untyped: Tensor;

describe("axes of results", () => {
  test("matmul joins the last axis of the first operand to the first of the second", () => {
    expectTypeOf(matmul(resid, W_Q)).toEqualTypeOf<Tensor<"batch pos d_head">>();
    expectTypeOf(matmul(W_Q, W_O)).toEqualTypeOf<Tensor<"d_model d_model">>();
  });

  test("batchMatmul keeps the stack", () => {
    const z = batchMatmul({} as Tensor<"head query_pos key_pos">, {} as Tensor<"head key_pos d_head">);
    expectTypeOf(z).toEqualTypeOf<Tensor<"head query_pos d_head">>();
  });

  test("reductions and slices take the axis away", () => {
    expectTypeOf(sum(resid, "pos")).toEqualTypeOf<Tensor<"batch d_model">>();
    expectTypeOf(mean(scores, "head")).toEqualTypeOf<Tensor<"query_pos key_pos">>();
    expectTypeOf(resid.select("batch", 0)).toEqualTypeOf<Tensor<"pos d_model">>();
    expectTypeOf(resid.slice("pos", 0, 1)).toEqualTypeOf<Tensor<"batch pos d_model">>();
  });

  test("permute, rename and stack write the axes anew", () => {
    expectTypeOf(W_Q.permute("d_head d_model")).toEqualTypeOf<Tensor<"d_head d_model">>();
    expectTypeOf(W_Q.rename("d_model", "pos")).toEqualTypeOf<Tensor<"pos d_head">>();
    expectTypeOf(stack("head", [W_Q, W_Q])).toEqualTypeOf<Tensor<"head d_model d_head">>();
  });

  test("elementwise functions and softmax keep the axes", () => {
    expectTypeOf(add(resid, resid)).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf(multiply(resid, 2)).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf(softmax(scores, "key_pos")).toEqualTypeOf<Tensor<"head query_pos key_pos">>();
  });

  test("a number on the left leaves the axes of the tensor", () => {
    expectTypeOf(subtract(1, resid)).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf(add(1, untyped)).toEqualTypeOf<Tensor>();
  });

  test("a generic function keeps the axes it is given", () => {
    const twice = <A extends string>(t: Tensor<A>): Tensor<A> => multiply(add(t, 0), 2);
    expectTypeOf(twice(resid)).toEqualTypeOf<Tensor<"batch pos d_model">>();
  });

  test("set, where and topK keep the axes; min, std and diagonal take one away; reshape names them anew", () => {
    expectTypeOf(set(resid, { pos: [1, -1] }, min(resid, "pos"))).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf(where(resid, 1, min(resid, "batch"))).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf(topK(resid, "d_model", 3).indices).toEqualTypeOf<Tensor<"batch pos d_model">>();
    expectTypeOf(std(resid, "pos", { correction: 1 })).toEqualTypeOf<Tensor<"batch d_model">>();
    expectTypeOf(diagonal(scores, "query_pos", "key_pos", 1)).toEqualTypeOf<Tensor<"head query_pos">>();
    expectTypeOf(reshape(resid, "row d_model", [-1, 64])).toEqualTypeOf<Tensor<"row d_model">>();
  });

  test("a tensor of unknown axes goes everywhere first and gives one of unknown axes", () => {
    expectTypeOf(matmul(untyped, untyped)).toEqualTypeOf<Tensor>();
    expectTypeOf(sum(untyped, "anything")).toEqualTypeOf<Tensor>();
    expectTypeOf(resid).toExtend<Tensor>();
  });
});

describe("axes that the compiler cannot know", () => {
  const axis = "query_pos" as "query_pos" | "key_pos";

  test("one of several axes gives what may be left", () => {
    expectTypeOf(sum(scores, axis)).toEqualTypeOf<Tensor<"head key_pos" | "head query_pos">>();
    expectTypeOf(scores.select(axis, 0)).toEqualTypeOf<Tensor<"head key_pos" | "head query_pos">>();
    expectTypeOf(scores.rename(axis, "pos")).toEqualTypeOf<Tensor<"head pos key_pos" | "head query_pos pos">>();
  });

  test("a file's tensor has the axes that it is read with, not those that are wished for", () => {
    const file = {} as TensorFile;
    expectTypeOf(file.read("W_Q")).toEqualTypeOf<Tensor>();
    expectTypeOf(file.read("W_Q", { axes: "d_model d_head" })).toEqualTypeOf<Tensor<"d_model d_head">>();
    // @ts-expect-error read without axes
    const wished: Tensor<"d_model d_head"> = file.read("W_Q");
    // @ts-expect-error read without axes
    matmul(resid, file.read("W_Q"));
    return wished;
  });

  test("a tensor of unknown axes in a call in a call stays unknown", () => {
    expectTypeOf(softmax(untyped.select("head", 0), "key_pos")).toEqualTypeOf<Tensor>();
    expectTypeOf(sum(sum(untyped, "a"), "b")).toEqualTypeOf<Tensor>();
    expectTypeOf(subtract(untyped, mean(untyped.rename("a", "b"), "c"))).toEqualTypeOf<Tensor>();
    expectTypeOf(stack("head", [untyped, resid])).toEqualTypeOf<Tensor>();
  });
});

describe("what would be accepted in silence without NoInfer", () => {
  test("matmul refuses inner axes that differ", () => {
    // @ts-expect-error d_model against d_head
    matmul(resid, W_O);
    // @ts-expect-error d_head against d_model
    matmul(W_Q, W_Q);
  });

  test("and refuses them when both operands are written in place", () => {
    const tensor = <A extends string>(axes: A): Tensor<A> => ({ axes }) as unknown as Tensor<A>;
    // @ts-expect-error d_model against d_head
    matmul(tensor("pos d_model"), tensor("d_head d_model"));
    // @ts-expect-error the stacks differ
    batchMatmul(tensor("head query_pos key_pos"), tensor("batch key_pos d_head"));
    // @ts-expect-error the inner axes differ
    batchMatmul(tensor("head query_pos key_pos"), tensor("head pos d_head"));
  });

  test("an unnamed tensor is no tensor of given axes", () => {
    expectTypeOf(untyped).not.toExtend<Tensor<"pos d_model">>();
    expectTypeOf<Tensor<"pos d_model">>().not.toExtend<Tensor<"pos d_head">>();
  });

  test("add refuses other axes", () => {
    // @ts-expect-error scores have no batch
    add(resid, scores);
    // @ts-expect-error nor where they are taken as values
    set(resid, { pos: 1 }, scores);
    // @ts-expect-error nor where a condition chooses them
    where(resid, scores, 0);
  });

  test("set, topK and diagonal refuse axes that are not there", () => {
    // @ts-expect-error the stream has no heads
    set(resid, { head: 1 }, 0);
    // @ts-expect-error no such axis
    topK(resid, "head", 1);
    // @ts-expect-error no such axis
    diagonal(scores, "query_pos", "pos");
  });
});
