/** How large the terms of the path expansion of the logits are in the weights, whatever the patterns. */
import { dense, matmulDense } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import type { Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { requireOrderBound } from "./arguments.ts";
import type { PairScores } from "./composition.ts";
import { Steps } from "./progress.ts";
import type { ProgressOptions } from "./progress.ts";
import {
  centredUnembeddingGram,
  congruent,
  embedSource,
  factorsOf,
  innerProduct,
  positionSource,
} from "./source-grams.ts";
import type { HeadFactors, SourceGram } from "./source-grams.ts";

/**
 * Options of {@link logitTermNorms}.
 * @category Path expansion
 */
export interface LogitTermNormsOptions extends ProgressOptions {
  /** The longest paths whose total is computed; 3 unless given, and never more than there are layers. */
  readonly maxOrder?: number | undefined;
  /** Whether paths through two heads are listed one by one; they are for two layers unless this is given. */
  readonly pairs?: boolean | undefined;
}

/**
 * Sizes of the terms that begin with one source, in root mean square logits.
 * @category Path expansion
 */
export interface SourceTermNorms {
  /** Tokens, or learned positions that enter the stream. */
  readonly source: "embed" | "pos_embed";
  /** The direct path. */
  readonly direct: number;
  /** `[layer, head]`: paths through one head. */
  readonly heads: Tensor<"layer head">;
  /** `[writer_layer, writer_head, reader_layer, reader_head]`: paths through two heads, where they were asked for. */
  readonly pairs: PairScores | undefined;
  /** By order from 0: the root of the sum of the squares of all terms of the order. */
  readonly totals: readonly number[];
}

/**
 * What {@link logitTermNorms} finds.
 * @category Path expansion
 */
export interface LogitTermNorms {
  readonly sources: readonly SourceTermNorms[];
  /** By order from 0 to the number of layers: how many paths there are from one source. */
  readonly counts: readonly number[];
}

/**
 * The size of each term of the path expansion of the logits in the weights alone: the root mean square entry of
 * $W_E W_{OV}^{h_1} \cdots W_{OV}^{h_p} W_U$, less each row's mean, which predictions do not see
 * (*A Mathematical Framework for Transformer Circuits*, "Path expansion of logits", whose terms these are).
 *
 * It is what a term would add to a logit for a token of average strength attended to with weight 1. Norms and biases are left out. Sizes of
 * all paths of an order are summed without listing them: the total of order $p$ comes of $p$ passes over the layers.
 *
 * @param options - `maxOrder`, `pairs`; `signal`, `onProgress` (in layers).
 * @throws {@link InputError} when `maxOrder` is not a non-negative integer; the signal's reason when aborted.
 * @category Path expansion
 * @example
 * ```ts
 * import { logitTermNorms } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { sources, counts } = logitTermNorms(model);
 * console.log(counts, sources[0]?.totals.map((total) => total.toFixed(1)));
 * // [ 1, 16, 64 ] [ '0.4', '2.4', '3.8' ]
 * ```
 */
export function logitTermNorms(model: Transformer, options: LogitTermNormsOptions = {}): LogitTermNorms {
  const { n_layers, n_heads, positional_embedding_type } = model.config;
  const { maxOrder = 3, pairs = n_layers === 2 } = options;
  requireOrderBound(maxOrder, "logitTermNorms");
  const positions = positional_embedding_type === "standard" ? positionSource(model) : undefined;
  const sources = [embedSource(model), ...(positions === undefined ? [] : [positions])];
  const orders = Math.min(maxOrder, n_layers);
  const steps = new Steps(options, Math.max(1, n_layers * sources.length));
  const out = centredUnembeddingGram(model);
  const factors = model.layers.map(({ heads }) => heads.map(factorsOf));
  return {
    sources: sources.map((source) => termsFrom(source, out, factors, { model, orders, pairs, steps })),
    counts: pathCounts(n_layers, n_heads),
  };
}

interface Plan {
  readonly model: Transformer;
  readonly orders: number;
  readonly pairs: boolean;
  readonly steps: Steps;
}

function termsFrom(
  source: SourceGram,
  out: DenseMatrix,
  factors: readonly (readonly HeadFactors[])[],
  plan: Plan,
): SourceTermNorms {
  const { model, orders, pairs, steps } = plan;
  const { n_layers, n_heads, d_vocab_out } = model.config;
  const size = (squares: number): number => Math.sqrt(squares / (source.rows * d_vocab_out));
  const read = factors.map((heads) => heads.map(({ V }) => congruent(source.gram, V)));
  const written = factors.map((heads) =>
    heads.map(({ O }) => matmulDense(matmulDense(O, out), O, { transposeB: true })),
  );
  const heads = new Float64Array(n_layers * n_heads);
  for (const [l, layer] of read.entries())
    for (const [h, gram] of layer.entries())
      heads[l * n_heads + h] = size(innerProduct(gram, (written[l] as DenseMatrix[])[h] as DenseMatrix));
  // sums[p] is the sum over the paths of order p so far of (X W_OV …)ᵀ X W_OV …
  let sums: DenseMatrix[] = [source.gram];
  for (const layer of factors) {
    const through = sums.slice(0, orders).map((sum) => throughLayer(sum, layer));
    sums = Array.from({ length: Math.min(orders, sums.length) + 1 }, (_, p) => added(sums[p], through[p - 1]));
    steps.advance();
  }
  return {
    source: source.name,
    direct: size(innerProduct(source.gram, out)),
    heads: Tensor.from("layer head", [n_layers, n_heads], heads),
    pairs: pairs ? pairSizes(factors, read, written, size) : undefined,
    totals: sums.map((sum) => size(innerProduct(sum, out))),
  };
}

/** $\sum_h W_{OV}^{h\top} S\, W_{OV}^h$ over the heads of a layer. */
function throughLayer(sum: DenseMatrix, layer: readonly HeadFactors[]): DenseMatrix {
  return layer.map(({ V, O }) => congruent(congruent(sum, V), O)).reduce((a, b) => added(a, b));
}

function added(a: DenseMatrix | undefined, b: DenseMatrix | undefined): DenseMatrix {
  const either = (a ?? b) as DenseMatrix;
  if (a === undefined || b === undefined) return either;
  return dense(
    a.rows,
    a.cols,
    a.data.map((x, i) => x + (b.data[i] as number)),
  );
}

/** ‖X V₁ O₁ V₂ O₂ W_U‖² = tr((V₁ᵀXᵀX V₁) M (O₂ W_U W_Uᵀ O₂ᵀ) Mᵀ) with M = O₁ V₂. */
function pairSizes(
  factors: readonly (readonly HeadFactors[])[],
  read: readonly (readonly DenseMatrix[])[],
  written: readonly (readonly DenseMatrix[])[],
  size: (squares: number) => number,
): PairScores {
  const [n_layers, n_heads] = [factors.length, factors[0]?.length ?? 0];
  const data = new Float64Array((n_layers * n_heads) ** 2);
  for (const [l1, writers] of factors.entries()) {
    for (let l2 = l1 + 1; l2 < n_layers; l2++) {
      for (const [h1, { O }] of writers.entries()) {
        for (const [h2, { V }] of (factors[l2] ?? []).entries()) {
          const M = matmulDense(O, V);
          const left = matmulDense((read[l1] as DenseMatrix[])[h1] as DenseMatrix, M);
          const right = matmulDense(M, (written[l2] as DenseMatrix[])[h2] as DenseMatrix);
          data[((l1 * n_heads + h1) * n_layers + l2) * n_heads + h2] = size(innerProduct(left, right));
        }
      }
    }
  }
  return Tensor.from("writer_layer writer_head reader_layer reader_head", [n_layers, n_heads, n_layers, n_heads], data);
}

/** $\binom{L}{p} H^p$ for every order. */
function pathCounts(n_layers: number, n_heads: number): number[] {
  const counts = [1];
  for (let p = 1; p <= n_layers; p++) counts.push(((counts[p - 1] as number) * (n_layers - p + 1) * n_heads) / p);
  return counts;
}
