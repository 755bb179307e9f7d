/**
 * The weights of a layer's heads as composition reads them: norms folded in if asked, heads of extreme sizes scaled,
 * with the Gram matrices that roots are taken of.
 */
import { weightKernels } from "../../kernels/index.ts";
import type { FloatArray, MatrixView, TakeArray } from "../../kernels/index.ts";
import type { AttentionLayer } from "../../model/index.ts";
import type { ReaderName } from "../../model/internal.ts";
import { matrixView, rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { centredOutput, foldedReader } from "../../model/internal.ts";

/**
 * A weight of all heads of a layer, seen as `[head, d_head, d_model]`, and its Gram matrices `[head, d_head, d_head]`
 * where roots are taken of them.
 */
export interface Side {
  readonly view: MatrixView;
  readonly grams: FloatArray | undefined;
}

export type WeightName = ReaderName | "W_O";

/** The sizes of a layer's heads. */
export interface Sizes {
  readonly count: number;
  readonly k: number;
  readonly d: number;
}

/**
 * How norms enter: not at all, or folded into the weights that read through them and taken out of those that write.
 * @inline
 */
export type NormsInScores = "raw" | "folded";

/** A weight that reads the stream, with or without the norm that it reads through; stored as it was. */
export function readerOf(layer: AttentionLayer, name: ReaderName, norms: NormsInScores): Tensor<"head d_model d_head"> {
  return norms === "folded" ? foldedReader(layer, name, layer[name].dtype === "float32") : layer[name];
}

/** $W_O$, its rows centred where the layer's norm takes the mean out: no head reads it. */
export function writtenOf(layer: AttentionLayer, norms: NormsInScores): Tensor<"head d_head d_model"> {
  return norms === "raw" || layer.ln1?.centers !== true ? layer.W_O : centredOutput(layer);
}

type Weight = Tensor<"head d_model d_head"> | Tensor<"head d_head d_model">;

const isTurned = (weight: Weight): boolean => weight.names[1] === "d_model";

function viewOf(weight: Weight): MatrixView {
  const view = matrixView(weight);
  return isTurned(weight) ? transposed(view) : view;
}

/**
 * A weight with its Gram matrices. Where squares would overflow or vanish it is a copy with such heads scaled: a scale
 * does not enter a score.
 */
export function withGrams(weight: Weight, sizes: Sizes, take: TakeArray): Side {
  const view = viewOf(weight);
  const grams = gramsOf(view, sizes, take);
  if (areOfSize(grams, sizes)) return { view, grams };
  const scaled = scaledView(weight, sizes);
  return { view: scaled, grams: gramsOf(scaled, sizes, take) };
}

/** The same without its Gram matrices, as it is. */
export function withoutGrams(weight: Weight): Side {
  return { view: viewOf(weight), grams: undefined };
}

/** A copy of a weight, its heads of unusual size scaled. */
export function scaledView(weight: Weight, sizes: Sizes): MatrixView {
  const data = scaledHeads(rawData(weight) as FloatArray, sizes);
  const { k, d } = sizes;
  const [rowStride, colStride] = isTurned(weight) ? [1, k] : [d, 1];
  return { data, offset: 0, rowStride, colStride, batchStride: k * d };
}

function transposed(view: MatrixView): MatrixView {
  return { ...view, rowStride: view.colStride, colStride: view.rowStride };
}

/** Whether every head's longest row is of a length whose fourth power is far from the ends of the numbers there are. */
function areOfSize(grams: FloatArray, { count, k }: Sizes): boolean {
  for (let h = 0; h < count; h++) {
    let largest = 0;
    for (let i = 0; i < k; i++) {
      const square = grams[h * k * k + i * (k + 1)] as number;
      if (!(square <= largest)) largest = square;
    }
    if (!(largest > 1e-12 && largest < 1e12)) return false;
  }
  return true;
}

function scaledHeads(weights: FloatArray, { count, k, d }: Sizes): FloatArray {
  const data = weights.slice();
  const each = k * d;
  for (let h = 0; h < count; h++) {
    const size = largestOf(data, h * each, (h + 1) * each);
    if (size === 0 || isUsual(size)) continue;
    for (let t = h * each; t < (h + 1) * each; t++) data[t] = (data[t] as number) / size;
  }
  return data;
}

/** Whether the fourth power of a size is far from the ends of the numbers there are. */
const isUsual = (size: number): boolean => size > 1e-6 && size < 1e6;

function largestOf(numbers: FloatArray, start: number, end: number): number {
  let largest = 0;
  for (let t = start; t < end; t++) {
    const size = Math.abs(numbers[t] as number);
    if (size > largest) largest = size;
  }
  return largest;
}

export function gramsOf(view: MatrixView, { count, k, d }: Sizes, take: TakeArray): FloatArray {
  const grams = take("float64", count * k * k);
  const out = { data: grams, offset: 0, rowStride: k, colStride: 1, batchStride: k * k };
  weightKernels().gram({ batch: count, m: k, k: d, a: view, out });
  return grams;
}
