/**
 * What a layer can read, as far as the weights say it: mean and covariance of tokens, of positions and of what earlier
 * heads write, each as if drawn by itself and as if a head moved one place only.
 *
 * Norms divide by the root mean square that these moments have together. Without positions in the stream the first
 * layer's norm is of tokens alone, and applied to each. What MLPs write is unknown here, and left out.
 */
import { dense, matmulDense, transposeDense } from "../../../linalg/index.ts";
import type { DenseMatrix } from "../../../linalg/index.ts";
import { rootsOf } from "../../../linear/internal.ts";
import type { AttentionLayer, Norm, Transformer } from "../../../model/index.ts";
import type { Tensor } from "../../../tensor/index.ts";
import { matmul } from "../../../tensor/index.ts";
import { rawData } from "../../../tensor/internal.ts";
import { embeddingGram, unembedEmbed } from "../../eigenvalues/cores.ts";
import { normedTokens } from "../../normed-tokens.ts";
import { centred, congruent, meanRow, square } from "../../term-sizes/source-grams.ts";

/** Mean and covariance of rows of d_model. */
export interface Moments {
  readonly mean: Float64Array;
  readonly covariance: DenseMatrix;
}

/** Tokens as the values of a layer read them; covariances with both ends are made when they are asked for. */
export interface TokenReading extends Moments {
  /** Their covariance with $W_E$, `[d_model, d_model]`. */
  readonly withEmbedding: DenseMatrix;
  /** Their covariance with the columns of $W_U$; `undefined` where these are of other tokens. */
  readonly withUnembedding: DenseMatrix | undefined;
}

/** What one layer reads. */
export interface LayerInput {
  readonly layer: AttentionLayer;
  /** Rows of the stream as the layer reads them: through its norm's linear part, at its mean scale. */
  readonly through: (rows: DenseMatrix) => DenseMatrix;
  /** What values read. */
  readonly values: Moments;
  /** What queries and keys read: the same, with positions where they are added to these alone. */
  readonly queries: Moments;
  readonly tokens: TokenReading;
}

/** What every layer reads, and the norm before the unembedding. */
export interface StreamMoments {
  readonly inputs: readonly LayerInput[];
  readonly final: (rows: DenseMatrix) => DenseMatrix;
}

/** The moments of all layers of a model. */
export function streamMoments(model: Transformer): StreamMoments {
  const tokens = embeddingMoments(model);
  const positions = model.W_pos === undefined ? undefined : momentsOf(model.weight("pos_embed.W_pos"));
  const isStandard = model.config.positional_embedding_type === "standard";
  let stream: Moments = isStandard && positions !== undefined ? sum(tokens, positions) : tokens;
  const isNext = model.config.d_vocab === model.config.d_vocab_out;
  const toUnembedding = once(() => (isNext ? withColumns(model, model.weight("embed.W_E"), tokens.mean) : undefined));
  const inputs = model.layers.map((layer): LayerInput => {
    const through = throughNorm(layer.ln1, stream);
    const own = tokensRead(model, layer, { ...tokens, toUnembedding }, through, isStandard);
    const usual = read(stream, through, layer.ln1);
    // The first layer may read its tokens by themselves, each through the norm.
    const values = layer.layer === 0 && !isStandard ? { mean: own.mean, covariance: own.covariance } : usual;
    const queries = isStandard || positions === undefined ? values : sum(values, positions);
    stream = after(layer, stream, values);
    return { layer, through, values, queries, tokens: own };
  });
  return { inputs, final: throughNorm(model.ln_final, stream) };
}

/** The stream after a layer's heads. */
function after(layer: AttentionLayer, stream: Moments, values: Moments): Moments {
  return layer.heads.reduce<Moments>(
    (before, { head }) => {
      const W_O = headMatrix(layer.W_O, head);
      const F = writtenRows(layer, head, values);
      const z = addTo(rowTimes(values.mean, headMatrix(layer.W_V, head)), rawData(layer.b_V.select("head", head)));
      return {
        mean: addTo(rowTimes(z, W_O), before.mean),
        covariance: plus(before.covariance, matmulDense(F, F, { transposeA: true })),
      };
    },
    { mean: addTo(stream.mean, rawData(layer.b_O)), covariance: stream.covariance },
  );
}

/** $F$, `[d_head, d_model]`, with $F^\top F$ the covariance of what a head writes of one place. */
export function writtenRows(layer: AttentionLayer, head: number, values: Moments): DenseMatrix {
  return matmulDense(rootOf(congruent(values.covariance, headMatrix(layer.W_V, head))), headMatrix(layer.W_O, head));
}

/** $R$ with $R^\top R$ the matrix given, which is symmetric and positive. */
export function rootOf(gram: DenseMatrix): DenseMatrix {
  const root = new Float64Array(gram.data.length);
  rootsOf(gram.data, 1, gram.rows, root);
  return dense(gram.rows, gram.cols, root);
}

/** One head's weights in float64. */
export function headMatrix(
  weight: Tensor<"head d_model d_head"> | Tensor<"head d_head d_model">,
  h: number,
): DenseMatrix {
  const one = (weight as Tensor).select("head", h);
  const [rows = 0, cols = 0] = one.shape;
  return dense(rows, cols, Float64Array.from(rawData(one)));
}

function embeddingMoments(model: Transformer): Moments {
  const { d_vocab, d_model } = model.config;
  const mean = meanRow(rawData(model.weight("embed.W_E")), d_vocab, d_model);
  const whole = square(embeddingGram(model).map((x) => x / d_vocab));
  return { mean, covariance: centred(whole, mean, 1) };
}

