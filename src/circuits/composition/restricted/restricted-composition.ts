/**
 * Composition in the directions that are used: of what a reader can tell apart, how much comes through a writer, from
 * the weights alone.
 *
 * The paper's score compares maps over all directions of the stream, those that nothing is ever written to and those
 * that nobody reads included. Here either side is weighted by what passes there. Let $F^\top F$ be the covariance of
 * what the writer writes when it moves one token and one position drawn at random, and let a score be
 * $q\,W_K^\top x^\top / \text{scale}$ for a query $q$ of the tokens, positions and earlier heads that queries read. The
 * variance along keys that the writer makes is
 *
 * $$\sigma_w^2 = \lVert P F^\top \rVert^2, \qquad P^\top P = W_K \,\mathrm{E}[q^\top q]\, W_K^\top / \text{scale}^2,$$
 *
 * and the same of every other part of the stream adds up to the whole. What is constant along keys is taken out, as
 * softmax does. Q is the same with keys and queries changed about; of V the other side is the differences of logits.
 *
 * A composition may also *match*: on average over tokens $t$, the reader's query of $t$ and the key that the writer
 * makes of the same $t$ fit better than those of two tokens drawn at random. That is the diagonal of the token circuit
 * through both, by a trace of d_model x d_model products.
 */
import { requireKind } from "../../../errors.ts";
import { dense, matmulDense, transposeDense } from "../../../linalg/index.ts";
import type { DenseMatrix } from "../../../linalg/index.ts";
import { rotationMatrix } from "../../../model/index.ts";
import type { HeadRef, ModelConfig, Transformer } from "../../../model/index.ts";
import { Steps } from "../../../progress.ts";
import type { ProgressOptions } from "../../../progress.ts";
import { rawData } from "../../../tensor/internal.ts";
import { centredUnembeddingGram, congruent } from "../../term-sizes/source-grams.ts";
import type { PairScores } from "../pair-scores.ts";
import { PairTable, readersOf } from "./pair-table.ts";
import { readerForm, scoreAgainstRotations, usedSpace, writerForm } from "./rotation-null.ts";
import type { FormInSpace, UsedSpace } from "./rotation-null.ts";
import { headMatrix, rootOf, rowTimes, streamMoments, writtenRows } from "./stream-moments.ts";
import type { LayerInput, Moments, StreamMoments } from "./stream-moments.ts";

/**
 * One kind of composition between all pairs of heads, in the directions that are used; 0 where the writer's layer is
 * not the earlier.
 * @category Circuits
 */
export interface RestrictedScores {
  /** Root of the share, among all that reaches the reader, of the variance that comes through the writer: 0 to 1. */
  readonly share: PairScores;
  /**
   * Root of that variance: by how much the writer makes scores differ along a row, before the softmax; of V, how much
   * it makes logits differ through the reader, directly.
   */
  readonly size: PairScores;
  /** The share that a random orientation of the writer in the used directions has on average: root of the mean. */
  readonly chance: PairScores;
  /** The variance in standard deviations above its mean over random orientations, both exact. */
  readonly zScores: PairScores;
}

/**
 * What {@link restrictedComposition} finds of one kind.
 * @category Circuits
 */
export interface RestrictedWeightScores extends RestrictedScores {
  /**
   * How much more a token's score (of V, its logit) is where the writer moves the same token than where it moves
   * another: the mean diagonal of the token circuit less the mean of all of it. 0 for V where the logits are of other
   * tokens.
   */
  readonly matching: PairScores;
  /** The same in standard deviations of what tokens in random order give, exact. */
  readonly matchingZScores: PairScores;
}

/**
 * Composition by queries, keys and values in the directions that are used.
 * @category Circuits
 */
export type RestrictedComposition = Readonly<Record<"Q" | "K" | "V", RestrictedWeightScores>>;

/**
 * Options of {@link restrictedComposition}.
 * @category Circuits
 */
