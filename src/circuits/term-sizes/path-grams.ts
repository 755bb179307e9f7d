/**
 * Gram matrices of all paths together by linear passes.
 *
 * The terms that reach the stream before a layer, $X W_{OV}^{h_1} \cdots W_{OV}^{h_p}$, enter the size of a term
 * $X W_{OV}^{h_1} \cdots M$ only through $S = \sum (X W_{OV} \cdots)^\top (X W_{OV} \cdots)$, as
 * $\sum \lVert X W_{OV} \cdots M \rVert^2 = \mathrm{tr}(S M M^\top)$. A layer takes the sum over all paths to that plus
 * $\sum_h W_{OV}^{h\top} S\, W_{OV}^h$, so that no path is enumerated. What follows a layer likewise:
 * $\sum (W_{OV} \cdots M)(W_{OV} \cdots M)^\top$, from the last layer back. Paths are told apart by their numbers of
 * heads in path-cores.ts.
 *
 * Products of large float32 weights are float32. All sums are of matrices without negative eigenvalues, so that nothing
 * cancels in them.
 */
import { kernels, kindOf, withWorkspace } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";
import type { AttentionLayer } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";

/** `[d_model, d_model]`, float64. */
export type Gram = Float64Array;

/** Multiply-adds of a product from which on it is worth float32. */
const LARGE = 2 ** 28;

/** The weights of a layer by which its heads read and write. */
export interface LayerFactors {
  readonly heads: number;
  readonly d: number;
  readonly k: number;
  /** `[head, d_model, d_head]`. */
  readonly V: FloatArray;
  /** `[head, d_head, d_model]`. */
  readonly O: FloatArray;
  readonly kind: "float32" | "float64";
}

export function factorsOfLayer({ W_V, W_O }: AttentionLayer): LayerFactors {
  const [heads = 0, d = 0, k = 0] = W_V.shape;
  const [V, O] = [rawData(W_V) as FloatArray, rawData(W_O) as FloatArray];
  const isSingle = kindOf(V) === "float32" && kindOf(O) === "float32" && heads * k * d * d >= LARGE;
  return { heads, d, k, V, O, kind: isSingle ? "float32" : "float64" };
}

/** $W_V^\top S\, W_V$ of each head of a layer, `[head, d_head, d_head]`: what its values are of such streams. */
export function readGrams(S: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, V, kind } = factorsOfLayer(layer);
  const out = new Float64Array(heads * k * k);
  withWorkspace((take) => {
    const left = stack(inKind(S, take(kind, d * d)), d, 0);
    const [values, read] = [stack(V, k, d * k), stack(take(kind, heads * d * k), k, d * k)];
    kernels().matmul({ batch: heads, m: d, n: k, k: d, a: left, b: values, out: read });
    kernels().matmul({ batch: heads, m: k, n: k, k: d, a: turned(values), b: read, out: stack(out, k, k * k) });
  });
  return out;
}

/** $W_O B\, W_O^\top$ of each head of a layer, `[head, d_head, d_head]`: what becomes of its weighted values. */
export function writtenGrams(B: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, O, kind } = factorsOfLayer(layer);
  const out = new Float64Array(heads * k * k);
  withWorkspace((take) => {
    const right = stack(inKind(B, take(kind, d * d)), d, 0);
    const [written, read] = [stack(O, d, k * d), stack(take(kind, heads * k * d), d, k * d)];
    kernels().matmul({ batch: heads, m: k, n: d, k: d, a: written, b: right, out: read });
    kernels().matmul({ batch: heads, m: k, n: k, k: d, a: read, b: turned(written), out: stack(out, k, k * k) });
  });
  return out;
}

/**
 * $\sum_h W_O^{h\top} R_h W_O^h$ over the heads of a layer: what they write of what {@link readGrams} has of their
 * values.
 */
export function gramWritten(read: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, O, kind } = factorsOfLayer(layer);
  return withWorkspace((take) => {
    const inner = stack(inKind(read, take(kind, heads * k * k)), k, k * k);
    const moved = stack(take(kind, heads * k * d), d, k * d);
    kernels().matmul({ batch: heads, m: k, n: d, k, a: inner, b: stack(O, d, k * d), out: moved });
    return sideBySide(O, moved.data, heads * k, d, take(kind, d * d));
  });
}

/**
 * $\sum_h W_V^h D_h W_V^{h\top}$ over the heads of a layer: what becomes of streams whose values become what
 * {@link writtenGrams} has.
 */
export function gramRead(written: Gram, layer: AttentionLayer): Gram {
  const { heads, d, k, V, kind } = factorsOfLayer(layer);
  return withWorkspace((take) => {
    const inner = stack(inKind(written, take(kind, heads * k * k)), k, k * k);
    const values = stack(take(kind, heads * k * d), d, k * d);
    const moved = stack(take(kind, heads * k * d), d, k * d);
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < d; i++)
        for (let e = 0; e < k; e++) values.data[(h * k + e) * d + i] = V[(h * d + i) * k + e] as number;
    kernels().matmul({ batch: heads, m: k, n: d, k, a: inner, b: values, out: moved });
    return sideBySide(values.data, moved.data, heads * k, d, take(kind, d * d));
  });
}

/** $A^\top B$ of matrices `[rows, d]`: of heads side by side the sum over them is the sum inside one product. */
function sideBySide(A: FloatArray, B: FloatArray, rows: number, d: number, into: FloatArray): Gram {
  kernels().matmul({
    batch: 1,
    m: d,
    n: d,
    k: rows,
    a: turned(stack(A, d, 0)),
    b: stack(B, d, 0),
    out: stack(into, d, 0),
  });
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
  for (const other of others) for (let t = 0; t < out.length; t++) out[t] = (out[t] as number) + (other[t] as number);
  return out;
}

/** Row-major matrices, one after another. */
export function stack(data: FloatArray, cols: number, batchStride: number): MatrixView {
  return { data, offset: 0, rowStride: cols, colStride: 1, batchStride };
}

/** A matrix seen from its other side. */
export function turned(view: MatrixView): MatrixView {
  return { ...view, rowStride: view.colStride, colStride: view.rowStride };
}

/** Numbers put into an array of another kind. */
export function inKind(numbers: Float64Array, into: FloatArray): FloatArray {
  into.set(numbers);
  return into;
}
