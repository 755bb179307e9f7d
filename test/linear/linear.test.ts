import { describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../src/errors.ts";
import { Tensor } from "../../src/tensor/index.ts";
import {
  compose,
  entryOf,
  eigenvaluesOf,
  frobeniusNormOf,
  identityMap,
  innerProductMap,
  linear,
  rowsOf,
  scaleMap,
  toDense,
  traceOf,
  transpose,
} from "../../src/linear/index.ts";
import { describeMap } from "../../src/linear/internal.ts";
import { map, total } from "./dense-reference.ts";

function errorOf(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("a map of one matrix", () => {
  test("has the spaces given and the sizes of the matrix", () => {
    const f = linear("d_model", "d_head*", Tensor.zeros("d_model d_head", [6, 2]));
    expect([f.in, f.out, f.rows, f.cols]).toEqual(["d_model", "d_head*", 6, 2]);
    expect(f.toString()).toBe("Linear[d_model=6 -> d_head*=2] of rank at most 2");
    expect(describeMap(f)).toBe("[d_model=6 -> d_head*=2]");
  });

  test("shares the storage of its tensor, transposed views included", () => {
    const W_U = Tensor.fromNested("d_model d_vocab", [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const f = linear("d_vocab*", "d_model*", W_U.permute("d_vocab d_model"));
    const factor = f.factors[0];
    expect(factor?.kind === "matrix" && factor.data).toBe(W_U.storage);
    expect(toDense(f).toNested()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  });

  test("takes dense float64 matrices and int32 tensors", () => {
    const dense = linear("a", "b", { rows: 1, cols: 2, data: Float64Array.of(0.1, 2) });
    expect(entryOf(dense, 0, 0)).toBe(0.1);
    const integers = linear("a", "b", Tensor.from("x y", [1, 2], Int32Array.of(16777217, -3)));
    expect(toDense(integers).toNested()).toEqual([[16777217, -3]]);
  });

  test("multiplied out is float64 in storage of its own, negative zero kept", () => {
    const numbers = Float64Array.of(1, -0, 3, 4);
    const f = linear("a", "b", Tensor.from("x y", [2, 2], numbers));
    const dense = toDense(f);
    expect(dense.dtype).toBe("float64");
    expect(dense.storage.buffer).not.toBe(numbers.buffer);
    expect(Object.is(dense.at(0, 1), -0)).toBe(true);
  });

  test("multiplied out bears the two spaces, or in and out where they clash", () => {
    const square = Tensor.zeros("rows cols", [2, 2]);
    expect(toDense(linear("a", "b", square)).axes).toBe("a b");
    expect(toDense(linear("a", "b*", square)).axes).toBe("a b*");
    expect(toDense(linear("a", "a", square)).axes).toBe("a_in a_out");
    expect(toDense(linear("a", "a*", square)).axes).toBe("a_in a_out");
    expect(toDense(linear("a*", "a", square)).axes).toBe("a_in a_out");
  });

  test("sizes 0 and 1 work", () => {
    const none = linear("a", "b", Tensor.zeros("x y", [3, 0]));
    const back = linear("b", "a", Tensor.zeros("x y", [0, 3]));
    const zero = compose(none, back);
    expect(toDense(zero).toNested()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(traceOf(zero)).toBe(0);
    expect(frobeniusNormOf(zero)).toBe(0);
    expect(eigenvaluesOf(zero).re.shape).toEqual([0]);
    expect(eigenvaluesOf(map("a", "a", [[-3]])).re.toNested()).toEqual([-3]);
  });
});

describe("the identity", () => {
  test("holds no factors, and leaves what it is composed with alone", () => {
    const f = map("d_model", "d_head", [
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const composed = compose(identityMap("d_model", 3), f, identityMap("d_head", 2));
    expect(composed.factors).toEqual(f.factors);
  });

  test("answers questions, also for a vocabulary whose matrix would take 20 GB", () => {
    const identity = identityMap("d_vocab", 50257);
    expect(traceOf(identity)).toBe(50257);
    expect(traceOf(scaleMap(identity, -2))).toBe(-100514);
    expect(frobeniusNormOf(scaleMap(identity, -2))).toBeCloseTo(2 * Math.sqrt(50257), 9); // one rounding
    expect(entryOf(identity, 7, 7)).toBe(1);
    expect(entryOf(identity, 7, 8)).toBe(0);
    const row = rowsOf(identity, [50256]);
    expect(row.at(0, 50256)).toBe(1);
    expect(total(Array.from(row.data, Math.abs))).toBe(1);
  });

  test("as inner product gives dot products: W_E W_Eᵀ", () => {
    const W_E = map("d_vocab", "d_model", [
      [1, 2],
      [3, 4],
    ]);
    const gram = compose(W_E, innerProductMap("d_model", 2), transpose(W_E));
    expect([gram.in, gram.out]).toEqual(["d_vocab", "d_vocab*"]);
    expect(toDense(gram).toNested()).toEqual([
      [5, 11],
      [11, 25],
    ]);
    expect(innerProductMap("d_model*", 2).out).toBe("d_model");
    expect(() => innerProductMap("d_model", 0.5)).toThrow(
      "innerProductMap: 0.5 is not the size of a space; use a non-negative integer.",
    );
  });

  test("is its own transpose, in the dual space", () => {
    const f = transpose(identityMap("d_model", 2));
    expect([f.in, f.out]).toEqual(["d_model*", "d_model*"]);
    expect(toDense(f).toNested()).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });
});

describe("refusals", () => {
  test("a tensor that is not a matrix", () => {
    const error = errorOf(() => linear("d_model", "d_head", Tensor.zeros("head d_model d_head", [2, 4, 3])));
    expect(error).toBeInstanceOf(ShapeError);
    expect(error.message).toBe("linear: takes a matrix [d_model, d_head]; the tensor is [head=2 d_model=4 d_head=3].");
  });

  test("a tensor whose axes are the spaces the other way round", () => {
    const error = errorOf(() => linear("d_model", "d_head*", Tensor.zeros("d_head d_model", [3, 4])));
    expect(error).toBeInstanceOf(AxisError);
    expect(error.message).toBe(
      'linear: the matrix is [d_head=3 d_model=4], the other way round: rows are d_model and columns d_head*. Did you mean matrix.permute("d_model d_head")?',
    );
  });

  test("a space that is not one name", () => {
    const matrix = Tensor.zeros("x y", [1, 1]);
    expect(errorOf(() => linear("a b", "c", matrix)).message).toBe(
      'linear: "a b" is not the name of one space. Write it as in "d_model" or "d_model*".',
    );
    expect(errorOf(() => linear("a", "", matrix)).message).toBe(
      'linear: "" is not the name of one space. Write it as in "d_model" or "d_model*".',
    );
    expect(errorOf(() => identityMap("d-model", 2))).toBeInstanceOf(AxisError);
    expect(errorOf(() => identityMap("a b", 2)).message).toBe(
      'identityMap: "a b" is not the name of one space. Write it as in "d_model" or "d_model*".',
    );
  });

  test("a dense matrix with too few numbers", () => {
    const error = errorOf(() => linear("a", "b", { rows: 2, cols: 2, data: new Float64Array(3) }));
    expect(error).toBeInstanceOf(ShapeError);
    expect(error.message).toBe("linear: a 2 x 2 matrix holds 4 numbers but 3 were given.");
  });

  test.each([-1, 1.5, Number.NaN])("an identity of size %s", (size) => {
    const error = errorOf(() => identityMap("a", size));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toBe(`identityMap: ${size} is not the size of a space; use a non-negative integer.`);
  });

  test("multiplying out more than 2 GiB", () => {
    const error = errorOf(() => toDense(identityMap("d_vocab", 50257)));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toBe(
      "toDense: 50257 x 50257 entries of [d_vocab=50257 -> d_vocab=50257] would take 18.8 GiB; at most 2 GiB are made at once. Ask for fewer rows or columns (restrict), or for what you need of them (topKPerRow, diagonalOf, singularValuesOf).",
    );
  });
});
