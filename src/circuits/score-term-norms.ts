/** How large the terms of the expansion of a head's attention scores are in the weights, whatever the patterns. */
import { matmulDense } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import type { AttentionHead, HeadId, HeadRef, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { Steps } from "./progress.ts";
import type { ProgressOptions } from "./progress.ts";
import { centred, congruent, embedSource, factorsOf, innerProduct, positionSource } from "./source-grams.ts";
import type { SourceGram } from "./source-grams.ts";

/**
 * What a query or a key is made of: tokens or positions, as they enter, or as an earlier head moved them.
 * @category Attention scores
 */
export interface ScoreTermSide {
  readonly source: "embed" | "pos_embed";
  /** The head that moved it; none for what enters by itself. */
  readonly head: HeadId | undefined;
}

/**
 * What {@link scoreTermNorms} finds.
 * @category Attention scores
 */
export interface ScoreTermNorms {
  readonly head: HeadId;
  /** The components of either side, in the order of rows and columns. */
  readonly sides: readonly ScoreTermSide[];
  /** `[q_comp, k_comp]`: root mean square scores. */
  readonly sizes: Tensor<"q_comp k_comp">;
}

/**
 * The size of each term of the expansion of a head's scores in the weights alone: the root mean square entry of
 * $X_q W_{QK} X_k^\top / \text{scale}$ less each query's mean, which patterns do not see, with $X$ the embedding $W_E$ or, of an earlier
 * head, $W_E W_{OV}$ (*A Mathematical Framework for Transformer Circuits*, "Path expansion of attention scores QK circuit").
 *
 * Without positions in the stream a head of layer 1 has the paper's $(1 + H)^2$ terms; shortformer positions are one more component
 * of either side, and `standard` ones are moved by heads as tokens are. In deeper models paths through two and more heads on one side are
 * left out. So are norms, biases and rotations.
 *
 * @param ref - the head, by place or label.
 * @param options - `signal`, `onProgress` (in components).
 * @throws {@link InputError} when there is no such head; the signal's reason when aborted.
 * @category Attention scores
 * @example
 * ```ts
 * import { scoreTermNorms } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { sides, sizes } = scoreTermNorms(model, "L1H4");
 * const of = (head: number) => sides.findIndex((side) => side.head?.head === head);
 * console.log(sides.length, sizes.at(0, of(5)) > 4 * sizes.at(0, of(3)));
 * // 10 true
 * ```
 */
export function scoreTermNorms(model: Transformer, ref: HeadRef, options: ProgressOptions = {}): ScoreTermNorms {
  const reader = model.head(ref);
  const { Q, K } = factorsOf(reader);
  const scale = model.layer(reader.layer).attnScale;
  const positions = positionSource(model);
  const isMoved = model.config.positional_embedding_type === "standard";
  const embed = embedSource(model);
  const sources: readonly SourceGram[] = [embed, ...(positions === undefined ? [] : [positions])];
  const moved = isMoved ? sources : [embed];
  const writers = model.heads.filter(({ layer }) => layer < reader.layer);
  const steps = new Steps(options, sources.length + writers.length);
  const components: Component[] = sources.map((source) => {
    steps.advance();
    return {
      side: { source: source.name, head: undefined },
      rows: source.rows,
      query: congruent(source.gram, Q),
      key: congruent(centred(source.gram, source.mean, source.rows), K),
    };
  });
  const inner = moved.map((source) => ({ ...source, centred: centred(source.gram, source.mean, source.rows) }));
  for (const writer of writers) {
    components.push(...inner.map((source) => movedBy(writer, source, Q, K)));
    steps.advance();
  }
  const n = components.length;
  const sizes = new Float64Array(n * n);
  for (const [i, { query, rows }] of components.entries())
    for (const [j, other] of components.entries())
      sizes[i * n + j] = Math.sqrt(innerProduct(query, other.key) / (rows * other.rows)) / Math.abs(scale);
  return {
    head: { layer: reader.layer, head: reader.head },
    sides: components.map(({ side }) => side),
    sizes: Tensor.from("q_comp k_comp", [n, n], sizes),
  };
}

/** A component with what its Gram matrix is to the head: $W_Q^\top X^\top X W_Q$, and that of keys less their mean. */
interface Component {
  readonly side: ScoreTermSide;
  readonly rows: number;
  readonly query: DenseMatrix;
  readonly key: DenseMatrix;
}

function movedBy(
  writer: AttentionHead,
  source: SourceGram & { readonly centred: DenseMatrix },
  Q: DenseMatrix,
  K: DenseMatrix,
): Component {
  const { V, O } = factorsOf(writer);
  return {
    side: { source: source.name, head: { layer: writer.layer, head: writer.head } },
    rows: source.rows,
    query: congruent(congruent(source.gram, V), matmulDense(O, Q)),
    key: congruent(congruent(source.centred, V), matmulDense(O, K)),
  };
}
