/**
 * Copying read from the full OV circuit itself: how often a token raises its own logit most (*A Mathematical Framework
 * for Transformer Circuits*, "Detecting copying behavior"; ARENA 1.2).
 */
import { requireKind } from "../../errors.ts";
import { diagonalRanks } from "../../linear/index.ts";
import type { SquareMap } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { requireCount } from "../../model/internal.ts";
import { effectiveOVCircuit, fullOVCircuit, isList } from "../circuits.ts";
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
 * The share of tokens that are among the `k` output tokens a head raises most when it attends to them: ARENA's OV
 * copying accuracy. Several heads are taken together, as one of their effective OV circuit; for each head on its own,
 * `model.heads.map((head) => copyingAccuracy(model, head))`.
 *
 * Exact over the whole vocabulary, without most of the circuit: a token is decided by the first outputs that are raised
 * more, or by a proof that too few can be (see {@link diagonalRanks}). Ties go to the lower id, so a zero head has
 * about `k / d_vocab`, as chance has.
 *
 * @param heads - one head or several that attend alike.
 * @param options - `k`, `signal`, `onProgress` (in source tokens).
 * @returns a share from 0 to 1; for a list of `k`, one for each, for the time of the largest.
 * @throws {@link InputError} when a `k` is not a positive integer, a head is missing or named twice; {@link ShapeError}
 * when output tokens are not the input tokens; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingAccuracy } from "transformer-circuits/circuits";
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
  requireKind("model", model, "model", "copyingAccuracy", options, "k signal onProgress");
  const circuit = isList(heads) ? effectiveOVCircuit(model, heads) : fullOVCircuit(model, heads);
  const { k = 1 } = options;
  return Array.isArray(k)
    ? sharesWithinEach(circuit, k as readonly number[], options, "copyingAccuracy")
    : shareWithin(circuit, k as number, options, "copyingAccuracy");
}

/** For each of `ks`, the share of rows whose diagonal entry is among that many largest. */
function sharesWithinEach(
  circuit: SquareMap<string>,
  ks: readonly number[],
  { signal, onProgress }: ProgressOptions,
  operation: string,
): number[] {
  for (const k of ks) requireCount(k, "k", operation);
  if (ks.length === 0) return [];
  const ranks = diagonalRanks(circuit, { atMost: Math.max(...ks), signal, onProgress }).data as Int32Array;
  return ks.map((k) => ranks.reduce((hits, rank) => hits + (rank < k ? 1 : 0), 0) / ranks.length);
}

/** The share of rows whose diagonal entry is among the `k` largest. */
export function shareWithin(
  circuit: SquareMap<string>,
  k: number,
  options: ProgressOptions,
  operation: string,
): number {
  return sharesWithinEach(circuit, [k], options, operation)[0] as number;
}
