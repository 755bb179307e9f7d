/** How large the terms of the path expansion of the logits are in the weights, whatever the patterns. */
import { requireKind, requireOrderBound } from "../../errors.ts";
import { matmulDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import type { AttentionHead, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import type { PairScores } from "../composition/pair-scores.ts";
import { pathsFromHeads } from "./path-cores.ts";
import type { HeadSums } from "./path-cores.ts";
import { addedUp, gramWritten, readGrams, throughEach, writtenGrams } from "./path-grams.ts";
import type { Gram } from "./path-grams.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { countsTo, pathCounts } from "./path-counts.ts";
import {
  centredUnembeddingGram,
  congruent,
  denseOf,
  embedSource,
  innerProduct,
  positionSource,
  square,
} from "./source-grams.ts";
import type { SourceGram } from "./source-grams.ts";

/**
 * Options of {@link logitTermNorms}.
 * @category Path expansion
 */
export interface LogitTermNormsOptions extends ProgressOptions {
  /**
   * The longest paths that are told apart in `totals`; all are unless given, and longer ones are one more entry, the
   * last.
   */
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
 * It is what a term would add to a logit for a token of average strength attended to with weight 1. Norms and biases
 * are left out. Sizes of all paths of an order, and of all paths through a head, are summed without listing them, by
 * passes over the layers.
 *
 * @param options - `maxOrder`, `pairs`; `signal`, `onProgress` (in passes through a layer).
 * @throws {@link InputError} when `maxOrder` is not a non-negative integer; the signal's reason when aborted.
 * @category Path expansion
 * @example
 * ```ts
 * import { logitTermNorms } from "transformer-circuits/circuits";
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
  const factors = pairs ? model.layers.map(({ heads }) => heads.map(factorsOf)) : undefined;
  const toOut = model.layers.map((layer) => writtenGrams(out.data, layer));
  const [ways = []] = pathsFromHeads(model.layers, [{ direct: toOut, longest: maxOrder }], steps);
  const written = ways.map((byOrder, l) => ({ toOut: toOut[l] as Gram, byOrder, onward: addedUp(byOrder) }));
  if (n_layers === 0) steps.advance();
  return {
    sources: sources.map((source) => termsFrom(source, out, { model, factors, written, steps })),
    counts: countsTo(maxOrder, pathCounts(n_layers, n_heads)),
  };
}

/**
 * What becomes of the weighted values of a layer's heads, `[head, d_head, d_head]`: straight to the logits, through so
 * many more heads, and by all ways.
 */
interface LayerEnds {
  readonly toOut: Gram;
  readonly byOrder: HeadSums;
  readonly onward: Gram;
}

interface Plan {
  readonly model: Transformer;
  /** Of all heads, where pairs of them are listed. */
  readonly factors: readonly (readonly HeadFactors[])[] | undefined;
  readonly written: readonly LayerEnds[];
  readonly steps: Steps;
}

function termsFrom(source: SourceGram, out: DenseMatrix, plan: Plan): SourceTermNorms {
  const { model, factors, written, steps } = plan;
  const { n_layers, n_heads, d_vocab_out } = model.config;
  const size = (squares: number): number => Math.sqrt(squares / d_vocab_out);
  const start = square(source.whole);
  const found = { heads: perHead(), first: perHead(), through: perHead(), last: perHead() };
  const totals = [innerProduct(start, out)];
  let sum: Gram = source.whole;
  for (const [l, layer] of model.layers.entries()) {
    const own = readGrams(source.whole, layer);
    const before = l === 0 ? own : readGrams(sum, layer);
    const { toOut, byOrder, onward } = written[l] as LayerEnds;
    const put = (into: Float64Array, read: Gram, ends: Gram): void =>
      into.set(throughEach(read, ends, n_heads).map(size), l * n_heads);
    put(found.heads, own, toOut);
    put(found.first, own, onward);
    put(found.through, before, onward);
    put(found.last, before, toOut);
    for (const [p, ways] of byOrder.entries()) {
      totals[p + 1] = throughEach(own, ways, n_heads).reduce((a, b) => a + b, totals[p + 1] ?? 0);
    }
    if (l + 1 < n_layers) sum = addedUp([sum, gramWritten(before, layer)]);
    steps.advance();
  }
  function perHead(): Float64Array {
    return new Float64Array(n_layers * n_heads);
  }
  const table = (data: Float64Array): Tensor<"layer head"> => Tensor.from("layer head", [n_layers, n_heads], data);
  return {
    source: source.name,
    direct: size(totals[0] as number),
    heads: table(found.heads),
    pairs: factors && pairSizes(factors, start, out, size),
    totals: totals.map(size),
    first: table(found.first),
    through: table(found.through),
    last: table(found.last),
  };
}

/** How a head reads and writes, in float64. */
interface HeadFactors {
  readonly V: DenseMatrix;
  readonly O: DenseMatrix;
}

function factorsOf({ W_V, W_O }: AttentionHead): HeadFactors {
  return { V: denseOf(W_V), O: denseOf(W_O) };
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
