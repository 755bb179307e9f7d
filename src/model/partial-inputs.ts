/** Rows of a partial pass as what layers read, and what they give as rows again. */
import { rawData, tensorOf } from "../tensor/internal.ts";
import type { FloatArray } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AttentionLayer } from "./attention.ts";
import type { BaseRun } from "./base-run.ts";
import type { HeadVectors, Stream } from "./head-products.ts";
import { Rows } from "./partial-rows.ts";

/** Where in its prompt's text a place of a run is. */
export function placeOf({ tokens, mask }: BaseRun, place: number): number {
  return mask === undefined ? place % tokens.sizeOf("pos") : (mask.places[place % tokens.size] as number);
}

const isPadding = ({ tokens, mask }: BaseRun, place: number): boolean => mask?.visible[place % tokens.size] === 0;

/** The inputs of a layer's heads: of queries and keys, and of values. */
export function headInputs(
  base: BaseRun,
  layer: AttentionLayer,
  stream: Rows,
): { readonly scores: Rows; readonly values: Rows } {
  const values = layer.ln1 === undefined ? stream : like(stream, layer.ln1.apply(asStream(stream)));
  if (base.model.config.positional_embedding_type !== "shortformer") return { scores: values, values };
  const W_pos = rawData(base.model.weight("pos_embed.W_pos")) as FloatArray;
  const scores = new Rows(values.frame, values.places, values.width);
  scores.data.set(values.data.subarray(0, scores.data.length));
  for (const [row, place] of scores.places.entries()) {
    if (isPadding(base, place)) continue;
    const from = placeOf(base, place) * scores.width;
    addTo(scores.row(row), W_pos.subarray(from, from + scores.width));
  }
  return { scores, values };
}

/** Adds numbers to others in place, in float32. */
export function addTo(out: FloatArray, x: FloatArray): void {
  for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) + (x[i] as number);
}

/** Two activations at the same places, added. */
export function sum(a: Rows, b: Rows): Rows {
  const out = new Rows(a.frame, a.places, a.width);
  const length = a.count * a.width;
  for (let i = 0; i < length; i++) out.data[i] = (a.data[i] as number) + (b.data[i] as number);
  return out;
}

/** Rows as one prompt of a stream. */
export const asStream = (rows: Rows): Stream => tensorOf("batch pos d_model", [1, rows.count, rows.width], rows.data);

/** Rows as vectors of heads. */
export const asHeads = (rows: Rows, heads: number): HeadVectors =>
  tensorOf("batch pos head d_head", [1, rows.count, heads, rows.width / heads], rows.data);

/** A result as rows at the places of its input. */
export const like = (rows: Rows, result: Tensor, width = rows.width): Rows =>
  new Rows(rows.frame, rows.places, width, rawData(result) as FloatArray);

/** Vectors of heads as rows at the places of their input. */
export const ofHeads = (rows: Rows, vectors: HeadVectors): Rows =>
  like(rows, vectors, vectors.sizeOf("head") * vectors.sizeOf("d_head"));
