/**
 * How much of a context a model makes use of: the loss of late tokens against that of early ones (*In-context Learning and Induction Heads*,
 * Olsson et al. 2022).
 */
import { InputError, requireOptions } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData, requireAxes } from "../../tensor/internal.ts";
import { requireCount } from "../../model/internal.ts";

/**
 * Options of {@link inContextLearningScore}. Tokens are counted from 1, a BOS token included.
 * @category Head scores
 */
export interface InContextLearningOptions {
  /** The early token; 50 by default. */
  readonly early?: number | undefined;
  /** The late token; 500 by default. */
  readonly late?: number | undefined;
  /** How many tokens a loss is averaged over, ending with the one named; 1 by default. */
  readonly window?: number | undefined;
}

/**
 * The in-context learning score: the mean loss of predicting the 500th token minus that of the 50th, in nats. The lower, the more a model
 * gains from context; models in the paper fall from −0.15 to −0.4 as induction heads form.
 *
 * The paper leaves the indices' origin open; here the n-th token of a prompt is its n-th, BOS counted, and its loss is entry n − 2 of
 * {@link lossPerToken}.
 *
 * @param loss - `[batch, pos]`, as {@link lossPerToken} gives it.
 * @throws {@link InputError} when prompts are shorter than the tokens asked for, or a number is not a positive integer.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor, inContextLearningScore } from "transformer-circuits";
 *
 * // A loss that falls with the logarithm of the token's place.
 * const loss = Tensor.from("batch pos", [1, 511], Array.from({ length: 511 }, (_, i) => 8 - 0.5 * Math.log(i + 2)), "float64");
 * console.log(inContextLearningScore(loss).toFixed(4), (-0.5 * Math.log(10)).toFixed(4));
 * // -1.1513 -1.1513
 * ```
 */
export function inContextLearningScore(loss: Tensor<"batch pos">, options: InContextLearningOptions = {}): number {
  requireAxes(loss, "batch pos", "loss", "inContextLearningScore");
  requireOptions(options, "inContextLearningScore");
  const operation = "inContextLearningScore";
  const { early = 50, late = 500, window = 1 } = options;
  for (const [name, value] of Object.entries({ early, late, window })) requireCount(value, name, operation);
  const [batch = 0, count = 0] = loss.shape;
  for (const [argument, token] of Object.entries({ early, late })) {
    if (token - window >= 1 && token - 2 < count) continue;
    throw new InputError(
      `the loss of token ${token} over a window of ${window} does not exist: prompts have ${count + 1} tokens, and the first is not predicted. Choose another early, late or window.`,
      { operation, argument, expected: [window + 1, count + 1], actual: token },
    );
  }
  const data = rawData(loss);
  const meanAt = (token: number): number => {
    let sum = 0;
    for (let b = 0; b < batch; b++)
      for (let t = token - window + 1; t <= token; t++) sum += data[b * count + t - 2] as number;
    return sum / (batch * window);
  };
  return meanAt(late) - meanAt(early);
}

/**
 * The slope of a loss against the logarithm of the token's place, $\partial L / \partial \ln n$, from least squares over all places within a factor
 * of the place: the curves by which the paper shows when models learn in context.
 *
 * @param loss - `[pos]`: the mean loss of the tokens in order, entry i being that of token i + 2, as {@link lossPerToken} has it.
 * @param factor - how far the fit reaches on either side; 1.5 by default.
 * @returns `[pos]`, nats per unit of $\ln n$, float64.
 * @throws {@link InputError} when `factor` is not above 1.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor, logIndexDerivative } from "transformer-circuits";
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
