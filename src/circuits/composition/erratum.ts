/**
 * Composition scores as *A Mathematical Framework for Transformer Circuits* first drew them, with the mistake that its
 * authors corrected in 2023: the factors of a product were cycled under a Frobenius norm, which is right for traces and
 * eigenvalues alone.
 */
import { requireKind } from "../../errors.ts";
import { kernels } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";
import type { AttentionLayer, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { matrixView } from "../../tensor/internal.ts";
import type { CompositionMaps } from "./baseline.ts";
import type { PairScores } from "./composition.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Composition scores with cycled norms.
 * @category Circuits
 */
export interface CycledCompositionScores extends CompositionMaps {
  /** What random heads score so: $1/\sqrt{d_{head}}$, from the mean of the squares, whatever d_model. */
  readonly baseline: { readonly mean: number };
}

/**
 * What the first version of the paper's composition diagram shows in place of {@link compositionScores}: every norm, of
 * the product and of its two maps, taken of the factors cycled to a d_head x d_head matrix, such as
 * $\|W_Q^\top W_V^w\, W_O^w W_K\|_F / (\|W_K^\top W_Q\|_F \|W_O^w W_V^w\|_F)$ for keys.
 *
 * A wrong number, for comparison with the first figure: it is no ratio of lengths, may exceed 1, and changes with the
 * split of a map into its factors. The paper says how the product was cycled; that the norms of the maps were so too,
 * by the same code, is a reading.
 *
 * @param options - `signal`, `onProgress` (in pairs of layers).
 * @returns tensors `[writer_layer, writer_head, reader_layer, reader_head]`, 0 unless the writer's layer is the earlier
 * or a norm is 0.
 * @category Circuits
 * @example
 * ```ts
 * import { compositionScores } from "transformer-circuits";
 * import { cycledCompositionScores } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [right, wrong] = [compositionScores(model), cycledCompositionScores(model)];
 * console.log(right.K.at(0, 5, 1, 4).toFixed(2), right.baseline.mean.toFixed(2));
 * // 0.20 0.09
 * console.log(wrong.K.at(0, 5, 1, 4).toFixed(2), wrong.baseline.mean.toFixed(2));
 * // 1.76 0.25
 * ```
 */
export function cycledCompositionScores(model: Transformer, options: ProgressOptions = {}): CycledCompositionScores {
  requireKind("model", model, "model", "cycledCompositionScores", options);
  const { n_layers, n_heads, d_head } = model.config;
  const size = (n_layers * n_heads) ** 2;
  const scores = { Q: new Float64Array(size), K: new Float64Array(size), V: new Float64Array(size) };
  const steps = new Steps(options, (n_layers * (n_layers - 1)) / 2);
  const norms = model.layers.map((layer) => ({
    OV: normsOf(products(layer, view(layer, "O"), view(layer, "V")), n_heads),
    QK: normsOf(products(layer, flipped(view(layer, "K")), view(layer, "Q")), n_heads),
  }));
  for (const reader of model.layers) {
    for (const writer of model.layers.slice(0, reader.layer)) {
      for (let w = 0; w < n_heads; w++) {
        const [V, O] = [one(view(writer, "V"), w), one(view(writer, "O"), w)];
        const [Q, K] = [view(reader, "Q"), view(reader, "K")];
        const written = {
          Q: products(reader, O, Q),
          K: products(reader, O, K),
          V: products(reader, O, view(reader, "V")),
        };
        const read = {
          Q: products(reader, flipped(K), V),
          K: products(reader, flipped(Q), V),
          V: products(reader, view(reader, "O"), V),
        };
        for (const kind of ["Q", "K", "V"] as const) {
          const cycled = normsOf(squares(read[kind], written[kind], n_heads, d_head), n_heads);
          for (let r = 0; r < n_heads; r++) {
            const own = norms[reader.layer]?.[kind === "V" ? "OV" : "QK"][r] ?? 0;
            const scale = own * (norms[writer.layer]?.OV[w] ?? 0);
            const place = ((writer.layer * n_heads + w) * n_layers + reader.layer) * n_heads + r;
            scores[kind][place] = scale === 0 ? 0 : (cycled[r] as number) / scale;
          }
        }
      }
      steps.advance();
    }
  }
  const tensor = (data: Float64Array): PairScores =>
    Tensor.from("writer_layer writer_head reader_layer reader_head", [n_layers, n_heads, n_layers, n_heads], data);
  return {
    Q: tensor(scores.Q),
    K: tensor(scores.K),
    V: tensor(scores.V),
    baseline: { mean: 1 / Math.sqrt(d_head) },
  };
}

/** The weights of a layer's heads. */
function view(layer: AttentionLayer, name: "Q" | "K" | "V" | "O"): MatrixView {
  return matrixView(layer[`W_${name}`]);
}

function flipped(m: MatrixView): MatrixView {
  return { ...m, rowStride: m.colStride, colStride: m.rowStride };
}

/** One head's matrix, for all others. */
function one(m: MatrixView, head: number): MatrixView {
  return { ...m, offset: m.offset + head * m.batchStride, batchStride: 0 };
}

/** `a b` for each head, `[head, d_head, d_head]`. */
function products(layer: AttentionLayer, a: MatrixView, b: MatrixView): FloatArray {
  const [heads = 0, d_model = 0, d_head = 0] = layer.W_Q.shape;
  const isDouble = a.data instanceof Float64Array || b.data instanceof Float64Array;
  const data = isDouble ? new Float64Array(heads * d_head ** 2) : new Float32Array(heads * d_head ** 2);
  kernels().matmul({ batch: heads, m: d_head, n: d_head, k: d_model, a, b, out: squareView(data, d_head) });
  return data;
}

/** `a b` of square matrices for each head. */
function squares(a: FloatArray, b: FloatArray, heads: number, n: number): FloatArray {
  const data = a instanceof Float64Array ? new Float64Array(a.length) : new Float32Array(a.length);
  const [left, right, out] = [a, b, data].map((matrices) => squareView(matrices, n)) as [
    MatrixView,
    MatrixView,
    MatrixView,
  ];
  kernels().matmul({ batch: heads, m: n, n, k: n, a: left, b: right, out });
  return data;
}

function squareView(data: FloatArray, n: number): MatrixView {
  return { data, offset: 0, rowStride: n, colStride: 1, batchStride: n * n };
}

function normsOf(matrices: FloatArray, heads: number): Float64Array {
  const size = matrices.length / heads;
  return Float64Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    for (let i = head * size; i < (head + 1) * size; i++) sum += (matrices[i] as number) ** 2;
    return Math.sqrt(sum);
  });
}