export interface RestrictedCompositionOptions extends ProgressOptions {
  /** The heads that read; all unless given. Pairs of others are 0. */
  readonly readers?: readonly HeadRef[] | undefined;
}

/**
 * Q-, K- and V-composition between all pairs of heads, restricted to what tokens, positions and earlier heads put into
 * the stream and to what the reader's other side can use, each against its exact null distribution.
 *
 * Parts are taken to be independent, tokens and positions to be drawn evenly, and heads to move one place: what a head
 * looks at is not in these scores. A head that rests on one token always writes the same, and is rated too high;
 * `compositionOnText` of `transformer-circuits/paths` sees that. Norms are in, at the scale of the mean stream, as are
 * biases and shared keys and values. Rotary scores are means over the first 256 offsets; what a constant adds there is
 * left out. What MLPs write is left out.
 *
 * @param options - `readers`, `signal`, `onProgress` (in readers).
 * @throws {@link InputError} when there is no such head; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { restrictedComposition } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { K } = restrictedComposition(model);
 * console.log(K.share.at(0, 5, 1, 2).toFixed(2), K.chance.at(0, 5, 1, 2).toFixed(2));
 * // 0.50 0.31
 * console.log(K.matching.at(0, 5, 1, 2).toFixed(1), K.matchingZScores.at(0, 5, 1, 2) > 50);
 * // 6.0 true
 * ```
 */
export function restrictedComposition(
  model: Transformer,
  options: RestrictedCompositionOptions = {},
): RestrictedComposition {
  requireKind("model", model, "model", "restrictedComposition", options, "readers signal onProgress");
  const readers = readersOf(model, options.readers, "restrictedComposition");
  const steps = new Steps(options, readers.length);
  const tables = { Q: emptyTable(model), K: emptyTable(model), V: emptyTable(model) };
  const moments = model.layers.length > 0 ? streamMoments(model) : undefined;
  const layers = new Map<number, LayerPairs>();
  for (const { layer, head } of readers) {
    if (layer > 0 && moments !== undefined) {
      const pairs = layers.get(layer) ?? new LayerPairs(model, moments, layer);
      layers.set(layer, pairs);
      pairs.score(head, tables);
    }
    steps.advance();
  }
  return { Q: tables.Q.scores, K: tables.K.scores, V: tables.V.scores };
}

/** The scores of one kind while they are found. */
type Table = PairTable<keyof RestrictedWeightScores>;

const emptyTable = (model: Transformer): Table =>
  new PairTable(model, ["share", "size", "chance", "zScores", "matching", "matchingZScores"]);

/** An earlier head as one layer reads it. */
interface Writer {
  readonly layer: number;
  readonly head: number;
  readonly queries: FormInSpace;
  readonly values: FormInSpace;
  /** $W_O$ through the reading layer's norm, `[d_head, d_model]`. */
  readonly W_O: DenseMatrix;
  /** The covariance of the values that it makes of tokens, `[d_head, d_head]`. */
  readonly tokens: DenseMatrix;
  /** The covariance of these with tokens as the reading layer reads them, `[d_head, d_model]`. */
  readonly withTokens: DenseMatrix;
  /** And with the columns of $W_U$. */
  readonly withUnembedding: DenseMatrix | undefined;
}

/** All pairs whose readers are of one layer. */
class LayerPairs {
  readonly #model: Transformer;
  readonly #input: LayerInput;
  readonly #spaces: { readonly queries: UsedSpace; readonly values: UsedSpace };
  readonly #writers: readonly Writer[];
  readonly #rotations: readonly DenseMatrix[];
  readonly #meanRotation: DenseMatrix | undefined;
  readonly #final: StreamMoments["final"];
  /** The covariance of the columns of $W_U$. */
  readonly #logits: DenseMatrix;

