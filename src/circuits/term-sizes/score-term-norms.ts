/** How large the terms of the expansion of a head's attention scores are in the weights, whatever the patterns. */
import { requireKind, requireOrderBound } from "../../errors.ts";
import { dense, matmulDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import type { AttentionLayer, HeadId, HeadRef, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { pathsToHeads } from "./path-cores.ts";
import type { HeadSums } from "./path-cores.ts";
import { addedUp, gramRead, readGrams, throughEach, writtenGrams } from "./path-grams.ts";
import type { Gram } from "./path-grams.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { countsTo, pathCounts } from "./path-counts.ts";
import { congruent, denseOf, embedSource, positionSource, square } from "./source-grams.ts";

/**
 * What a query or a key is made of: tokens or positions, as they enter, or as earlier heads moved them.
 * @category Attention scores
 */
export interface ScoreTermSide {
  readonly source: "embed" | "pos_embed";
  /** The head that moved it last; none for what enters by itself. */
  readonly head: HeadId | undefined;
}

/**
 * Options of {@link scoreTermNorms}.
 * @category Attention scores
 */
export interface ScoreTermNormsOptions extends ProgressOptions {
  /**
   * The longest paths that are told apart in `orders`; all are unless given, and longer ones are one more entry, the
   * last.
   */
  readonly maxOrder?: number | undefined;
}

/**
 * What {@link scoreTermNorms} finds, in scores: of single terms the root mean square, of several the root of the sum of
 * their squares.
 * @category Attention scores
 */
export interface ScoreTermNorms {
  readonly head: HeadId;
  /** The components of either side, in the order of rows and columns. */
  readonly sides: readonly ScoreTermSide[];
  /** `[q_comp, k_comp]`: pairs of components, all paths that end with a head together. */
  readonly sizes: Tensor<"q_comp k_comp">;
  /** `[q_order, k_order]`: all terms with so many heads on the query's path and so many on the key's. */
  readonly orders: Tensor<"q_order k_order">;
  /**
   * By order: how many paths of that many heads lead from a source that heads move to the query, and as many to the
   * key.
   */
  readonly counts: readonly number[];
  /** `[layer, head]`: all terms whose query's path begins with a head, in the layers before this head's. */
  readonly queryFirst: Tensor<"layer head">;
  /** `[layer, head]`: all terms whose key's path begins with a head. */
  readonly keyFirst: Tensor<"layer head">;
}

/**
 * The size of the terms of the expansion of a head's scores in the weights alone: the root mean square entry of
 * $X_q W_{QK} X_k^\top / \text{scale}$ less each query's mean, which patterns do not see, with $X$ the embedding $W_E$
 * or, moved by earlier heads, $W_E W_{OV}^{h_1} \cdots W_{OV}^{h_p}$ (*A Mathematical Framework for Transformer
 * Circuits*, "Path expansion of attention scores QK circuit").
 *
 * Without positions in the stream a head of layer 1 has the paper's $(1 + H)^2$ terms; shortformer positions are one
 * more component of either side, and `standard` ones are moved by heads as tokens are. In deeper models all paths are
 * counted and none is enumerated: they are grouped by the last head on either side, by their numbers of heads, and by
 * the first head, each by passes over the layers. Norms, biases and rotations are left out.
 *
 * @param ref - the head, by place or label.
 * @param options - `maxOrder`; `signal`, `onProgress` (in passes through a layer).
 * @throws {@link InputError} when there is no such head, or `maxOrder` is not a non-negative integer; the signal's
 * reason when aborted.
 * @category Attention scores
 * @example
 * ```ts
 * import { scoreTermNorms } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { sides, sizes, orders } = scoreTermNorms(model, "L1H4");
 * const of = (head: number) => sides.findIndex((side) => side.head?.head === head);
 * console.log(sides.length, sizes.at(0, of(5)) > 4 * sizes.at(0, of(3)), orders.shape);
 * // 10 true [ 2, 2 ]
 * ```
 */
export function scoreTermNorms(model: Transformer, ref: HeadRef, options: ScoreTermNormsOptions = {}): ScoreTermNorms {
  requireKind("model", model, "model", "scoreTermNorms", options);
  const reader = model.head(ref);
  const { layer } = reader;
  const { maxOrder = layer } = options;
  requireOrderBound(maxOrder, "scoreTermNorms");
  const [Q, K] = [denseOf(reader.W_Q), denseOf(reader.W_K)];
  const positions = positionSource(model);
  const isMoved = model.config.positional_embedding_type === "standard";
  const still = !isMoved && positions !== undefined ? [positions] : [];
  const moved = [embedSource(model), ...(isMoved && positions !== undefined ? [positions] : [])];
  const steps = new Steps(options, Math.max(1, 2 * layer));
  const ends = [...moved, ...still].map((source) => component({ source: source.name, head: undefined }, source, Q, K));
  const before = model.layers.slice(0, layer);
  const reads = moved.map(({ whole, less }) => ({
    whole: before.map((each) => readGrams(whole, each)),
    less: before.map((each) => readGrams(less, each)),
  }));
  const together = (side: "whole" | "less"): Gram[] =>
    before.map((_, l) => addedUp(reads.map((read) => read[side][l] as Gram)));
  const direct = { whole: together("whole"), less: together("less") };
  const [whole, less, ...apart] = pathsToHeads(
    before,
    [
      { direct: direct.whole, longest: maxOrder },
      { direct: direct.less, longest: maxOrder },
      ...reads.flatMap((read) => [
        { direct: read.whole, longest: 0 },
        { direct: read.less, longest: 0 },
      ]),
    ],
    steps,
  ) as [HeadSums[], HeadSums[], ...HeadSums[][]];
  const writers: Component[] = [];
  const orders: Pair[] = [joined(ends)];
  for (const [l, each] of before.entries()) {
    for (const head of each.heads) {
      const O = denseOf(head.W_O);
      const [toQ, toK] = [matmulDense(O, Q), matmulDense(O, K)];
      const of = (sums: readonly HeadSums[], order: number): Gram =>
        (sums[l]?.[order] as Gram).subarray(head.head * O.rows ** 2, (head.head + 1) * O.rows ** 2);
      for (const [i, { name }] of moved.entries()) {
        const side = { source: name, head: { layer: each.layer, head: head.head } };
        const [ofWhole, ofLess] = [apart[2 * i] as HeadSums[], apart[2 * i + 1] as HeadSums[]];
        writers.push(component(side, { whole: of(ofWhole, 0), less: of(ofLess, 0) }, toQ, toK));
      }
      for (const p of (whole[l] as HeadSums).keys()) {
        const pair = pairOf({ whole: of(whole, p), less: of(less, p) }, toQ, toK);
        const known = orders[p + 1];
        orders[p + 1] = known === undefined ? pair : joined([known, pair]);
      }
    }
  }
  if (layer === 0) steps.advance();
  const all = [...ends, ...writers];
  const { attnScale } = model.layer(layer);
  const both = joined(all);
  const [ofQueries, ofKeys] = firstHeads(
    before,
    direct,
    matmulDense(Q, matmulDense(both.key, Q, { transposeB: true })).data,
    matmulDense(K, matmulDense(both.query, K, { transposeB: true })).data,
    steps,
  );
  const scaled = (squares: Float64Array): Float64Array => squares.map((x) => Math.sqrt(x) / Math.abs(attnScale));
  const shape = [layer, model.config.n_heads];
  return {
    head: { layer, head: reader.head },
    sides: all.map(({ side }) => side),
    sizes: Tensor.from("q_comp k_comp", [all.length, all.length], scaled(products(all))),
    orders: Tensor.from("q_order k_order", [orders.length, orders.length], scaled(products(orders))),
    counts: countsTo(maxOrder, pathCounts(layer, model.config.n_heads)),
    queryFirst: Tensor.from("layer head", shape, scaled(ofQueries)),
    keyFirst: Tensor.from("layer head", shape, scaled(ofKeys)),
  };
}

/** What Gram matrices of rows are to a head: $W_Q^\top S W_Q$, and that of keys less their mean. */
interface Pair {
  readonly query: DenseMatrix;
  readonly key: DenseMatrix;
}

interface Component extends Pair {
  readonly side: ScoreTermSide;
}

/** Gram matrices of rows, and of rows less their mean. */
interface Rows {
  readonly whole: Gram;
  readonly less: Gram;
}

function component(side: ScoreTermSide, rows: Rows, Q: DenseMatrix, K: DenseMatrix): Component {
  return { side, ...pairOf(rows, Q, K) };
}

function pairOf({ whole, less }: Rows, Q: DenseMatrix, K: DenseMatrix): Pair {
  return { query: congruent(square(whole), Q), key: congruent(square(less), K) };
}

function joined(pairs: readonly Pair[]): Pair {
  const sum = (side: keyof Pair): DenseMatrix => square(addedUp(pairs.map((pair) => pair[side].data)));
  return { query: sum("query"), key: sum("key") };
}

/**
 * The sum of the squares of all terms of each query side with each key side, `[query, key]`: $\mathrm{tr}(Q^\top K)$ of
 * the pairs, 0 where rounding makes it less.
 */
function products(pairs: readonly Pair[]): Float64Array {
  const rows = (side: keyof Pair): DenseMatrix => {
    const size = pairs[0]?.[side].data.length ?? 0;
    const data = new Float64Array(pairs.length * size);
    for (const [i, pair] of pairs.entries()) data.set(pair[side].data, i * size);
    return dense(pairs.length, size, data);
  };
  return matmulDense(rows("query"), rows("key"), { transposeB: true }).data.map((x) => Math.max(0, x));
}

/**
 * The sums of the squares of the terms whose query's, and whose key's, path begins with each head, from the last layer
 * back.
 */
function firstHeads(
  layers: readonly AttentionLayer[],
  direct: { readonly [side in keyof Rows]: readonly Gram[] },
  ofQueries: Gram,
  ofKeys: Gram,
  steps: Steps,
): readonly [Float64Array, Float64Array] {
  const heads = layers[0]?.heads.length ?? 0;
  const sides = [
    { read: direct.whole, found: new Float64Array(layers.length * heads), after: ofQueries },
    { read: direct.less, found: new Float64Array(layers.length * heads), after: ofKeys },
  ] satisfies [unknown, unknown];
  for (const layer of [...layers].reverse()) {
    for (const side of sides) {
      const written = writtenGrams(side.after, layer);
      side.found.set(throughEach(side.read[layer.layer] as Gram, written, heads), layer.layer * heads);
      if (layer.layer > 0) side.after = addedUp([side.after, gramRead(written, layer)]);
    }
    steps.advance();
  }
  return [sides[0].found, sides[1].found];
}
