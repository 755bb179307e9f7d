/**
 * Composition scores: how much of what one head writes a later head reads, as queries, keys or values
 * (*A Mathematical Framework for Transformer Circuits*, "Three kinds of composition").
 *
 * With rows as vectors and $W_{OV} = W_V W_O$ of the writer, a score is $\|W_{OV} X\|_F / (\|W_{OV}\|_F \|X\|_F)$, where $X$ is
 * $W_{QK}$ for Q, $W_{QK}^\top$ for K and the reader's $W_{OV}$ for V. It lies between 0 and 1, and is 1 only for two rank-1 maps that are
 * aligned. Rotating the residual stream, changing basis inside a head and scaling weights leave it as it is; a general
 * change of basis of the stream, which leaves the model's function as it is too, does not.
 *
 * A norm may not be cycled as a trace may, $\|AB\| \ne \|BA\|$: the first version of the paper's composition figure did that
 * (its erratum of 2023). What may be done: $\|W_V W_O X\| = \|R W_O X\|$ for any $R$ with $R^\top R = W_V^\top W_V$. The two outer
 * factors of a score are replaced by such triangles, d_head x d_head, so that it needs one product
 * $(R W_O)(B R'^\top)$, d_head x d_model x d_head, and those of all heads of two layers are one matrix product.
 */
import { kernels } from "../kernels/index.ts";
import { compose, frobeniusNormOf, transpose } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { AttentionHead, HeadId, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { compositionBaseline } from "./baselines.ts";
import type { CompositionBaseline, HeadSizes } from "./baselines.ts";
import { requireOrder } from "./full-circuits.ts";
import { Steps } from "./progress.ts";
import type { ProgressOptions } from "./progress.ts";
import { collapseLayer } from "./unit-maps.ts";
import type { CollapsedLayer, UnitMaps } from "./unit-maps.ts";

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
 * Q-, K- and V-composition between all pairs of heads, writers in earlier layers than readers.
 *
 * Scores are of the raw weights, as TransformerLens's: where a model has norms, fold them into the weights first. Compare them with
 * the baseline and with each other, but not between models.
 *
 * @param options - `signal`, `onProgress` (in pairs of layers).
 * @throws the signal's reason when aborted.
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
export function compositionScores(model: Transformer, options: ProgressOptions = {}): CompositionScores {
  const { n_layers, n_heads, d_model, d_head } = model.config;
  const shape = [n_layers, n_heads, n_layers, n_heads];
  const scores = { Q: zeros(shape), K: zeros(shape), V: zeros(shape) };
  const steps = new Steps(options, (n_layers * (n_layers - 1)) / 2);
  const layers = model.layers.map(collapseLayer);
  for (const [w, writer] of layers.entries()) {
    for (let r = w + 1; r < n_layers; r++) {
      const reader = layers[r] as CollapsedLayer;
      for (const kind of ["Q", "K", "V"] as const) {
        scorePairs(writer.writers, reader[kind], model.config, (i, j, score) => {
          scores[kind][((w * n_heads + i) * n_layers + r) * n_heads + j] = score;
        });
      }
      steps.advance();
    }
  }
  const tensor = (data: Float64Array): PairScores =>
    Tensor.from("writer_layer writer_head reader_layer reader_head", shape, data);
  return {
    Q: tensor(scores.Q),
    K: tensor(scores.K),
    V: tensor(scores.V),
    baseline: compositionBaseline({ d_model, d_head }),
    zeroHeads: {
      W_OV: zeroHeads(layers.map((layer) => layer.writers)),
      W_QK: zeroHeads(layers.map((layer) => layer.Q)),
    },
  };
}

/**
 * Q-composition of two heads: how much of what `writer` writes the queries of `reader` read,
 * $\|W_{OV}^w W_{QK}^r\|_F / (\|W_{OV}^w\|_F \|W_{QK}^r\|_F)$. 0 where a head's weights are zero.
 *
 * @param writer - the head of the earlier layer.
 * @param reader - the head of the later layer.
 * @returns the score, from 0 to 1; float64, raw weights.
 * @throws {@link InputError} when the writer's layer is not the earlier; {@link ShapeError} when the heads are of different
 * models.
 * @category Circuits
 * @example
 * ```ts
 * import { kComposition, qComposition, vComposition } from "transformer-circuits";
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
  requireOrder(writer, reader, "qComposition");
  return ratio(compose(writer.W_OV, reader.W_QK), writer.W_OV, reader.W_QK);
}

/**
 * K-composition of two heads: how much of what `writer` writes the keys of `reader` read,
 * $\|W_{OV}^w (W_{QK}^r)^\top\|_F / (\|W_{OV}^w\|_F \|W_{QK}^r\|_F)$. High between a previous-token head and an induction head. 0
 * where a head's weights are zero.
 *
 * @param writer - the head of the earlier layer.
 * @param reader - the head of the later layer.
 * @returns the score, from 0 to 1; float64, raw weights.
 * @throws {@link InputError} when the writer's layer is not the earlier; {@link ShapeError} when the heads are of different
 * models.
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
 * @throws {@link InputError} when the writer's layer is not the earlier; {@link ShapeError} when the heads are of different
 * models.
 * @category Circuits
 * @example
 * ```ts
 * import { vComposition } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(vComposition(model.head("L0H5"), model.head("L1H4")).toFixed(3));
 * // 0.051
 * ```
 */
export function vComposition(writer: AttentionHead, reader: AttentionHead): number {
  requireOrder(writer, reader, "vComposition");
  return ratio(compose(writer.W_OV, reader.W_OV), writer.W_OV, reader.W_OV);
}

function ratio(product: Linear, a: Linear, b: Linear): number {
  const scale = frobeniusNormOf(a) * frobeniusNormOf(b);
  return scale === 0 ? 0 : frobeniusNormOf(product) / scale;
}

/** The scores of all pairs of two layers for one kind, from one product `[head and d_head, d_model] [d_model, head and d_head]`. */
function scorePairs(
  writers: UnitMaps,
  readers: UnitMaps,
  { d_model, d_head }: HeadSizes,
  visit: (writer: number, reader: number, score: number) => void,
): void {
  const m = writers.count * d_head;
  const n = readers.count * d_head;
  const products = new Float64Array(m * n);
  kernels().matmul({
    batch: 1,
    m,
    n,
    k: d_model,
    a: { data: writers.data, offset: 0, rowStride: d_model, colStride: 1, batchStride: 0 },
    b: { data: readers.data, offset: 0, rowStride: 1, colStride: d_model, batchStride: 0 },
    out: { data: products, offset: 0, rowStride: n, colStride: 1, batchStride: 0 },
  });
  for (let i = 0; i < writers.count; i++) {
    for (let j = 0; j < readers.count; j++) {
      let squares = 0;
      for (let row = i * d_head; row < (i + 1) * d_head; row++) {
        const start = row * n + j * d_head;
        for (let t = start; t < start + d_head; t++) squares += (products[t] as number) ** 2;
      }
      visit(i, j, Math.min(1, Math.sqrt(squares)));
    }
  }
}

function zeroHeads(layers: readonly UnitMaps[]): HeadId[] {
  return layers.flatMap(({ isZero }, layer) => isZero.flatMap((zero, head) => (zero ? [{ layer, head }] : [])));
}

function zeros(shape: readonly number[]): Float64Array {
  return new Float64Array(shape.reduce((product, n) => product * n, 1));
}
