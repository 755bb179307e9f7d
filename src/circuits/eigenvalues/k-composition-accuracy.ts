/** How well a pair of heads matches tokens by K-composition (ARENA 1.2, "K-composition circuit"). */
import { requireKind } from "../../errors.ts";
import { transpose } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { shareWithin } from "./copying-accuracy.ts";
import { requireChoice } from "../../model/internal.ts";
import { kCompositionCircuit } from "../circuits.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Which way {@link kCompositionAccuracy} asks: whether a query token scores highest with keys whose previous token is
 * itself (`query`, along the rows of the circuit: what decides a pattern), or whether among all query tokens it is the
 * same one that scores a key's previous token highest (`key`, along its columns: the number that ARENA prints).
 * @category Circuits
 */
export type MatchingSide = "query" | "key";

/**
 * Options of {@link kCompositionAccuracy}.
 * @category Circuits
 */
export interface KCompositionAccuracyOptions extends ProgressOptions {
  /** How many of the best matches count; 1 by default. */
  readonly k?: number | undefined;
  /** `query` by default. */
  readonly per?: MatchingSide | undefined;
}

/**
 * The share of tokens that the K-composition circuit of an induction head with a previous-token head, or with several,
 * matches with themselves: exact over the whole vocabulary, for both readings of the question, which differ.
 *
 * @param previous - the earlier head, or several that attend alike.
 * @param induction - the later head.
 * @param options - `k`, `per`, `signal`, `onProgress` (in tokens).
 * @returns a share from 0 to 1; ties go to the lower id.
 * @throws {@link InputError} when `k` is not a positive integer, `per` is neither, or the heads are not in this order,
 * missing or named twice; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { kCompositionAccuracy } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * for (const per of ["query", "key"] as const)
 *   console.log(per, kCompositionAccuracy(model, "L0H5", "L1H4", { per }).toFixed(2));
 * // query 0.40
 * // key 0.48
 * ```
 */
export function kCompositionAccuracy(
  model: Transformer,
  previous: HeadRef | readonly HeadRef[],
  induction: HeadRef,
  options: KCompositionAccuracyOptions = {},
): number {
  requireKind("model", model, "model", "kCompositionAccuracy", options);
  const operation = "kCompositionAccuracy";
  const { k = 1, per = "query", ...loop } = options;
  requireChoice(per, ["query", "key"], "per", operation);
  const circuit = kCompositionCircuit(model, previous, induction);
  return shareWithin(per === "query" ? circuit : transpose(circuit), k, loop, operation);
}
