/** What a layer reads in a run, part by part: embeddings, every earlier head, every earlier MLP, biases. */
import { dense, matmulDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import type { HeadId } from "../../model/index.ts";
import { headMatrix } from "../../circuits/internal.ts";
import { add, astype, Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { frozenNorm, mlpStream, sourceStreams, throughFrozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";

/** One part of what a layer reads, through its norm, less its mean over the text. */
export interface StreamPart {
  /** The head that wrote it; none of embeddings, MLPs and biases. */
  readonly head: HeadId | undefined;
  /** Whether queries and keys alone read it. */
  readonly isBeside: boolean;
  /** `[batch · pos, d_model]`. */
  readonly rows: DenseMatrix;
  /** $F$ with $F^\top F$ the covariance of the rows where they lie in few dimensions: $F = R\,W$. */
  readonly thin: { readonly z: DenseMatrix; readonly W: DenseMatrix } | undefined;
}

/** The parts of what a layer reads. */
export function streamParts(frozen: FrozenRun, layer: number): StreamPart[] {
  const { model, run } = frozen;
  const { embed, pos_embed } = sourceStreams(frozen);
  const plain = [embed, ...(pos_embed === undefined ? [] : [pos_embed])];
  let biases: Stream = Tensor.zeros("batch pos d_model", embed.shape, "float64");
  const parts: StreamPart[] = [];
  for (const { layer: before, b_O } of model.layers.slice(0, layer)) {
    parts.push(...headParts(frozen, before, layer));
    const mlp = mlpStream(frozen, before);
    if (mlp !== undefined) plain.push(mlp);
    biases = add(biases, b_O);
  }
  for (const stream of [...plain, biases]) parts.push(partOf(throughFrozenNorm(frozen, layer, stream)));
  if (model.config.positional_embedding_type === "shortformer") {
    parts.push({ ...partOf(astype(run.cache.get("hook_pos_embed"), "float64")), isBeside: true });
  }
  return parts.filter(({ head, rows }) => head !== undefined || rows.data.some((x) => x !== 0));
}

function partOf(stream: Stream): StreamPart {
  return { head: undefined, isBeside: false, rows: centredRows(rowsOf(stream)), thin: undefined };
}

/** What the heads of a layer wrote, as a later one reads it. */
function headParts(frozen: FrozenRun, before: number, layer: number): StreamPart[] {
  const { model, run } = frozen;
  const { heads, W_O } = model.layer(before);
  const scale = frozenNorm(frozen, layer)?.scale;
  const all = run.cache.get(`blocks.${before}.attn.hook_z`);
  return heads.map(({ head }): StreamPart => {
    const z = rowsOf(astype(all.select("head", head), "float64"));
    const W = throughLinear(frozen, layer, headMatrix(W_O, head));
    if (scale !== undefined) divideRows(z, rawData(scale));
    centredRows(z);
    return { head: { layer: before, head }, isBeside: false, rows: matmulDense(z, W), thin: { z, W } };
  });
}

/** Rows through the linear part of a norm, at scale 1. */
export function throughLinear(frozen: FrozenRun, layer: number, { rows, cols, data }: DenseMatrix): DenseMatrix {
  const norm = frozenNorm(frozen, layer)?.norm;
  if (norm === undefined) return dense(rows, cols, data);
  const stream: Stream = Tensor.from("batch pos d_model", [1, rows, cols], data);
  const ones = Tensor.from("batch pos scale", [1, rows, 1], new Float64Array(rows).fill(1));
  return dense(rows, cols, Float64Array.from(rawData(norm.applyFrozen(stream, ones))));
}

/** A stream's numbers, one row a position, that are free to be changed. */
export function rowsOf(stream: Tensor): DenseMatrix {
  const width = stream.shape.at(-1) ?? 0;
  return dense(stream.size / Math.max(1, width), width, Float64Array.from(rawData(stream)));
}

/** Divides each row by its own number. */
export function divideRows({ cols, data }: DenseMatrix, by: ArrayLike<number>): void {
  for (let t = 0; t < data.length; t++) data[t] = (data[t] as number) / (by[Math.floor(t / cols)] as number);
}

/** Takes the mean row out, in place. */
export function centredRows(matrix: DenseMatrix): DenseMatrix {
  const { rows, cols, data } = matrix;
  const mean = new Float64Array(cols);
  for (let t = 0; t < data.length; t++) mean[t % cols] = (mean[t % cols] as number) + (data[t] as number) / rows;
  for (let t = 0; t < data.length; t++) data[t] = (data[t] as number) - (mean[t % cols] as number);
  return matrix;
}

/** $X^\top X / n$ of $n$ rows. */
export function secondMoment(matrix: DenseMatrix): DenseMatrix {
  const { rows, cols, data } = matmulDense(matrix, matrix, { transposeA: true });
  return dense(
    rows,
    cols,
    data.map((x) => x / Math.max(1, matrix.rows)),
  );
}
