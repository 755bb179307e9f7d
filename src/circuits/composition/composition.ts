/**
 * Composition scores of two heads: how much of what one writes a later one reads, as queries, keys or values
 * (*A Mathematical Framework for Transformer Circuits*, "Three kinds of composition").
 *
 * With rows as vectors and $W_{OV} = W_V W_O$ of the writer, a score is $\|W_{OV} X\|_F / (\|W_{OV}\|_F \|X\|_F)$,
 * where $X$ is $W_{QK}$ for Q, $W_{QK}^\top$ for K and the reader's $W_{OV}$ for V. It lies between 0 and 1, and is 1
 * only for two rank-1 maps that are aligned. Rotating the residual stream, changing basis inside a head and scaling
 * weights leave it as it is; a general change of basis of the stream, which leaves the model's function as it is too,
 * does not.
 *
 * A norm may not be cycled as a trace may, $\|AB\| \ne \|BA\|$: the first version of the paper's composition figure did
 * that (its erratum of 2023). The same for all pairs of a model, fast: all-pairs.ts.
 */
import { requireKind } from "../../errors.ts";
import { compose, frobeniusNormOf, transpose } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { AttentionHead } from "../../model/index.ts";
import { requireOrder } from "../circuits.ts";
import { ATTENTION_HEAD } from "../../model/internal.ts";

/**
 * $\|A B\|_F / (\|A\|_F \|B\|_F)$, given the product and maps with the norms of its two factors; 0 where one is zero.
 */
function ratio(product: Linear, a: Linear, b: Linear): number {
  const scale = frobeniusNormOf(a) * frobeniusNormOf(b);
  return scale === 0 ? 0 : frobeniusNormOf(product) / scale;
}

/**
 * Q-composition of two heads: how much of what `writer` writes the queries of `reader` read,
 * $\|W_{OV}^w W_{QK}^r\|_F / (\|W_{OV}^w\|_F \|W_{QK}^r\|_F)$. 0 where a head's weights are zero.
 *
 * @param writer - the head of the earlier layer.
 * @param reader - the head of the later layer.
 * @returns the score, from 0 to 1; float64, raw weights.
 * @throws {@link InputError} when the writer's layer is not the earlier; {@link ShapeError} when the heads are of
 * different models.
 * @category Circuits
 * @example
 * ```ts
 * import { kComposition } from "transformer-circuits";
 * import { qComposition, vComposition } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [writer, reader] = [model.head("L0H5"), model.head("L1H4")];
 * for (const score of [qComposition, kComposition, vComposition]) console.log(score(writer, reader).toFixed(3));
 * // 0.034
 * // 0.198
 * // 0.051
 * ```
 */
export function qComposition(writer: AttentionHead, reader: AttentionHead): number {
  requireKind(ATTENTION_HEAD, writer, "writer", "qComposition");
  requireKind(ATTENTION_HEAD, reader, "reader", "qComposition");
  requireOrder(writer, reader, "qComposition");
  return ratio(compose(writer.W_OV, reader.W_QK), writer.W_OV, reader.W_QK);
}

/**
 * K-composition of two heads: how much of what `writer` writes the keys of `reader` read,
 * $\|W_{OV}^w (W_{QK}^r)^\top\|_F / (\|W_{OV}^w\|_F \|W_{QK}^r\|_F)$. High between a previous-token head and an
 * induction head. 0 where a head's weights are zero.
 *
 * @param writer - the head of the earlier layer.
 * @param reader - the head of the later layer.
 * @returns the score, from 0 to 1; float64, raw weights.
 * @throws {@link InputError} when the writer's layer is not the earlier; {@link ShapeError} when the heads are of
 * different models.
 * @category Circuits
 * @example
 * ```ts
 * import { kComposition } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(kComposition(model.head("L0H5"), model.head("L1H4")).toFixed(3));
 * // 0.198
 * ```
 */
export function kComposition(writer: AttentionHead, reader: AttentionHead): number {
  requireKind(ATTENTION_HEAD, writer, "writer", "kComposition");
  requireKind(ATTENTION_HEAD, reader, "reader", "kComposition");
  requireOrder(writer, reader, "kComposition");
  return ratio(compose(writer.W_OV, transpose(reader.W_QK)), writer.W_OV, reader.W_QK);
}

/**
 * V-composition of two heads: how much of what `writer` writes the values of `reader` read and pass on,
 * $\|W_{OV}^w W_{OV}^r\|_F / (\|W_{OV}^w\|_F \|W_{OV}^r\|_F)$. 0 where a head's weights are zero.
 *
 * @param writer - the head of the earlier layer.
 * @param reader - the head of the later layer.
 * @returns the score, from 0 to 1; float64, raw weights.
 * @throws {@link InputError} when the writer's layer is not the earlier; {@link ShapeError} when the heads are of
 * different models.
 * @category Circuits
 * @example
 * ```ts
 * import { vComposition } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(vComposition(model.head("L0H5"), model.head("L1H4")).toFixed(3));
 * // 0.051
 * ```
 */
export function vComposition(writer: AttentionHead, reader: AttentionHead): number {
  requireKind(ATTENTION_HEAD, writer, "writer", "vComposition");
  requireKind(ATTENTION_HEAD, reader, "reader", "vComposition");
  requireOrder(writer, reader, "vComposition");
  return ratio(compose(writer.W_OV, reader.W_OV), writer.W_OV, reader.W_OV);
}
