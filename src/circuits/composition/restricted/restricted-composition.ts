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
 */
import { requireKind } from "../../../errors.ts";
import { dense, matmulDense, transposeDense } from "../../../linalg/index.ts";
import type { DenseMatrix } from "../../../linalg/index.ts";
import type { HeadId, HeadRef, Transformer } from "../../../model/index.ts";
import { Steps } from "../../../progress.ts";
import type { ProgressOptions } from "../../../progress.ts";
import { rawData } from "../../../tensor/internal.ts";
import { centredUnembeddingGram, congruent } from "../../term-sizes/source-grams.ts";
import type { PairScores } from "../pair-scores.ts";
import { PairTable, readersOf } from "./pair-table.ts";
import { readerForm, scoreAgainstRotations, usedSpace, writerForm } from "./rotation-null.ts";
import type { FormInSpace, UsedSpace } from "./rotation-null.ts";
import { rotationsOf } from "./rotations.ts";
import type { Rotations } from "./rotations.ts";
import { headMatrix, rootOf, rowTimes, streamMoments, writtenRows } from "./stream-moments.ts";
import type { LayerInput, Moments, StreamMoments } from "./stream-moments.ts";
import { TokenMatching } from "./token-matching.ts";
import type { Matching } from "./token-matching.ts";

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
  return scoresOf(model, readers, steps, [...SHARES, "matching", "matchingZScores"]);
}

/** {@link restrictedComposition} of all pairs without matching, in half the time. */
export function restrictedShares(model: Transformer): Readonly<Record<"Q" | "K" | "V", RestrictedScores>> {
  return scoresOf(model, model.heads, new Steps({}, model.heads.length), SHARES);
}

/** The scores of one kind while they are found. */
type Table = PairTable<keyof RestrictedWeightScores>;

const SHARES = ["share", "size", "chance", "zScores"] as const;

function scoresOf(
  model: Transformer,
  readers: readonly HeadId[],
  steps: Steps,
  fields: readonly (keyof RestrictedWeightScores)[],
): RestrictedComposition {
  const empty = (): Table => new PairTable(model, fields);
  const tables = { Q: empty(), K: empty(), V: empty() };
  const moments = model.layers.length > 0 ? streamMoments(model) : undefined;
  const rotations = rotationsOf(model.config);
  const layers = new Map<number, LayerPairs>();
  for (const { layer, head } of readers) {
    if (layer > 0 && moments !== undefined) {
      const pairs = layers.get(layer) ?? new LayerPairs(model, moments, layer, rotations, fields.includes("matching"));
      layers.set(layer, pairs);
      pairs.score(head, tables);
    }
    steps.advance();
  }
  return { Q: tables.Q.scores, K: tables.K.scores, V: tables.V.scores };
}

/** An earlier head as one layer reads it. */
interface Writer extends HeadId {
  readonly queries: FormInSpace;
  readonly values: FormInSpace;
}

/** All pairs whose readers are of one layer. */
class LayerPairs {
  readonly #input: LayerInput;
  readonly #spaces: { readonly queries: UsedSpace; readonly values: UsedSpace };
  readonly #writers: readonly Writer[];
  readonly #matching: TokenMatching | undefined;
  readonly #rotations: Rotations | undefined;
  readonly #final: StreamMoments["final"];
  /** The covariance of the columns of $W_U$. */
  readonly #logits: DenseMatrix;

  constructor(
    model: Transformer,
    { inputs, final }: StreamMoments,
    layer: number,
    rotations: Rotations | undefined,
    matches: boolean,
  ) {
    const input = inputs[layer] as LayerInput;
    this.#input = input;
    this.#final = final;
    this.#rotations = rotations;
    const values = usedSpace(input.values.covariance);
    const isSame = input.queries === input.values;
    this.#spaces = { values, queries: isSame ? values : usedSpace(input.queries.covariance) };
    const gram = centredUnembeddingGram(model);
    this.#logits = scaled(gram, 1 / model.config.d_vocab_out);
    const before = inputs.slice(0, layer).flatMap((from) => from.layer.heads.map(({ head }) => ({ from, head })));
    this.#writers = before.map(({ from, head }) => this.#writer(from, head));
    this.#matching = matches ? new TokenMatching(model.config, input, before) : undefined;
  }

  #writer(from: LayerInput, head: number): Writer {
    const F = this.#input.through(writtenRows(from.layer, head, from.values));
    const queries = writerForm(F, this.#spaces.queries);
    const values = this.#spaces.values === this.#spaces.queries ? queries : writerForm(F, this.#spaces.values);
    return { layer: from.layer.layer, head, queries, values };
  }

  /** The scores of one reader with every writer. */
  score(head: number, tables: Readonly<Record<"Q" | "K" | "V", Table>>): void {
    const { layer } = this.#input.layer;
    const sides = this.#sidesOf(head);
    for (const kind of ["Q", "K", "V"] as const) {
      const { form, matching } = sides[kind];
      const [side, space] =
        kind === "V" ? (["values", this.#spaces.values] as const) : (["queries", this.#spaces.queries] as const);
      const matchings = matching();
      for (const [w, writer] of this.#writers.entries()) {
        tables[kind].put([writer.layer, writer.head, layer, head], {
          ...scoreAgainstRotations(form, writer[side], space),
          ...matchings?.[w],
        });
      }
    }
  }

  #sidesOf(head: number): Readonly<Record<"Q" | "K" | "V", Side>> {
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
    // the mean over the offsets at which queries and keys meet
    const rotations = this.#rotations;
    const met = (form: DenseMatrix, side: "query" | "key"): DenseMatrix => rotations?.meanOf(form, side) ?? form;
    const turn = rotations?.mean;
    return {
      Q: { form: over(met(told, "key"), W_Q), matching: () => this.#matching?.ofScores(W_Q, W_K, turn) },
      K: {
        form: over(met(asked, "query"), W_K),
        matching: () => this.#matching?.ofScores(W_K, W_Q, turn && transposeDense(turn)),
      },
      V: {
        form: formOf(logits, W_V, this.#spaces.values),
        matching: () => this.#matching?.ofValues(W_V, W_O, logits),
      },
    };
  }
}

/** One side of a reader: what it reads writers by. */
interface Side {
  readonly form: FormInSpace;
  /** How far each writer's tokens match, where that is asked for. */
  readonly matching: () => readonly (Matching | undefined)[] | undefined;
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

function scaled({ rows, cols, data }: DenseMatrix, factor: number): DenseMatrix {
  return dense(
    rows,
    cols,
    data.map((x) => x * factor),
  );
}
