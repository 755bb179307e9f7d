/**
 * How much of a context a model makes use of: the loss of late tokens against that of early ones (*In-context Learning
 * and Induction Heads*, Olsson et al. 2022).
 */
import { InputError, requireOptions } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
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
 * The in-context learning score: the mean loss of predicting the 500th token minus that of the 50th, in nats. The
 * lower, the more a model gains from context; models in the paper fall from −0.15 to −0.4 as induction heads form.
 *
 * The paper leaves the indices' origin open; here the n-th token of a prompt is its n-th, BOS counted, and its loss is
 * entry n − 2 of {@link lossPerToken}.
 *
 * @param loss - `[batch, pos]`, as {@link lossPerToken} gives it.
 * @throws {@link InputError} when prompts are shorter than the tokens asked for, or a number is not a positive integer.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { inContextLearningScore } from "transformer-circuits/heads";
 *
 * // A loss that falls with the logarithm of the token's place.
 * const loss = Tensor.from(
 *   "batch pos",
 *   [1, 511],
 *   Array.from({ length: 511 }, (_, i) => 8 - 0.5 * Math.log(i + 2)),
 *   "float64",
 * );
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
