/** The diagonal of the full OV circuit: what attending to a token does to that token's own logit. */
import { requireKind } from "../../errors.ts";
import { diagonalOf, traceOf } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { fullOVCircuit } from "../circuits.ts";

/**
 * The diagonal of a full OV circuit and what it sums up to.
 * @category Circuits
 */
export interface OVDiagonal {
  /** `[d_vocab]`: how much attending to a token changes that token's own logit, float64. */
  readonly diagonal: Tensor<"d_vocab">;
  /** Its mean, the trace of the circuit divided by d_vocab. */
  readonly meanDiagonal: number;
  /** The share of tokens that raise their own logit. */
  readonly fractionPositive: number;
}

/**
 * The diagonal of a head's full OV circuit: how much attending to each token changes its own logit, and for which share
 * it is an increase.
 *
 * An unembedding that is not centred over the vocabulary adds the same number to a whole row, which the softmax does
 * not see but a diagonal's sign does: centre it first where that matters.
 *
 * @param head - the head, by place or label.
 * @throws {@link InputError} when the model has no such head; {@link ShapeError} when output tokens are not the input
 * tokens.
 * @category Circuits
 * @example
 * ```ts
 * import { ovDiagonal } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { meanDiagonal, fractionPositive } = ovDiagonal(model, "L1H4");
 * console.log(meanDiagonal.toFixed(2), fractionPositive.toFixed(2));
 * // 1.64 1.00
 * ```
 */
export function ovDiagonal(model: Transformer, head: HeadRef): OVDiagonal {
  requireKind("model", model, "model", "ovDiagonal");
  const circuit = fullOVCircuit(model, head);
  const diagonal = diagonalOf(circuit);
  const positive = (diagonal.data as Float64Array).reduce((count, x) => count + (x > 0 ? 1 : 0), 0);
  return { diagonal, meanDiagonal: traceOf(circuit) / diagonal.size, fractionPositive: positive / diagonal.size };
}
