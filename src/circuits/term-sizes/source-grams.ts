/**
 * Gram matrices of what enters and leaves the stream, from which the norms of path terms are read without a vocabulary
 * in sight.
 */
import { dense, matmulDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import type { Transformer } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Linear } from "../../linear/index.ts";
import { toDense } from "../../linear/index.ts";
import { embeddingGram, remembered, unembeddingGram } from "../eigenvalues/cores.ts";

/** Rows that enter the stream, by Gram matrices: means over the rows of $x^\top x$. */
export interface SourceGram {
  readonly name: "embed" | "pos_embed";
  /** `[d_model, d_model]`: $X^\top X / n$ of the $n$ rows. */
  readonly whole: Float64Array;
  /** The same of the rows less their mean. */
  readonly less: Float64Array;
}

/** The token embedding's. */
export function embedSource(model: Transformer): SourceGram {
  const { d_vocab, d_model } = model.config;
  const W_E = rawData(model.weight("embed.W_E"));
  return sourceOf("embed", d_vocab, embeddingGram(model), meanRow(W_E, d_vocab, d_model));
}

/** The positional embedding's, where there is one. */
export function positionSource(model: Transformer): SourceGram | undefined {
  if (model.W_pos === undefined) return undefined;
  const W_pos = denseOf(model.W_pos);
  const { data } = matmulDense(W_pos, W_pos, { transposeA: true });
  return sourceOf("pos_embed", W_pos.rows, data, meanRow(W_pos.data, W_pos.rows, W_pos.cols));
}

function sourceOf(name: SourceGram["name"], rows: number, gram: Float64Array, mean: Float64Array): SourceGram {
  const whole = square(gram.map((x) => x / rows));
  return { name, whole: whole.data, less: centred(whole, mean, 1).data };
}

/** A square matrix of so many numbers. */
export function square(data: Float64Array): DenseMatrix {
  const size = Math.sqrt(data.length);
  return dense(size, size, data);
}

const centredUnembeddingGrams = new WeakMap<Transformer, Float64Array>();

/**
 * $W_U W_U^\top$ with the mean over the vocabulary taken out of $W_U$, which predictions do not see; computed once for
 * a model.
 */
export function centredUnembeddingGram(model: Transformer): DenseMatrix {
  return square(remembered(centredUnembeddingGrams, model, () => lessColumnMeans(model)));
}

function lessColumnMeans(model: Transformer): Float64Array {
  const { d_vocab_out, d_model } = model.config;
  const W_U = rawData(model.weight("unembed.W_U"));
  const mean = new Float64Array(d_model);
  for (let d = 0; d < d_model; d++) {
    let sum = 0;
    for (let c = 0; c < d_vocab_out; c++) sum += W_U[d * d_vocab_out + c] as number;
    mean[d] = sum / d_vocab_out;
  }
  return centred(dense(d_model, d_model, unembeddingGram(model)), mean, d_vocab_out).data;
}

/** A Gram matrix with the mean taken out of its rows: $G - n\, m^\top m$. */
export function centred({ rows: d, data }: DenseMatrix, mean: ArrayLike<number>, n: number): DenseMatrix {
  return dense(
    d,
    d,
    data.map((x, i) => x - n * (mean[Math.floor(i / d)] as number) * (mean[i % d] as number)),
  );
}

/** The mean of rows. */
export function meanRow(data: ArrayLike<number>, rows: number, cols: number): Float64Array {
  const mean = new Float64Array(cols);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < cols; j++) mean[j] = (mean[j] as number) + (data[i * cols + j] as number) / rows;
  return mean;
}

/** A map of few rows or columns in float64. */
export function denseOf(map: Linear): DenseMatrix {
  return dense(map.rows, map.cols, Float64Array.from(rawData(toDense(map))));
}

/** $A^\top G A$. */
export function congruent(gram: DenseMatrix, a: DenseMatrix): DenseMatrix {
  return matmulDense(a, matmulDense(gram, a), { transposeA: true });
}

/** $\mathrm{tr}(A^\top B)$ of matrices of one size, no less than 0 where only rounding makes it so. */
export function innerProduct(a: DenseMatrix, b: DenseMatrix): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] as number) * (b.data[i] as number);
  return Math.max(0, sum);
}
