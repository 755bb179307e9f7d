/** How large the terms of the path expansion of the logits are in the weights, whatever the patterns. */
import { requireKind } from "../errors.ts";
import { matmulDense } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import type { Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { requireOrderBound } from "./arguments.ts";
import type { PairScores } from "./composition.ts";
import { addedUp, advanceGrams, backThroughHeads, readGrams, throughEach, writtenGrams } from "./path-grams.ts";
import type { Gram } from "./path-grams.ts";
import { Steps } from "./progress.ts";
import type { ProgressOptions } from "./progress.ts";
import {
  centredUnembeddingGram,
  congruent,
  countsTo,
  embedSource,
  factorsOf,
  innerProduct,
  pathCounts,
  positionSource,
  square,
} from "./source-grams.ts";
import type { HeadFactors, SourceGram } from "./source-grams.ts";

/**
 * Options of {@link logitTermNorms}.
 * @category Path expansion
 */
export interface LogitTermNormsOptions extends ProgressOptions {
  /** The longest paths that are told apart in `totals`; all are unless given, and longer ones are one more entry, the last. */
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
  /** `[layer, head]`: likewise of all paths that begin with a head, however many follow it. */
  readonly first: Tensor<"layer head">;
  /** `[layer, head]`: of all that go through a head. */
  readonly through: Tensor<"layer head">;
  /** `[layer, head]`: of all that end with a head. */
  readonly last: Tensor<"layer head">;
}

/**
 * What {@link logitTermNorms} finds.
 * @category Path expansion
 */
export interface LogitTermNorms {
  readonly sources: readonly SourceTermNorms[];
  /** By order as `totals`: how many paths there are from one source. */
  readonly counts: readonly number[];
}

/**
 * The size of each term of the path expansion of the logits in the weights alone: the root mean square entry of
 * $W_E W_{OV}^{h_1} \cdots W_{OV}^{h_p} W_U$, less each row's mean, which predictions do not see
 * (*A Mathematical Framework for Transformer Circuits*, "Path expansion of logits", whose terms these are).
 *
 * It is what a term would add to a logit for a token of average strength attended to with weight 1. Norms and biases are left out. Sizes of
 * all paths of an order, and of all paths through a head, are summed without listing them, by passes over the layers.
 *
 * @param options - `maxOrder`, `pairs`; `signal`, `onProgress` (in passes through a layer).
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
  requireKind("model", model, "model", "logitTermNorms", options);
  const { n_layers, n_heads, positional_embedding_type } = model.config;
  const { maxOrder = n_layers, pairs = n_layers === 2 } = options;
  requireOrderBound(maxOrder, "logitTermNorms");
  const positions = positional_embedding_type === "standard" ? positionSource(model) : undefined;
  const sources = [embedSource(model), ...(positions === undefined ? [] : [positions])];
  const steps = new Steps(options, Math.max(1, n_layers * (1 + sources.length)));
  const out = centredUnembeddingGram(model);
  const factors = model.layers.map(({ heads }) => heads.map(factorsOf));
  const written: LayerEnds[] = [];
  // Σ (W_OV ⋯ W_U)(W_OV ⋯ W_U)ᵀ over the ways from after a layer to the logits, from the last layer back.
  let after: Gram = out.data;
  for (const layer of [...model.layers].reverse()) {
    written.unshift({ toOut: writtenGrams(out.data, layer), onward: writtenGrams(after, layer) });
    if (layer.layer > 0) after = addedUp([after, backThroughHeads(after, layer)]);
    steps.advance();
  }
  if (n_layers === 0) steps.advance();
  return {
    sources: sources.map((source) => termsFrom(source, out, { model, factors, written, maxOrder, pairs, steps })),
    counts: countsTo(maxOrder, pathCounts(n_layers, n_heads)),
  };
}

/** What becomes of the weighted values of a layer's heads, `[head, d_head, d_head]`: straight to the logits, and by all ways. */
interface LayerEnds {
  readonly toOut: Gram;
  readonly onward: Gram;
}

interface Plan {
  readonly model: Transformer;
  readonly factors: readonly (readonly HeadFactors[])[];
  readonly written: readonly LayerEnds[];
  readonly maxOrder: number;
  readonly pairs: boolean;
  readonly steps: Steps;
}

function termsFrom(source: SourceGram, out: DenseMatrix, plan: Plan): SourceTermNorms {
  const { model, factors, written, maxOrder, pairs, steps } = plan;
  const { n_layers, n_heads, d_vocab_out } = model.config;
  const size = (squares: number): number => Math.sqrt(squares / d_vocab_out);
  const start = square(source.whole);
  const found = { heads: perHead(), first: perHead(), through: perHead(), last: perHead() };
  let sums: readonly Gram[] = [source.whole];
  for (const [l, layer] of model.layers.entries()) {
    const [own, before] = [readGrams(source.whole, layer), readGrams(addedUp(sums), layer)];
    const { toOut, onward } = written[l] as LayerEnds;
    const put = (into: Float64Array, read: Gram, ends: Gram): void =>
      into.set(throughEach(read, ends, n_heads).map(size), l * n_heads);
    put(found.heads, own, toOut);
    put(found.first, own, onward);
    put(found.through, before, onward);
    put(found.last, before, toOut);
    sums = advanceGrams(sums, layer, maxOrder);
    steps.advance();
  }
  function perHead(): Float64Array {
    return new Float64Array(n_layers * n_heads);
  }
  const table = (data: Float64Array): Tensor<"layer head"> => Tensor.from("layer head", [n_layers, n_heads], data);
  return {
    source: source.name,
    direct: size(innerProduct(start, out)),
    heads: table(found.heads),
    pairs: pairs ? pairSizes(factors, start, out, size) : undefined,
    totals: sums.map((sum) => size(innerProduct(square(sum), out))),
    first: table(found.first),
    through: table(found.through),
    last: table(found.last),
  };
}

/** ‖X V₁ O₁ V₂ O₂ W_U‖² = tr((V₁ᵀXᵀX V₁) M (O₂ W_U W_Uᵀ O₂ᵀ) Mᵀ) with M = O₁ V₂. */
function pairSizes(
  factors: readonly (readonly HeadFactors[])[],
  start: DenseMatrix,
  out: DenseMatrix,
  size: (squares: number) => number,
): PairScores {
  const read = factors.map((heads) => heads.map(({ V }) => congruent(start, V)));
  const written = factors.map((heads) =>
    heads.map(({ O }) => matmulDense(matmulDense(O, out), O, { transposeB: true })),
  );
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
