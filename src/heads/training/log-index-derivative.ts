/**
 * The slope of a loss over the place in the context (*In-context Learning and Induction Heads*, Olsson et al. 2022).
 */
import { InputError } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData, requireAxes } from "../../tensor/internal.ts";

/**
 * The slope of a loss against the logarithm of the token's place, $\partial L / \partial \ln n$, from least squares
 * over all places within a factor of the place: the curves by which the paper shows when models learn in context.
 *
 * @param loss - `[pos]`: the mean loss of the tokens in order, entry i being that of token i + 2, as
 * {@link lossPerToken} has it.
 * @param factor - how far the fit reaches on either side; 1.5 by default.
 * @returns `[pos]`, nats per unit of $\ln n$, float64.
 * @throws {@link InputError} when `factor` is not above 1, or there is one loss alone.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { logIndexDerivative } from "transformer-circuits/heads";
 *
 * const loss = Tensor.from("pos", [99], Array.from({ length: 99 }, (_, i) => 5 - 0.3 * Math.log(i + 2)), "float64");
 * console.log(logIndexDerivative(loss).at(40).toFixed(4));
 * // -0.3000
 * ```
 */
export function logIndexDerivative(loss: Tensor<"pos">, factor = 1.5): Tensor<"pos"> {
  requireAxes(loss, "pos", "loss", "logIndexDerivative");
  if (!(factor > 1 && Number.isFinite(factor))) {
    throw new InputError(`factor is ${factor}; the fit reaches from n / factor to n factor, so give more than 1.`, {
      operation: "logIndexDerivative",
      argument: "factor",
      expected: "above 1",
      actual: factor,
    });
  }
  const data = rawData(loss);
  const count = data.length;
  if (count === 1) {
    throw new InputError("one loss has no slope. Give the losses of at least two tokens.", {
      operation: "logIndexDerivative",
      argument: "loss",
      expected: "at least 2",
      actual: count,
    });
  }
  // Prefix sums of 1, x, y, x², xy with x = ln n: every window is a difference of two.
  const sums = Array.from({ length: 4 }, () => new Float64Array(count + 1));
  const [X, Y, XX, XY] = sums as [Float64Array, Float64Array, Float64Array, Float64Array];
  for (let i = 0; i < count; i++) {
    const [x, y] = [Math.log(i + 2), data[i] as number];
    for (const [sum, term] of [
      [X, x],
      [Y, y],
      [XX, x * x],
      [XY, x * y],
    ] as const)
      sum[i + 1] = (sum[i] as number) + term;
  }
  const slopes = Float64Array.from({ length: count }, (_, i) => {
    const token = i + 2;
    // At least one neighbour on either side, where there is one.
    const from = Math.max(0, Math.min(i - 1, Math.ceil(token / factor) - 2));
    const to = Math.min(count, Math.max(i + 2, Math.floor(token * factor) - 1));
    const over = (sum: Float64Array): number => (sum[to] as number) - (sum[from] as number);
    const n = to - from;
    return (n * over(XY) - over(X) * over(Y)) / (n * over(XX) - over(X) ** 2);
  });
  return Tensor.from("pos", [count], slopes);
}
