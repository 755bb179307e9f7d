/**
 * Gram matrices of all paths together, by one linear pass over the layers.
 *
 * The terms that reach the stream before a layer, $X W_{OV}^{h_1} \cdots W_{OV}^{h_p}$, enter the norm of a longer term
 * only through their summed Gram matrix $S = \sum (X W_{OV} \cdots)^\top (X W_{OV} \cdots)$, since
 * $\sum \lVert X W_{OV} \cdots M \rVert^2 = \mathrm{tr}(S M M^\top)$. A layer takes $S$ to
 * $S + \sum_h W_{OV}^{h\top} S\, W_{OV}^h$, so no path is enumerated. The factors after a layer are summed likewise,
 * $\sum (W_{OV} \cdots M)(W_{OV} \cdots M)^\top$, from the last layer back. path-cores.ts tells the orders apart.
 *
 * Products of large float32 weights are float32. All summed matrices are positive semidefinite, so nothing cancels.
 */
import { LARGE, multiplyStacks, stackOf, times, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { addTo, kindOf, rawData, withWorkspace } from "../../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../../tensor/internal.ts";

/** `[d_model, d_model]`, float64. */
export type Gram = Float64Array;

/** The weights of a layer by which its heads read and write. */
export interface LayerFactors {
  readonly heads: number;
  readonly d: number;
  readonly k: number;
  /** `[head, d_model, d_head]`. */
  readonly V: Stack;
  /** `[head, d_head, d_model]`. */
  readonly O: Stack;
  readonly kind: "float32" | "float64";
}

export function factorsOfLayer({ W_V, W_O }: AttentionLayer): LayerFactors {
  const [heads = 0, d = 0, k = 0] = W_V.shape;
  const of = (W: Tensor): Stack => stackOf(rawData(W) as FloatArray, W.shape as [number, number, number]);
  const [V, O] = [of(W_V), of(W_O)];
  const isSingle = [V, O].every(({ view }) => kindOf(view.data) === "float32") && heads * k * d * d >= LARGE;
  return { heads, d, k, V, O, kind: isSingle ? "float32" : "float64" };
}

/** $W_V^\top S\, W_V$ of each head of a layer, `[head, d_head, d_head]`: what its values are of such streams. */
export function readGrams(S: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, V, kind } = factorsOfLayer(layer);
  return withWorkspace((take) => {
    const read = stackOf(take(kind, heads * d * k), [heads, d, k]);
    multiplyStacks(inKind(S, [1, d, d], kind, take), V, read);
    return times(transposedStack(V), read).data;
  });
}

/** $W_O B\, W_O^\top$ of each head of a layer, `[head, d_head, d_head]`: what becomes of its weighted values. */
export function writtenGrams(B: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, O, kind } = factorsOfLayer(layer);
  return withWorkspace((take) => {
    const read = stackOf(take(kind, heads * k * d), [heads, k, d]);
    multiplyStacks(O, inKind(B, [1, d, d], kind, take), read);
    return times(read, transposedStack(O)).data;
  });
}

/**
 * $\sum_h W_O^{h\top} R_h W_O^h$ over the heads of a layer: what they write of what {@link readGrams} has of their
 * values.
 */
export function gramWritten(read: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, O, kind } = factorsOfLayer(layer);
  return withWorkspace((take) => {
    const moved = stackOf(take(kind, heads * k * d), [heads, k, d]);
    multiplyStacks(inKind(read, [heads, k, k], kind, take), O, moved);
    return sideBySide(O, moved, take(kind, d * d));
  });
}

/**
 * $\sum_h W_V^h D_h W_V^{h\top}$ over the heads of a layer: what becomes of streams whose values become what
 * {@link writtenGrams} has.
 */
export function gramRead(written: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, V, kind } = factorsOfLayer(layer);
  return withWorkspace((take) => {
    const values = stackOf(take(kind, heads * k * d), [heads, k, d]);
    const moved = stackOf(take(kind, heads * k * d), [heads, k, d]);
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < d; i++)
        for (let e = 0; e < k; e++) values.view.data[(h * k + e) * d + i] = V.view.data[(h * d + i) * k + e] as number;
    multiplyStacks(inKind(written, [heads, k, k], kind, take), values, moved);
    return sideBySide(values, moved, take(kind, d * d));
  });
}

/** $\sum_h A_h^\top B_h$: of heads side by side the sum over them is the sum inside one product. */
function sideBySide(A: Stack, B: Stack, into: FloatArray): Gram {
  const { count, rows, cols: d } = A;
  const [a, b] = [A, B].map(({ view }) => stackOf(view.data, [1, count * rows, d])) as [Stack, Stack];
  multiplyStacks(transposedStack(a), b, stackOf(into, [1, d, d]));
  return Float64Array.from(into.subarray(0, d * d));
}

/** The sum of the squares of what goes through each head: $\mathrm{tr}(W_V^\top S W_V\, W_O B W_O^\top)$. */
export function throughEach(read: Gram, written: Gram, heads: number): number[] {
  const size = read.length / heads;
  return Array.from({ length: heads }, (_, h) => {
    let sum = 0;
    for (let t = h * size; t < (h + 1) * size; t++) sum += (read[t] as number) * (written[t] as number);
    return Math.max(0, sum);
  });
}

/** The sum of some, one at least. */
export function addedUp(grams: readonly Gram[]): Gram {
  const [first, ...others] = grams as readonly [Gram, ...Gram[]];
  if (others.length === 0) return first;
  const out = first.slice();
  for (const other of others) addTo(out, other);
  return out;
}

/** Matrices with their numbers in an array of another kind. */
function inKind(numbers: Float64Array, sizes: StackSizes, kind: "float32" | "float64", take: TakeArray): Stack {
  const data = take(kind, numbers.length);
  data.set(numbers);
  return stackOf(data, sizes);
}

type StackSizes = readonly [count: number, rows: number, cols: number];
