/**
 * Composition scores as *A Mathematical Framework for Transformer Circuits* first drew them, with the mistake that its
 * authors corrected in 2023: the factors of a product were cycled under a Frobenius norm, which is right for traces and
 * eigenvalues alone.
 */
import { requireKind } from "../../errors.ts";
import { multiplyStacks, oneOf, squaresOf, stackOf, stackOfTensor, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import type { CompositionMaps, PairScores } from "./pair-scores.ts";
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
    OV: normsOf(products(view(layer, "O"), view(layer, "V"))),
    QK: normsOf(products(transposedStack(view(layer, "K")), view(layer, "Q"))),
  }));
  for (const reader of model.layers) {
    for (const writer of model.layers.slice(0, reader.layer)) {
      for (let w = 0; w < n_heads; w++) {
        const [V, O] = [oneOf(view(writer, "V"), w), oneOf(view(writer, "O"), w)];
        const [Q, K] = [view(reader, "Q"), view(reader, "K")];
        const written = {
          Q: products(O, Q),
          K: products(O, K),
          V: products(O, view(reader, "V")),
        };
        const read = {
          Q: products(transposedStack(K), V),
          K: products(transposedStack(Q), V),
          V: products(view(reader, "O"), V),
        };
        for (const kind of ["Q", "K", "V"] as const) {
          const cycled = normsOf(products(read[kind], written[kind]));
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
function view(layer: AttentionLayer, name: "Q" | "K" | "V" | "O"): Stack {
  return stackOfTensor(layer[`W_${name}`]);
}

/** `a b` for each head, float32 where both are. */
function products(a: Stack, b: Stack): Stack {
  const isDouble = [a, b].some(({ view: { data } }) => data instanceof Float64Array);
  const sizes = [Math.max(a.count, b.count), a.rows, b.cols] as const;
  const size = sizes[0] * sizes[1] * sizes[2];
  return multiplyStacks(a, b, stackOf(isDouble ? new Float64Array(size) : new Float32Array(size), sizes));
}

function normsOf({ count, view: { data } }: Stack): Float64Array {
  return squaresOf(data, count).map(Math.sqrt);
}