function momentsOf(W: Tensor): Moments {
  const [count = 0, d = 0] = W.shape;
  const mean = meanRow(rawData(W), count, d);
  const rows = Float64Array.from(rawData(W), (x, t) => (x - (mean[t % d] as number)) / Math.sqrt(count));
  const centredRows = dense(count, d, rows);
  return { mean, covariance: matmulDense(centredRows, centredRows, { transposeA: true }) };
}

/** Tokens as a layer's values read them, with their covariances with both ends. */
function tokensRead(
  model: Transformer,
  layer: AttentionLayer,
  tokens: Moments & { readonly toUnembedding: () => DenseMatrix | undefined },
  through: LayerInput["through"],
  isStandard: boolean,
): TokenReading {
  const { toUnembedding } = tokens;
  if (layer.layer > 0 || isStandard || layer.ln1 === undefined) {
    const { mean, covariance } = read(tokens, through, layer.ln1);
    const turned = (C: DenseMatrix): DenseMatrix => transposeDense(through(transposeDense(C)));
    return tokenReading(
      { mean, covariance },
      () => turned(tokens.covariance),
      () => {
        const C = toUnembedding();
        return C && turned(C);
      },
    );
  }
  const rows = normedTokens(model).weight("embed.W_E");
  const { mean, covariance } = momentsOf(rows);
  return tokenReading(
    { mean, covariance },
    () => crossCovariance(rows, mean, model.weight("embed.W_E"), tokens.mean),
    () => toUnembedding() && withColumns(model, rows, mean),
  );
}

function tokenReading(
  moments: Moments,
  withEmbedding: () => DenseMatrix,
  withUnembedding: () => DenseMatrix | undefined,
): TokenReading {
  const [embedding, unembedding] = [once(withEmbedding), once(withUnembedding)];
  return {
    ...moments,
    get withEmbedding() {
      return embedding();
    },
    get withUnembedding() {
      return unembedding();
    },
  };
}

/** What is made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** $\mathrm{E}[x^\top u]$ less the means, of rows of tokens and the columns of $W_U$. */
function withColumns(model: Transformer, rows: Tensor, mean: Float64Array): DenseMatrix {
  const W_U = model.weight("unembed.W_U");
  const [d = 0, count = 0] = W_U.shape;
  const data = rawData(W_U);
  const means = new Float64Array(d);
  for (let t = 0; t < data.length; t++) {
    means[Math.floor(t / count)] = (means[Math.floor(t / count)] as number) + (data[t] as number) / count;
  }
  if (rows === model.weight("embed.W_E")) {
    const product = transposeDense(square(unembedEmbed(model, "restrictedComposition")));
    return lessMeans(product, count, mean, means);
  }
  const product = matmul(W_U.rename("d_vocab", "token"), rows.rename("d_vocab", "token").rename("d_model", "in"));
  return lessMeans(transposeDense(square(Float64Array.from(rawData(product)))), count, mean, means);
}

function crossCovariance(a: Tensor, meanA: Float64Array, b: Tensor, meanB: Float64Array): DenseMatrix {
  const product = matmul(a.rename("d_model", "in").permute("in d_vocab"), b as Tensor<"d_vocab d_model">);
  return lessMeans(square(Float64Array.from(rawData(product))), a.shape[0] ?? 1, meanA, meanB);
}

function lessMeans(product: DenseMatrix, count: number, a: Float64Array, b: Float64Array): DenseMatrix {
  const d = b.length;
  const data = product.data.map((x, i) => x / count - (a[Math.floor(i / d)] as number) * (b[i % d] as number));
  return dense(product.rows, product.cols, data);
}

/** The linear part of a norm, divided by the scale that a stream of these moments has. */
function throughNorm(norm: Norm | undefined, { mean, covariance }: Moments): LayerInput["through"] {
  if (norm === undefined) return (rows) => rows;
  const d = mean.length;
  const less = norm.centers ? average(mean) : 0;
  let squares = 0;
  for (let i = 0; i < d; i++) squares += (covariance.data[i * (d + 1)] as number) + ((mean[i] as number) - less) ** 2;
  if (norm.centers) squares -= covariance.data.reduce((total, x) => total + x, 0) / d;
  const scale = 1 / Math.sqrt(Math.max(0, squares) / d + norm.eps);
  const w = norm.w && rawData(norm.w);
  return ({ rows, cols, data }) => {
    const out = new Float64Array(data.length);
    for (let r = 0; r < rows; r++) {
      const row = data.subarray(r * cols, (r + 1) * cols);
      const off = norm.centers ? average(row) : 0;
      for (let i = 0; i < cols; i++) out[r * cols + i] = ((row[i] as number) - off) * scale * (w?.[i] ?? 1);
    }
    return dense(rows, cols, out);
  };
}

/** Moments as a layer reads them, the norm's own bias in the mean. */
function read({ mean, covariance }: Moments, through: LayerInput["through"], norm: Norm | undefined): Moments {
  const seen = through(dense(1, mean.length, mean)).data;
  return {
    mean: norm?.b === undefined ? seen : addTo(seen, rawData(norm.b)),
    covariance: through(transposeDense(through(covariance))),
  };
}

function sum(a: Moments, b: Moments): Moments {
  return { mean: addTo(a.mean, b.mean), covariance: plus(a.covariance, b.covariance) };
}

function plus(a: DenseMatrix, b: DenseMatrix): DenseMatrix {
  return dense(a.rows, a.cols, addTo(a.data, b.data));
}

function addTo(a: Float64Array, b: ArrayLike<number>): Float64Array {
  return a.map((x, i) => x + (b[i] as number));
}

/** A row times a matrix. */
export function rowTimes(row: Float64Array, matrix: DenseMatrix): Float64Array {
  return matmulDense(dense(1, row.length, row), matrix).data;
}

const average = (row: Float64Array): number => row.reduce((total, x) => total + x, 0) / row.length;
