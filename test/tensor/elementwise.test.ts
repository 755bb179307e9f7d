/** Functions of each element against the package ndarray-ops, whose names they have. */
import ops from "ndarray-ops";
import type { NdArray } from "ndarray";
import { expect, test } from "vitest";
import { Tensor } from "../../src/tensor/index.ts";
import { elementwise, toNdarray, type ElementwiseName } from "../../src/tensor/ndarray.ts";

const names = "abs acos asin atan ceil cos exp floor log neg recip round sin sqrt tan".split(" ") as ElementwiseName[];
const values = [-2.5, -1, -0.5, -0, 0, 0.3, 0.5, 1, 2.5, 7, Infinity, NaN];

test.each(names)("%s is that of ndarray-ops, also of a transposed view", (name) => {
  for (const t of [Tensor.from("a b", [3, 4], values, "float64"), Tensor.from("a b", [3, 4], values).permute("b a")]) {
    const expected = Tensor.zeros("a b", t.shape, t.dtype);
    (ops[name] as (out: NdArray, x: NdArray) => void)(
      toNdarray(expected) as NdArray,
      toNdarray(t as Tensor) as NdArray,
    );
    const actual = elementwise(name, t as Tensor);
    expect(actual.dtype).toBe(t.dtype);
    expect([...actual.data]).toEqual([...expected.data]);
  }
});
