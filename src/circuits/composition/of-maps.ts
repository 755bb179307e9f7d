/** Composition scores of any two lists of maps: ARENA 1.2's batched scores of factored matrices. */
import { InputError, requireKind } from "../../errors.ts";
import { compose, frobeniusNormOf } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { OneSpace } from "../../linear/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * The composition score $\|A_i B_j\|_F / (\|A_i\|_F \|B_j\|_F)$ of every map of one list followed by every map of
 * another, from their factors.
 *
 * For the heads of a model {@link compositionScores} is faster; this one takes any maps: sums of heads, neurons'
 * weights, maps with norms folded in.
 *
 * @param writers - the maps that come first, `[_, stream]`.
 * @param readers - the maps that come after, `[stream, _]`.
 * @param options - `signal`, `onProgress` (in pairs).
 * @returns `[writer, reader]`, 0 to 1, float64; 0 where a norm is 0.
 * @throws {@link InputError} when a list is empty; {@link AxisError} or {@link ShapeError} when maps do not fit
 * together; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { kComposition, transpose } from "transformer-circuits";
 * import { compositionOfMaps } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [previous, induction] = [model.head("L0H5"), model.head("L1H4")];
 * const scores = compositionOfMaps(model.layer(0).heads.map((head) => head.W_OV), [transpose(induction.W_QK)]);
 * console.log(scores.shape, Math.abs(scores.at(5, 0) - kComposition(previous, induction)) < 1e-9);
 * // [ 8, 1 ] true
 * ```
 */
export function compositionOfMaps<S extends string>(
  writers: readonly Linear<string, S>[] & OneSpace<S>,
  readers: readonly Linear<NoInfer<S>>[],
  options: ProgressOptions = {},
): Tensor<"writer reader"> {
  requireKind("list", writers, "writers", "compositionOfMaps", options, "signal onProgress");
  requireKind("list", readers, "readers", "compositionOfMaps");
  for (const [argument, list] of Object.entries({ writers, readers })) {
    if (list.length > 0) continue;
    throw new InputError(`there are no ${argument}. Give at least one map.`, {
      operation: "compositionOfMaps",
      argument,
      expected: "at least 1",
      actual: 0,
    });
  }
  const [before, after] = [writers.map((f) => frobeniusNormOf(f)), readers.map((f) => frobeniusNormOf(f))];
  const out = new Float64Array(writers.length * readers.length);
  const steps = new Steps(options, out.length);
  for (const [i, writer] of writers.entries()) {
    for (const [j, reader] of readers.entries()) {
      const norms = (before[i] as number) * (after[j] as number);
      const product = compose(writer as Linear, reader as Linear);
      out[i * readers.length + j] = norms === 0 ? 0 : Math.min(1, frobeniusNormOf(product) / norms);
      steps.advance();
    }
  }
  return Tensor.from("writer reader", [writers.length, readers.length], out);
}