  constructor(model: Transformer, { inputs, final }: StreamMoments, layer: number) {
    const input = inputs[layer] as LayerInput;
    this.#model = model;
    this.#input = input;
    this.#final = final;
    this.#rotations = rotationsOf(model.config);
    this.#meanRotation = this.#rotations.length === 0 ? undefined : averageOf(this.#rotations);
    const values = usedSpace(input.values.covariance);
    const isSame = input.queries === input.values;
    this.#spaces = { values, queries: isSame ? values : usedSpace(input.queries.covariance) };
    const gram = centredUnembeddingGram(model);
    this.#logits = scaled(gram, 1 / model.config.d_vocab_out);
    this.#writers = inputs
      .slice(0, layer)
      .flatMap((from) => from.layer.heads.map(({ head }) => this.#writer(from, head)));
  }

  #writer(from: LayerInput, head: number): Writer {
    const { through } = this.#input;
    const F = through(writtenRows(from.layer, head, from.values));
    const W_V = headMatrix(from.layer.W_V, head);
    const along = (C: DenseMatrix): DenseMatrix => matmulDense(W_V, C, { transposeA: true });
    const { withEmbedding, withUnembedding, covariance } = from.tokens;
    const queries = writerForm(F, this.#spaces.queries);
    return {
      layer: from.layer.layer,
      head,
      queries,
      values: this.#spaces.values === this.#spaces.queries ? queries : writerForm(F, this.#spaces.values),
      W_O: through(headMatrix(from.layer.W_O, head)),
      tokens: congruent(covariance, W_V),
      withTokens: through(along(withEmbedding)),
      withUnembedding: withUnembedding && along(withUnembedding),
    };
  }

  /** The scores of one reader with every writer. */
  score(head: number, tables: Readonly<Record<"Q" | "K" | "V", Table>>): void {
    const { layer } = this.#input;
    const place = (writer: Writer): [number, number, number, number] => [writer.layer, writer.head, layer.layer, head];
    const sides = this.#sidesOf(head);
    for (const kind of ["Q", "K"] as const) {
      const { form, moved, other, turn } = sides[kind];
      const tokens = congruent(this.#input.tokens.covariance, other);
      for (const writer of this.#writers) {
        const scores = scoreAgainstRotations(form, writer.queries, this.#spaces.queries);
        const map = turned(matmulDense(writer.W_O, moved), turn);
        const together = matmulDense(writer.withTokens, other);
        tables[kind].put(place(writer), {
          ...scores,
          ...this.#matching(writer, map, together, tokens, 1 / layer.attnScale),
        });
      }
    }
    const { form, W_V, W_O, logits } = sides.V;
    for (const writer of this.#writers) {
      const scores = scoreAgainstRotations(form, writer.values, this.#spaces.values);
      const map = matmulDense(writer.W_O, W_V);
      const { withUnembedding } = writer;
      const together = withUnembedding && matmulDense(withUnembedding, W_O, { transposeB: true });
      const matching = together && this.#matching(writer, map, together, logits, 1);
      tables.V.put(place(writer), { ...scores, ...matching });
    }
  }

  /**
   * The mean diagonal of a token circuit less its mean, and that over its spread when tokens are shuffled: with the
   * covariances $C$ and $C'$ of both sides, $\mathrm{tr}(C C') / (d_{vocab} - 1)$ is the variance of the mean diagonal
   * over all orders of one side.
   */
  #matching(
    { tokens: written }: Writer,
    map: DenseMatrix,
    together: DenseMatrix,
    tokens: DenseMatrix,
    scale: number,
  ): { readonly matching: number; readonly matchingZScores: number } {
    const { d_vocab } = this.#model.config;
    const diagonal = innerProduct(map, together) * scale;
    const square = innerProduct(congruent(written, map), tokens) * scale ** 2;
    const std = Math.sqrt(Math.max(0, square) / Math.max(1, d_vocab - 1));
    return { matching: diagonal, matchingZScores: std > 0 ? diagonal / std : 0 };
  }

  #sidesOf(head: number): {
    readonly Q: ScoreSideForm;
    readonly K: ScoreSideForm;
    readonly V: { form: FormInSpace; W_V: DenseMatrix; W_O: DenseMatrix; logits: DenseMatrix };
  } {
    const { layer, queries } = this.#input;
    const { W_Q, W_K, W_V } = {
      W_Q: headMatrix(layer.W_Q, head),
      W_K: headMatrix(layer.W_K, head),
      W_V: headMatrix(layer.W_V, head),
    };
    const W_O = this.#final(headMatrix(layer.W_O, head));
    const asked = secondMoments(queries, W_Q, rawData(layer.b_Q.select("head", head)));
    const told = congruent(queries.covariance, W_K);
    const formOf = (form: DenseMatrix, W: DenseMatrix, space: UsedSpace): FormInSpace =>
      readerForm(matmulDense(rootOf(form), W, { transposeB: true }), space);
    const over = (form: DenseMatrix, W: DenseMatrix): FormInSpace =>
      formOf(scaled(form, 1 / layer.attnScale ** 2), W, this.#spaces.queries);
    const logits = congruent(this.#logits, transposeDense(W_O));
    const turn = this.#meanRotation;
    return {
      K: {
        form: over(this.#overOffsets(asked, "query"), W_K),
        moved: W_K,
        other: W_Q,
        turn: turn && transposeDense(turn),
      },
      Q: { form: over(this.#overOffsets(told, "key"), W_Q), moved: W_Q, other: W_K, turn },
      V: { form: formOf(logits, W_V, this.#spaces.values), W_V, W_O, logits },
    };
  }

  /** The mean of a form of queries or keys over the offsets at which they meet. */
  #overOffsets(form: DenseMatrix, side: "query" | "key"): DenseMatrix {
    if (this.#rotations.length === 0) return form;
    return averageOf(this.#rotations.map((R) => congruent(form, side === "query" ? R : transposeDense(R))));
  }
}

interface ScoreSideForm {
  readonly form: FormInSpace;
  /** The weight that reads the writer. */
  readonly moved: DenseMatrix;
  /** The weight that reads the other side. */
  readonly other: DenseMatrix;
  /** The mean rotation between them, applied to what is moved; none where there is no rotation. */
  readonly turn: DenseMatrix | undefined;
}

/** $\mathrm{E}[q^\top q]$ of $q = x W + b$. */
function secondMoments({ mean, covariance }: Moments, W: DenseMatrix, b: ArrayLike<number>): DenseMatrix {
  const m = rowTimes(mean, W).map((x, i) => x + (b[i] as number));
  const form = congruent(covariance, W);
  const k = m.length;
  return dense(
    k,
    k,
    form.data.map((x, i) => x + (m[Math.floor(i / k)] as number) * (m[i % k] as number)),
  );
}

/** Offsets that rotary scores are means over. */
const OFFSETS = 256;

function rotationsOf(config: ModelConfig): DenseMatrix[] {
  if (config.positional_embedding_type !== "rotary") return [];
  return Array.from({ length: Math.min(OFFSETS, config.n_ctx) }, (_, offset) =>
    dense(config.d_head, config.d_head, Float64Array.from(rawData(rotationMatrix(config, offset)))),
  );
}

function averageOf(matrices: readonly DenseMatrix[]): DenseMatrix {
  const [{ rows, cols }] = matrices as [DenseMatrix];
  const out = new Float64Array(rows * cols);
  for (const { data } of matrices) {
    for (let t = 0; t < out.length; t++) out[t] = (out[t] as number) + (data[t] as number) / matrices.length;
  }
  return dense(rows, cols, out);
}

function turned(map: DenseMatrix, turn: DenseMatrix | undefined): DenseMatrix {
  return turn === undefined ? map : matmulDense(map, turn);
}

function scaled({ rows, cols, data }: DenseMatrix, factor: number): DenseMatrix {
  return dense(
    rows,
    cols,
    data.map((x) => x * factor),
  );
}

function innerProduct(a: DenseMatrix, b: DenseMatrix): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] as number) * (b.data[i] as number);
  return sum;
}
