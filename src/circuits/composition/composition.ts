/**
 * Composition scores: how much of what one head writes a later head reads, as queries, keys or values
 * (*A Mathematical Framework for Transformer Circuits*, "Three kinds of composition").
 *
 * With rows as vectors and $W_{OV} = W_V W_O$ of the writer, a score is $\|W_{OV} X\|_F / (\|W_{OV}\|_F \|X\|_F)$,
 * where $X$ is $W_{QK}$ for Q, $W_{QK}^\top$ for K and the reader's $W_{OV}$ for V. It lies between 0 and 1, and is 1
 * only for two rank-1 maps that are aligned. Rotating the residual stream, changing basis inside a head and scaling
 * weights leave it as it is; a general change of basis of the stream, which leaves the model's function as it is too,
 * does not.
 *
 * A norm may not be cycled as a trace may, $\|AB\| \ne \|BA\|$: the first version of the paper's composition figure did
 * that (its erratum of 2023). What may be done: $\|W_V W_O X\| = \|R W_O X\|$ for any $R$ with
 * $R^\top R = W_V^\top W_V$. The two outer factors of a score are replaced by such roots, d_head x d_head, so that it
 * needs one product $(R W_O)(B R'^\top)$, d_head x d_model x d_head; those of all pairs of heads are a few large
 * products, see pair-scores.ts.
 */
