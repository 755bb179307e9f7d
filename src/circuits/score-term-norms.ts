/** How large the terms of the expansion of a head's attention scores are in the weights, whatever the patterns. */
import { requireKind } from "../errors.ts";
import { matmulDense } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import type { AttentionLayer, HeadId, HeadRef, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { requireOrderBound } from "./arguments.ts";
import { addedUp, advanceGrams, backThroughHeads, readGrams, throughEach, writtenGrams } from "./path-grams.ts";
import type { Gram } from "./path-grams.ts";
import { Steps } from "./progress.ts";
import type { ProgressOptions } from "./progress.ts";
import {
  congruent,
  countsTo,
  embedSource,
  factorsOf,
  innerProduct,
  pathCounts,
  positionSource,
  square,
} from "./source-grams.ts";
import type { SourceGram } from "./source-grams.ts";

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
  /** The longest paths that are told apart in `orders`; all are unless given, and longer ones are one more entry, the last. */
  readonly maxOrder?: number | undefined;
}

/**
 * What {@link scoreTermNorms} finds, in scores: of single terms the root mean square, of several the root of the sum of their squares.
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
  /** By order: how many paths of that many heads lead from a source that heads move to the query, and as many to the key. */
  readonly counts: readonly number[];
  /** `[layer, head]`: all terms whose query's path begins with a head, in the layers before this head's. */
  readonly queryFirst: Tensor<"layer head">;
  /** `[layer, head]`: all terms whose key's path begins with a head. */
  readonly keyFirst: Tensor<"layer head">;
}

/**
 * The size of the terms of the expansion of a head's scores in the weights alone: the root mean square entry of
 * $X_q W_{QK} X_k^\top / \text{scale}$ less each query's mean, which patterns do not see, with $X$ the embedding $W_E$ or, moved by
 * earlier heads, $W_E W_{OV}^{h_1} \cdots W_{OV}^{h_p}$ (*A Mathematical Framework for Transformer Circuits*, "Path expansion of attention scores QK circuit").
 *
 * Without positions in the stream a head of layer 1 has the paper's $(1 + H)^2$ terms; shortformer positions are one more component
 * of either side, and `standard` ones are moved by heads as tokens are. In deeper models all paths are counted and none is enumerated: they are
 * grouped by the last head on either side, by their numbers of heads, and by the first head, each by passes over the layers. Norms, biases and rotations are left out.
 *
 * @param ref - the head, by place or label.
 * @param options - `maxOrder`; `signal`, `onProgress` (in passes through a layer).
 * @throws {@link InputError} when there is no such head, or `maxOrder` is not a non-negative integer; the signal's reason when aborted.
 * @category Attention scores
 * @example
 * ```ts
 * import { scoreTermNorms } from "transformer-circuits";
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
  const { Q, K } = factorsOf(reader);
  const positions = positionSource(model);
  const isMoved = model.config.positional_embedding_type === "standard";
  const still = !isMoved && positions !== undefined ? [positions] : [];
  const moved = [embedSource(model), ...(isMoved && positions !== undefined ? [positions] : [])];
  const steps = new Steps(options, Math.max(1, 2 * layer));
  const ends = [...moved, ...still].map((source) => component({ source: source.name, head: undefined }, source, Q, K));
  const streams = moved.map((source): Stream => ({ name: source.name, whole: [source.whole], less: [source.less] }));
  const writers: Component[] = [];
  for (const each of model.layers.slice(0, layer)) {
    const read = streams.map(({ name, whole, less }) => ({
      name,
      whole: readGrams(addedUp(whole), each),
      less: readGrams(addedUp(less), each),
    }));
    for (const head of each.heads) {
      const { O } = factorsOf(head);
      const [toQ, toK] = [matmulDense(O, Q), matmulDense(O, K)];
      const own = (grams: Gram): Gram => grams.subarray(head.head * O.rows ** 2, (head.head + 1) * O.rows ** 2);
      for (const { name, whole, less } of read) {
        const side = { source: name, head: { layer: each.layer, head: head.head } };
        writers.push(component(side, { whole: own(whole), less: own(less) }, toQ, toK));
      }
    }
    for (const stream of streams) {
      stream.whole = advanceGrams(stream.whole, each, maxOrder);
      stream.less = advanceGrams(stream.less, each, maxOrder);
    }
    steps.advance();
  }
  if (layer === 0) steps.advance();
  const all = [...ends, ...writers];
  const { attnScale } = model.layer(layer);
  const orders = streams[0]?.whole.map((_, order) =>
    joined([
      ...streams.map(({ name, whole, less }) =>
        component({ source: name, head: undefined }, { whole: whole[order] as Gram, less: less[order] as Gram }, Q, K),
      ),
      ...(order === 0 ? ends.slice(moved.length) : []),
    ]),
  ) as Pair[];
  const both = joined(all);
  const before = model.layers.slice(0, layer);
  const [ofQueries, ofKeys] = firstHeads(
    before,
    moved,
    matmulDense(Q, matmulDense(both.key, Q, { transposeB: true })),
    matmulDense(K, matmulDense(both.query, K, { transposeB: true })),
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

/** Gram matrices of paths from a source, by order, as queries see them and as keys do, less their mean. */
interface Stream {
  readonly name: SourceGram["name"];
  whole: readonly Gram[];
  less: readonly Gram[];
}

function component(
  side: ScoreTermSide,
  { whole, less }: { readonly whole: Gram; readonly less: Gram },
  Q: DenseMatrix,
  K: DenseMatrix,
): Component {
  return { side, query: congruent(square(whole), Q), key: congruent(square(less), K) };
}

function joined(pairs: readonly Pair[]): Pair {
  const sum = (side: keyof Pair): DenseMatrix => square(addedUp(pairs.map((pair) => pair[side].data)));
  return { query: sum("query"), key: sum("key") };
}

/** The sum of the squares of all terms of each query side with each key side, `[query, key]`. */
function products(pairs: readonly Pair[]): Float64Array {
  const out = new Float64Array(pairs.length ** 2);
  for (const [i, { query }] of pairs.entries())
    for (const [j, { key }] of pairs.entries()) out[i * pairs.length + j] = innerProduct(query, key);
  return out;
}

/** The sums of the squares of the terms whose query's, and whose key's, path begins with each head, from the last layer back. */
function firstHeads(
  layers: readonly AttentionLayer[],
  moved: readonly SourceGram[],
  ofQueries: DenseMatrix,
  ofKeys: DenseMatrix,
  steps: Steps,
): readonly [Float64Array, Float64Array] {
  const count = layers.length * (layers[0]?.heads.length ?? 0);
  const found = [new Float64Array(count), new Float64Array(count)] as const;
  const [whole, less] = [addedUp(moved.map((source) => source.whole)), addedUp(moved.map((source) => source.less))];
  let [query, key] = [ofQueries.data, ofKeys.data];
  for (const layer of [...layers].reverse()) {
    const at = layer.layer * layer.heads.length;
    const each = (S: Gram, B: Gram): number[] =>
      throughEach(readGrams(S, layer), writtenGrams(B, layer), layer.heads.length);
    found[0].set(each(whole, query), at);
    found[1].set(each(less, key), at);
    if (layer.layer > 0) {
      query = addedUp([query, backThroughHeads(query, layer)]);
      key = addedUp([key, backThroughHeads(key, layer)]);
    }
    steps.advance();
  }
  return found;
}
