/**
 * The weights of a layer's heads as composition reads them, with their Gram matrices. Norms are folded in if asked;
 * heads of extreme size are scaled, which no score notices.
 */
import { gramStack, stackOfTensor, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer } from "../../model/index.ts";
import type { ReaderName } from "../../model/internal.ts";
import { centredOutput, foldedReader } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../../tensor/internal.ts";

/**
 * A weight of all heads of a layer, `[head, d_head, d_model]`, and its Gram matrices `[head, d_head, d_head]` where
 * roots are taken of them.
 */
export interface Side {
  readonly maps: Stack;
  readonly grams: FloatArray | undefined;
}

export type WeightName = ReaderName | "W_O";

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

type Weight = Tensor<"head d_model d_head" | "head d_head d_model">;

function mapsOf(weight: Weight): Stack {
  const maps = stackOfTensor(weight);
  return weight.names[1] === "d_model" ? transposedStack(maps) : maps;
}

/**
 * A weight with its Gram matrices. Where squares would overflow or vanish it is a copy with such heads scaled: a scale
 * does not enter a score.
 */
export function withGrams(weight: Weight, take: TakeArray): Side {
  const maps = mapsOf(weight);
  const grams = gramsOf(maps, take);
  if (areOfSize(grams, maps)) return { maps, grams };
  const scaled = scaledMaps(weight);
  return { maps: scaled, grams: gramsOf(scaled, take) };
}

/** The same without its Gram matrices, as it is. */
export function withoutGrams(weight: Weight): Side {
  return { maps: mapsOf(weight), grams: undefined };
}

/** A copy of a weight, its heads of unusual size scaled. */
export function scaledMaps(weight: Weight): Stack {
  return mapsOf(
    Tensor.from(weight.axes, weight.shape, scaledHeads(rawData(weight) as FloatArray, weight.shape[0] ?? 0)),
  );
}

/** Whether the fourth power of every head's largest row norm neither overflows nor underflows. */
function areOfSize(grams: FloatArray, { count, rows: k }: Stack): boolean {
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

function scaledHeads(weights: FloatArray, count: number): FloatArray {
  const data = weights.slice();
  const each = data.length / count;
  for (let h = 0; h < count; h++) {
    const size = largestOf(data, h * each, (h + 1) * each);
    if (size === 0 || isUsual(size)) continue;
    for (let t = h * each; t < (h + 1) * each; t++) data[t] = (data[t] as number) / size;
  }
  return data;
}

/** Whether the fourth power of a number neither overflows nor underflows. */
const isUsual = (size: number): boolean => size > 1e-6 && size < 1e6;

function largestOf(numbers: FloatArray, start: number, end: number): number {
  let largest = 0;
  for (let t = start; t < end; t++) {
    const size = Math.abs(numbers[t] as number);
    if (size > largest) largest = size;
  }
  return largest;
}

export function gramsOf(maps: Stack, take: TakeArray): FloatArray {
  return gramStack(maps, take("float64", maps.count * maps.rows ** 2)).data;
}
