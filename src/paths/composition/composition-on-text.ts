/**
 * Composition in one run: of what a reader's scores tell apart along a row, how much comes through a writer.
 *
 * A head's score is $s_{ij} = q_i \cdot k_j / \text{scale}$, and with norm scales held fixed $k_j = \sum_a k_j^a$ over
 * what wrote the stream. Part $a$ makes
 *
 * $$\sigma_a^2 = \mathrm{mean}_i\, \mathrm{Var}_{j}\, (q_i \cdot k_j^a) / \text{scale}^2$$
 *
 * of differences along rows, over the keys $j$ that query $i$ sees: what softmax can use. The score of a writer is its
 * part of the sum over all, $\sqrt{\sigma_w^2 / \sum_a \sigma_a^2}$. Q is the same with $q_i^a \cdot k_j$, and of V it
 * is the variance, over positions, of what reaches the logits through the writer and the reader's pattern. Every part
 * is less its mean over the text, for a mean says nothing of the text.
 */
import {
  centredUnembeddingGram,
  congruent,
  headMatrix,
  PairTable,
  readerForm,
  readersOf,
  rootOf,
  scoreAgainstRotations,
  usedSpace,
  writerForm,
} from "../../circuits/internal.ts";
import type { RestrictedScores } from "../../circuits/index.ts";
import { requireKind } from "../../errors.ts";
import { dense, matmulDense, transposeDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import { rotationMatrix } from "../../model/index.ts";
import type { AttentionLayer, HeadId, HeadRef, TokensLike, Transformer } from "../../model/index.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { freeze, frozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";
import { rotated } from "../scores/components.ts";
import { centredRows, divideRows, rowsOf, secondMoment, streamParts, throughLinear } from "./stream-parts.ts";
import type { StreamPart } from "./stream-parts.ts";

/**
 * Composition by queries, keys and values on a text.
 * @category Attention scores
 */
export type TextComposition = Readonly<Record<"Q" | "K" | "V", RestrictedScores>>;

/**
 * Options of {@link compositionOnText}.
 * @category Attention scores
 */
export interface CompositionOnTextOptions extends ProgressOptions {
  /** The heads that read; all unless given. Pairs of others are 0. */
  readonly readers?: readonly HeadRef[] | undefined;
}

/**
 * Q-, K- and V-composition between all pairs of heads on a text: by how much what a writer really wrote makes the
 * reader's scores differ along a row, and its share in all that does. A head that writes the same everywhere has none,
 * whatever its weights say.
 *
 * `size` is in scores (of V, in logits), and the better number to rank pairs by: a share may be large where scores are
 * flat. `chance` and `zScores` are those of a random orientation of the writer among the directions that the text uses,
 * exact for means over the text. {@link restrictedComposition} asks the same of the weights.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param options - `readers`, `signal`, `onProgress` (in readers).
 * @throws {@link InputError} for tokens the model cannot run, or a head that it has not; the signal's reason when
 * aborted.
 * @category Attention scores
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { compositionOnText } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 25, batch: 4, seed: 1, bos: 0 });
 * const { K } = compositionOnText(model, tokens);
 * // The previous-token head is what the induction head's keys tell tokens apart by.
 * console.log(K.size.at(0, 5, 1, 2) > 2, K.share.at(0, 5, 1, 2) > 0.5);
 * // true true
 *
 * // L0H0 rests on the first token, and writes much the same everywhere.
 * const resting = K.size.at(0, 0, 1, 5);
 * console.log(resting < 0.5);
 * // true
 * ```
 */
export function compositionOnText(
  model: Transformer,
  tokens: TokensLike,
  options: CompositionOnTextOptions = {},
): TextComposition {
  requireKind("model", model, "model", "compositionOnText", options, "readers signal onProgress");
  const readers = readersOf(model, options.readers, "compositionOnText");
  const read = readers.flatMap(({ layer }) =>
    (["q", "k"] as const).map((side) => `blocks.${layer}.attn.hook_${side}` as const),
  );
  const frozen = freeze(model, tokens, "compositionOnText", options.signal, [...new Set(read)]);
  const steps = new Steps(options, readers.length);
  const table = (): Table => new PairTable(model, ["share", "size", "chance", "zScores"]);
  const tables = { Q: table(), K: table(), V: table() };
  const layers = new Map<number, LayerOnText>();
  for (const { layer, head } of readers) {
    if (layer > 0) {
      // One layer's parts at a time: readers usually come in order.
      if (!layers.has(layer)) layers.clear();
      const pairs = layers.get(layer) ?? new LayerOnText(frozen, layer);
      layers.set(layer, pairs);
      pairs.score(head, tables);
    }
    steps.advance();
  }
  return { Q: tables.Q.scores, K: tables.K.scores, V: tables.V.scores };
}

type Table = PairTable<keyof RestrictedScores>;

/** All pairs whose readers are of one layer. */
class LayerOnText {
  readonly #frozen: FrozenRun;
  readonly #layer: AttentionLayer;
  readonly #parts: readonly StreamPart[];
  readonly #spaces: { readonly queries: ReturnType<typeof usedSpace>; readonly values: ReturnType<typeof usedSpace> };
  readonly #writers: ReadonlyMap<StreamPart, DenseMatrix>;
  readonly #rotations: readonly Rotation[];
  readonly #logits: DenseMatrix;

  constructor(frozen: FrozenRun, layer: number) {
    const { model, run } = frozen;
    this.#frozen = frozen;
    this.#layer = model.layer(layer);
    this.#parts = streamParts(frozen, layer);
    this.#rotations = rotationsOf(model, run.tokens.sizeOf("pos"));
    const writers = this.#parts.flatMap((part): [StreamPart, DenseMatrix][] =>
      part.thin === undefined ? [] : [[part, matmulDense(rootOf(secondMoment(part.thin.z)), part.thin.W)]],
    );
    this.#writers = new Map(writers);
    const covarianceOf = (part: StreamPart): DenseMatrix => {
      const F = this.#writers.get(part);
      return F === undefined ? secondMoment(part.rows) : matmulDense(F, F, { transposeA: true });
    };
    const values = sumOf(this.#parts.filter(({ isBeside }) => !isBeside).map(covarianceOf));
    const beside = this.#parts.filter(({ isBeside }) => isBeside).map(covarianceOf);
    const space = usedSpace(values);
    this.#spaces = { values: space, queries: beside.length === 0 ? space : usedSpace(sumOf([values, ...beside])) };
    const { rows, cols, data } = centredUnembeddingGram(model);
    this.#logits = dense(
      rows,
      cols,
      data.map((x) => x / model.config.d_vocab_out),
    );
  }

  /** The scores of one reader with every writer. */
  score(head: number, tables: Readonly<Record<"Q" | "K" | "V", Table>>): void {
    const [queries, keys] = [this.#read("q", head), this.#read("k", head)];
    const { attnScale } = this.#layer;
    const sides = {
      K: { W: headMatrix(this.#layer.W_K, head), form: this.#overOffsets(secondMoment(queries), "query") },
      Q: {
        W: headMatrix(this.#layer.W_Q, head),
        form: this.#overOffsets(secondMoment(centredRows(dense(keys.rows, keys.cols, keys.data.slice()))), "key"),
      },
    };
    const turnedQueries = this.#turned(queries);
    const turnedKeys = this.#turned(keys);
    for (const kind of ["Q", "K"] as const) {
      const { W, form } = sides[kind];
      const variances = this.#parts.map(({ rows }) => {
        const part = this.#turned(matmulDense(rows, W));
        const variance = kind === "K" ? this.#alongRows(turnedQueries, part) : this.#alongRows(part, turnedKeys);
        return variance / attnScale ** 2;
      });
      this.#put(tables[kind], head, this.#parts, variances, { form, W, space: this.#spaces.queries });
    }
    const W = headMatrix(this.#layer.W_V, head);
    const moved = this.#parts.filter(({ isBeside }) => !isBeside);
    const { form, variances } = this.#throughValues(head, W, moved);
    this.#put(tables.V, head, moved, variances, { form, W, space: this.#spaces.values });
  }

  #put(
    table: Table,
    head: number,
    parts: readonly StreamPart[],
    variances: readonly number[],
    side: { readonly form: DenseMatrix; readonly W: DenseMatrix; readonly space: ReturnType<typeof usedSpace> },
  ): void {
    const whole = variances.reduce((sum, variance) => sum + variance, 0);
    const reader = readerForm(matmulDense(rootOf(side.form), side.W, { transposeB: true }), side.space);
    for (const [p, { head: from }] of parts.entries()) {
      const F = this.#writers.get(parts[p] as StreamPart);
      if (from === undefined || F === undefined) continue;
      const variance = variances[p] as number;
      const { chance, zScores } = scoreAgainstRotations(reader, writerForm(F, side.space), side.space);
      const share = whole > 0 ? Math.sqrt(variance / whole) : 0;
      table.put(placesOf(from, { layer: this.#layer.layer, head }), {
        share,
        size: Math.sqrt(variance),
        chance,
        zScores,
      });
    }
  }

  /** Queries or keys as they were in the run before any rotation, `[batch · pos, d_head]`. */
  #read(side: "q" | "k", head: number): DenseMatrix {
    const { run } = this.#frozen;
    const place = side === "q" ? head : this.#layer.head(head).keyValueHead;
    return rowsOf(run.cache.get(`blocks.${this.#layer.layer}.attn.hook_${side}`).select("head", place));
  }

  #turned(rows: DenseMatrix): DenseMatrix {
    if (this.#rotations.length === 0) return rows;
    const shape = [...this.#frozen.run.tokens.shape, rows.cols];
    return rowsOf(rotated(this.#frozen, Tensor.from("batch pos d_head", shape, rows.data)));
  }

  /** $\mathrm{mean}_i\,\mathrm{Var}_j\,(q_i \cdot k_j)$ over the keys that each query sees. */
  #alongRows(queries: DenseMatrix, keys: DenseMatrix): number {
    const [batch = 0, pos = 0] = this.#frozen.run.tokens.shape;
    const isCausal = this.#frozen.model.config.attention_dir === "causal";
    const reach = this.#layer.window ?? pos;
    const k = queries.cols;
    let sum = 0;
    for (let b = 0; b < batch; b++) {
      const ofPrompt = ({ data }: DenseMatrix): DenseMatrix =>
        dense(pos, k, data.subarray(b * pos * k, (b + 1) * pos * k));
      const { data } = matmulDense(ofPrompt(queries), ofPrompt(keys), { transposeB: true });
      for (let i = 0; i < pos; i++) {
        const [from, end] = isCausal ? [Math.max(0, i + 1 - reach), i + 1] : [0, pos];
        sum += variance(data, i * pos + from, i * pos + end);
      }
    }
    return sum / Math.max(1, batch * pos);
  }

  /** The variance of logits through each part, and the form on values that it is of. */
  #throughValues(
    head: number,
    W_V: DenseMatrix,
    parts: readonly StreamPart[],
  ): { readonly form: DenseMatrix; readonly variances: number[] } {
    const { model, run } = this.#frozen;
    const [batch = 0, pos = 0] = run.tokens.shape;
    const W_O = throughLinear(this.#frozen, model.config.n_layers, headMatrix(this.#layer.W_O, head));
    const form = congruent(this.#logits, transposeDense(W_O));
    const scale = frozenNorm(this.#frozen, model.config.n_layers)?.scale;
    const pattern = rowsOf(run.cache.get(`blocks.${this.#layer.layer}.attn.hook_pattern`).select("head", head));
    const variances = parts.map(({ rows }) => {
      const values = matmulDense(rows, W_V);
      const z = dense(batch * pos, values.cols, new Float64Array(values.data.length));
      for (let b = 0; b < batch; b++) {
        const slice = ({ data, cols }: DenseMatrix): DenseMatrix =>
          dense(pos, cols, data.subarray(b * pos * cols, (b + 1) * pos * cols));
        z.data.set(matmulDense(slice(pattern), slice(values)).data, b * pos * values.cols);
      }
      if (scale !== undefined) divideRows(z, rawData(scale));
      return innerProduct(secondMoment(centredRows(z)), form);
    });
    return { form, variances };
  }

  /** The mean of a form of queries or keys over the offsets at which they meet, each as often as it is seen. */
  #overOffsets(form: DenseMatrix, side: "query" | "key"): DenseMatrix {
    if (this.#rotations.length === 0) return form;
    return sumOf(
      this.#rotations.map(({ R, share }) => {
        const { rows, cols, data } = congruent(form, side === "query" ? R : transposeDense(R));
        return dense(
          rows,
          cols,
          data.map((x) => x * share),
        );
      }),
    );
  }
}

const placesOf = (writer: HeadId, reader: HeadId): [number, number, number, number] => [
  writer.layer,
  writer.head,
  reader.layer,
  reader.head,
];

interface Rotation {
  readonly R: DenseMatrix;
  readonly share: number;
}

/** The rotation of each offset from query to key, with the share of pairs of positions that it has. */
function rotationsOf({ config }: Transformer, pos: number): Rotation[] {
  if (config.positional_embedding_type !== "rotary") return [];
  const { d_head } = config;
  return Array.from({ length: pos }, (_, offset) => ({
    R: dense(d_head, d_head, Float64Array.from(rawData(rotationMatrix(config, offset)))),
    share: (2 * (pos - offset)) / (pos * (pos + 1)),
  }));
}

function sumOf(matrices: readonly DenseMatrix[]): DenseMatrix {
  const [{ rows, cols }] = matrices as [DenseMatrix];
  const out = new Float64Array(rows * cols);
  for (const { data } of matrices)
    for (let t = 0; t < out.length; t++) out[t] = (out[t] as number) + (data[t] as number);
  return dense(rows, cols, out);
}

function variance(data: Float64Array, from: number, end: number): number {
  let [sum, squares] = [0, 0];
  const first = data[from] as number;
  for (let t = from; t < end; t++) {
    const x = (data[t] as number) - first;
    sum += x;
    squares += x * x;
  }
  const count = end - from;
  return Math.max(0, squares / count - (sum / count) ** 2);
}

function innerProduct(a: DenseMatrix, b: DenseMatrix): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] as number) * (b.data[i] as number);
  return Math.max(0, sum);
}