import { requireKind } from "../../errors.ts";
import { withWorkspace } from "../../kernels/index.ts";
import type { TakeArray } from "../../kernels/index.ts";
import { compose, frobeniusNormOf, transpose } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { AttentionHead, HeadId, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { compositionBaseline } from "./baseline.ts";
import { requireChoice } from "../../model/internal.ts";
import type { CompositionBaseline } from "./baseline.ts";
import { requireOrder } from "../circuits.ts";
import { pairSteps, routeCosts, symmetricSteps, visitByPairs, visitSymmetric } from "./all-pairs.ts";
import type { MapStack } from "./all-pairs.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { UnitMaps, zeroHeadsOf } from "./unit-maps.ts";
import type { NormsInScores } from "./head-weights.ts";

/**
 * One kind of composition between all pairs of heads, `[writer_layer, writer_head, reader_layer, reader_head]`.
 * @category Circuits
 */
export type PairScores = Tensor<"writer_layer writer_head reader_layer reader_head">;

/**
 * Composition between all pairs of heads of a model.
 * @category Circuits
 */
export interface CompositionScores {
  /** Through the reader's queries; 0 unless the writer's layer is the earlier. */
  readonly Q: PairScores;
  /** Through the reader's keys; 0 unless the writer's layer is the earlier. */
  readonly K: PairScores;
  /** Through the reader's values; 0 unless the writer's layer is the earlier. */
  readonly V: PairScores;
  /** What heads of random weights would score. */
  readonly baseline: CompositionBaseline;
  /** Heads whose maps are zero: their scores, 0/0, are given as 0. */
  readonly zeroHeads: { readonly W_OV: readonly HeadId[]; readonly W_QK: readonly HeadId[] };
}

/**
 * Options of {@link compositionScores}.
 * @category Circuits
 */
export interface CompositionOptions extends ProgressOptions {
  /**
   * `"raw"` (the default): of the weights as they are, as TransformerLens's; `"folded"`: of the weights with every
   * norm's own folded into what reads through it, and with the mean over d_model, which LayerNorm takes out, taken out
   * of what is written.
   */
  readonly norms?: NormsInScores | undefined;
}

/**
 * Q-, K- and V-composition between all pairs of heads, writers in earlier layers than readers.
 *
 * Products are float32 where the weights are (scores then err by less than 1e-6), float64 otherwise. Compare scores
 * with the baseline and with each other, but not between models. A rotary model's rotations are left out, as they are
 * in $W_{QK}$.
 *
 * @param options - `norms`, `signal`, `onProgress` (in products: of pairs of layers, or bands of matrices where layers
 * are many).
 * @throws {@link InputError} for an unknown choice of `norms`; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { compositionScores } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { K, baseline } = compositionScores(model);
 * console.log(String(K));
 * // Tensor[writer_layer=2 writer_head=8 reader_layer=2 reader_head=8] float64
 * console.log(K.at(0, 5, 1, 4) > baseline.mean + 10 * baseline.std);
 * // true
 * ```
 */
export function compositionScores(model: Transformer, options: CompositionOptions = {}): CompositionScores {
  requireKind("model", model, "model", "compositionScores", options);
  const { norms = "raw", signal } = options;
  requireChoice(norms, ["raw", "folded"], "norms", "compositionScores");
  const { n_layers, n_heads, d_model, d_head } = model.config;
  const shape = [n_layers, n_heads, n_layers, n_heads];
  const size = (n_layers * n_heads) ** 2;
  const scores = { Q: new Float64Array(size), K: new Float64Array(size), V: new Float64Array(size) };
  signal?.throwIfAborted();
  withWorkspace((take) => {
    const { writers, readers } = stackMaps(model, norms, take);
    const sizes = { k: d_head, d: d_model };
    const costs = routeCosts(writers, readers, sizes);
    const isByPairs = costs.pairs <= costs.symmetric;
    const steps = new Steps(options, isByPairs ? pairSteps(writers, readers) : symmetricSteps(sizes));
    const visit = isByPairs ? visitByPairs : visitSymmetric;
    visit(writers, readers, sizes, steps, (w, i, r, place, score) => {
      const kind = KINDS[Math.floor(place / n_heads)] as "Q" | "K" | "V";
      scores[kind][((w * n_heads + i) * n_layers + r) * n_heads + (place % n_heads)] = score;
    });
  });
  const tensor = (data: Float64Array): PairScores =>
    Tensor.from("writer_layer writer_head reader_layer reader_head", shape, data);
  return {
    Q: tensor(scores.Q),
    K: tensor(scores.K),
    V: tensor(scores.V),
    baseline: compositionBaseline({ d_model, d_head }),
    zeroHeads: { W_OV: zeroHeads(model, "W_OV", norms), W_QK: zeroHeads(model, "W_QK", norms) },
  };
}

const KINDS = ["Q", "K", "V"] as const;

/** What the layers but the last write, and what those but the first read by queries, keys and values. */
function stackMaps(
  model: Transformer,
  norms: NormsInScores,
  take: TakeArray,
): { readonly writers: MapStack; readonly readers: MapStack } {
  const { n_heads, d_model, d_head } = model.config;
  const later = Math.max(0, model.layers.length - 1);
  const layers = model.layers.map(
    (layer) => new UnitMaps(layer, norms, { writes: layer.layer < later, reads: layer.layer > 0 }, take),
  );
  const kind = layers.some((maps) => maps.kind === "float64") ? "float64" : "float32";
  const size = n_heads * d_head * d_model;
  const written = take(kind, later * size);
  const read = take(kind, later * KINDS.length * size);
  const lengths = {
    writers: new Float64Array(later * n_heads),
    readers: new Float64Array(later * KINDS.length * n_heads),
  };
  for (const [l, maps] of layers.entries()) {
    if (l < later) lengths.writers.set(maps.writers(written.subarray(l * size, (l + 1) * size)), l * n_heads);
    if (l === 0) continue;
    for (const [place, kind] of (["queries", "keys", "values"] as const).entries()) {
      const at = KINDS.length * (l - 1) + place;
      lengths.readers.set(maps[kind](read.subarray(at * size, (at + 1) * size)), at * n_heads);
    }
  }
  return {
    writers: { data: written, lengths: lengths.writers, firstLayer: 0, layers: later, perLayer: n_heads },
    readers: { data: read, lengths: lengths.readers, firstLayer: 1, layers: later, perLayer: KINDS.length * n_heads },
  };
}

function zeroHeads(model: Transformer, circuit: "W_OV" | "W_QK", norms: NormsInScores): HeadId[] {
  return model.layers.flatMap((layer) =>
    zeroHeadsOf(layer, circuit, norms).map((head) => ({ layer: layer.layer, head })),
  );
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
  requireKind("head", writer, "writer", "qComposition");
  requireKind("head", reader, "reader", "qComposition");
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
  requireKind("head", writer, "writer", "kComposition");
  requireKind("head", reader, "reader", "kComposition");
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
  requireKind("head", writer, "writer", "vComposition");
  requireKind("head", reader, "reader", "vComposition");
  requireOrder(writer, reader, "vComposition");
  return ratio(compose(writer.W_OV, reader.W_OV), writer.W_OV, reader.W_OV);
}

function ratio(product: Linear, a: Linear, b: Linear): number {
  const scale = frobeniusNormOf(a) * frobeniusNormOf(b);
  return scale === 0 ? 0 : frobeniusNormOf(product) / scale;
}
