/** Changes of a model's weights that leave its function as it is (models without norms, float64 weights). */
import type { Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { withWeights } from "./random-model.ts";
import { matrix, mul, randomInvertible, randomOrthogonal, t } from "../circuits/dense-reference.ts";
import type { Matrix } from "../circuits/dense-reference.ts";

/** The residual stream seen in another basis, x → x M, with the inverse of M given. */
export function changeBasis(model: Transformer, M: Matrix, inverse: Matrix): Transformer {
  return withWeights(model, (name, weight) => {
    if (/W_(E|pos)$/.test(name)) return fromMatrix(weight, mul(matrix(weight), M));
    if (name.endsWith("W_U")) return fromMatrix(weight, mul(inverse, matrix(weight)));
    if (name.endsWith("b_O")) return fromMatrix(weight, mul([weight.toNested() as number[]], M));
    if (name.endsWith("W_O")) return perHead(weight, (W) => mul(W, M));
    if (/W_[QKV]$/.test(name)) return perHead(weight, (W) => mul(inverse, W));
    return weight;
  });
}

export function rotated(model: Transformer, seed: number): Transformer {
  const rotation = randomOrthogonal(model.config.d_model, seed);
  return changeBasis(model, rotation, t(rotation));
}

export function stretched(model: Transformer, seed: number): Transformer {
  const { matrix: M, inverse } = randomInvertible(model.config.d_model, seed);
  return changeBasis(model, M, inverse);
}

/** Other coordinates inside every head: queries and values through G, keys and outputs through its inverse. */
export function changeHeadBases(model: Transformer, seed: number): Transformer {
  const pair = randomInvertible(model.config.d_head, seed);
  const { matrix: G, inverse } = pair;
  return withWeights(model, (name, weight) => {
    if (/W_[QV]$/.test(name)) return perHead(weight, (W) => mul(W, G));
    if (name.endsWith("W_K")) return perHead(weight, (W) => mul(W, t(inverse)));
    if (name.endsWith("W_O")) return perHead(weight, (W) => mul(inverse, W));
    if (/b_[QV]$/.test(name)) return fromMatrix(weight, mul(matrix(weight), G));
    if (name.endsWith("b_K")) return fromMatrix(weight, mul(matrix(weight), t(inverse)));
    return weight;
  });
}

function perHead(weight: Tensor, change: (W: Matrix) => Matrix): Tensor {
  const heads = weight.shape[0] ?? 0;
  const numbers = Array.from({ length: heads }, (_, h) => change(matrix(weight.select("head", h)))).flat(2);
  return Tensor.from(weight.axes, weight.shape, numbers, "float64");
}

function fromMatrix(weight: Tensor, numbers: Matrix): Tensor {
  return Tensor.from(weight.axes, weight.shape, numbers.flat(), "float64");
}
