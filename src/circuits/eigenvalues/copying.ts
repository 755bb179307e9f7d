/**
 * Copying read from the full OV circuit itself: how often a token raises its own logit most, and what its diagonal says
 * (*A Mathematical Framework for Transformer Circuits*, "Detecting copying behavior"; ARENA 1.2).
 */
import { requireKind } from "../../errors.ts";
import { diagonalOf, traceOf } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { sharesWithin } from "./accuracy.ts";
import { effectiveOVCircuit, fullOVCircuit, isList } from "../circuits.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Options of {@link copyingAccuracy}.
 * @category Circuits
 */
export interface CopyingAccuracyOptions extends ProgressOptions {
  /** How many of the most raised tokens count; 1 by default, 5 allows for variants of case and spacing. */
  readonly k?: number | undefined;
}

/**
 * Options of {@link copyingAccuracy} for several `k` at once.
 * @category Circuits
 */
export interface CopyingAccuraciesOptions extends ProgressOptions {
  /** How many of the most raised tokens count, each with a share of its own: `[1, 5]` for ARENA's two. */
  readonly k: readonly number[];
}

/**
 * The share of tokens that are among the `k` output tokens a head raises most when it attends to them: ARENA's OV copying
 * accuracy. Several heads are taken together, as one of their effective OV circuit.
 *
 * Exact over the whole vocabulary, without most of the circuit: a token is settled by the first outputs that are raised more, or by a proof that
 * too few can be (see {@link diagonalRanks}). Ties go to the lower id, so a zero head has about `k / d_vocab`, as chance has.
 *
 * @param heads - one head or several that attend alike.
 * @param options - `k`, `signal`, `onProgress` (in source tokens).
 * @returns a share from 0 to 1; for a list of `k`, one for each, for the time of the largest.
 * @throws {@link InputError} when a `k` is not a positive integer, a head is missing or named twice; {@link ShapeError} when
 * output tokens are not the input tokens; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingAccuracy } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(copyingAccuracy(model, "L1H4", { k: 5 }).toFixed(2));
 * // 0.57
 * console.log(copyingAccuracy(model, ["L1H3", "L1H4"], { k: [1, 5] }).map((share) => share.toFixed(2)));
 * // [ '0.69', '0.90' ]
 * ```
 */
export function copyingAccuracy(
  model: Transformer,
  heads: HeadRef | readonly HeadRef[],
  options?: CopyingAccuracyOptions,
): number;
/** As above, for several `k` at once. */
export function copyingAccuracy(
  model: Transformer,
  heads: HeadRef | readonly HeadRef[],
  options: CopyingAccuraciesOptions,
): number[];
export function copyingAccuracy(
  model: Transformer,
  heads: HeadRef | readonly HeadRef[],
  options: CopyingAccuracyOptions | CopyingAccuraciesOptions = {},
): number | number[] {
  requireKind("model", model, "model", "copyingAccuracy", options);
  const circuit = isList(heads) ? effectiveOVCircuit(model, heads) : fullOVCircuit(model, heads);
  return sharesWithin(circuit, options.k, options, "copyingAccuracy");
}

/**
 * {@link copyingAccuracy} of every head on its own.
 *
 * @param options - `k`, `signal`, `onProgress` (in heads).
 * @returns `[layer, head]`, shares from 0 to 1, float64.
 * @throws as {@link copyingAccuracy}.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingAccuracies } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const top1 = copyingAccuracies(model);
 * console.log(top1.at(1, 4).toFixed(2), top1.at(0, 5).toFixed(2));
 * // 0.25 0.00
 * ```
 */
export function copyingAccuracies(model: Transformer, options: CopyingAccuracyOptions = {}): Tensor<"layer head"> {
  requireKind("model", model, "model", "copyingAccuracies", options);
  const { k = 1, signal } = options;
  const { n_layers, n_heads } = model.config;
  const shares = new Float64Array(n_layers * n_heads);
  const steps = new Steps(options, shares.length);
  for (const [at, head] of model.heads.entries()) {
    shares[at] = sharesWithin(fullOVCircuit(model, head), k, { signal }, "copyingAccuracies") as number;
    steps.advance();
  }
  return Tensor.from("layer head", [n_layers, n_heads], shares);
}

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
 * The diagonal of a head's full OV circuit: how much attending to each token changes its own logit, and for which share it is
 * an increase.
 *
 * An unembedding that is not centred over the vocabulary adds the same number to a whole row, which the softmax does not see
 * but a diagonal's sign does: centre it first where that matters.
 *
 * @param head - the head, by place or label.
 * @throws {@link InputError} when the model has no such head; {@link ShapeError} when output tokens are not the input tokens.
 * @category Circuits
 * @example
 * ```ts
 * import { ovDiagonal } from "transformer-circuits";
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
