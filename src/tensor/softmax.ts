/** Softmax and its logarithm along one axis. */
import { requireKind } from "../errors.ts";
import type { AxisOf } from "../axes.ts";
import { kernels } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { kernelData, rawData, tensorOf } from "./raw.ts";
import { noSuchAxis } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";
import { dataForResult } from "./storage.ts";

/**
 * Probabilities along an axis, $e^{x_i - \max x} / \sum_j e^{x_j - \max x}$; the maximum is always taken out first.
 *
 * A score of −Infinity gets probability 0; a row of nothing else gets zeros.
 *
 * @throws {@link AxisError} when there is no such axis.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, softmax } from "transformer-circuits";
 *
 * const scores = Tensor.fromNested("query_pos key_pos", [[0, -Infinity], [1000, 1000]]);
 * console.log(softmax(scores, "key_pos").toNested());
 * // [ [ 1, 0 ], [ 0.5, 0.5 ] ]
 * ```
 */
export function softmax<A extends string>(t: Tensor<A>, axis: AxisOf<A>): Tensor<A> {
  requireKind("tensor", t, "t", "softmax");
  return alongAxis(t, axis, "softmax");
}

/**
 * Log-probabilities along an axis in nats, $x_i - \max x - \ln \sum_j e^{x_j - \max x}$.
 *
 * @throws {@link AxisError} when there is no such axis.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, logSoftmax } from "transformer-circuits";
 *
 * const logits = Tensor.fromNested("pos d_vocab", [[0, 0], [1000, 0]]);
 * const nats = logSoftmax(logits, "d_vocab");
 * console.log(nats.at(0, 0).toFixed(4), nats.at(1, 1));
 * // -0.6931 -1000
 * ```
 */
export function logSoftmax<A extends string>(t: Tensor<A>, axis: AxisOf<A>): Tensor<A> {
  requireKind("tensor", t, "t", "logSoftmax");
  return alongAxis(t, axis, "logSoftmax");
}

function alongAxis<A extends string>(t: Tensor<A>, axis: AxisOf<A>, operation: "softmax" | "logSoftmax"): Tensor<A> {
  const a = t.names.indexOf(axis);
  if (a < 0) throw noSuchAxis(t, axis, operation);
  const order = [...t.names.filter((name) => name !== axis), axis].join(" ");
  const last = (t as Tensor).permute(order);
  const cols = t.shape[a] ?? 0;
  const rows = cols === 0 ? 0 : t.size / cols;
  const output = dataForResult(t.dtype === "float64" ? "float64" : "float32", t.size) as FloatArray;
  const input = (t.dtype === "int32" ? Float32Array.from(rawData(last)) : kernelData(last)) as FloatArray;
  const args = { rows, cols, input, inputOffset: 0, output, outputOffset: 0 };
  if (operation === "softmax") kernels().softmax(args);
  else kernels().logSoftmax(args);
  const result: Tensor = tensorOf(order, last.shape, output);
  return result.permute<string, A>(t.axes);
}
