/**
 * Heads' maps collapsed for composition: $W_{OV} = W_V W_O$ enters a score only through lengths, so that $W_V$ may be replaced
 * by any $R$, d_head x d_head, with $R^\top R = W_V^\top W_V$: then $\|W_V W_O X\| = \|R W_O X\|$ for every $X$. The other outer factors likewise.
 *
 * All that is needed besides the weights are the Gram matrices of the four of them, d_head x d_head: roots $R$ are taken of these, and the
 * norm of a map is $\|W_V W_O\|^2 = \langle W_V^\top W_V,\, W_O W_O^\top \rangle$. Gram matrices are summed in float64, whatever the weights are;
 * maps are float32 where these are.
 */
import { kernels, kindOf, withWorkspace } from "../kernels/index.ts";
import type { FloatArray, MatrixView, TakeArray } from "../kernels/index.ts";
import type { AttentionLayer } from "../model/index.ts";
import { matrixView, rawData, Tensor } from "../tensor/index.ts";
import { rootOf } from "./gram-roots.ts";
import { foldedReader } from "./norm-folding.ts";
import type { ReaderName } from "./norm-folding.ts";

/** A weight of all heads of a layer, seen as `[head, d_head, d_model]`, and its Gram matrices `[head, d_head, d_head]`. */
interface Side {
  readonly view: MatrixView;
  readonly grams: FloatArray;
}

/** The sizes of a layer's heads. */
interface Sizes {
  readonly count: number;
  readonly k: number;
  readonly d: number;
}

/**
 * How norms enter: not at all, or folded into the weights that read through them and taken out of those that write.
 * @inline
 */
export type NormsInScores = "raw" | "folded";

/** What writes and what reads in a layer, each head's scaled to norm 1 (or zero); worked out in arrays of a workspace. */
export class UnitMaps {
  readonly #layer: AttentionLayer;
  readonly #norms: NormsInScores;
  readonly #take: TakeArray;
  readonly #sides = new Map<string, Side>();

  constructor(layer: AttentionLayer, norms: NormsInScores, take: TakeArray) {
    this.#layer = layer;
    this.#norms = norms;
    this.#take = take;
  }

  /** How the maps are stored. */
  get kind(): "float32" | "float64" {
    const { W_O } = this.#layer;
    const weights = [W_O, ...(["W_Q", "W_K", "W_V"] as const).map((name) => readerOf(this.#layer, name, this.#norms))];
    return weights.some(({ dtype }) => dtype === "float64") ? "float64" : "float32";
  }

  /** $R W_O$ with $R^\top R = W_V^\top W_V$: what heads write. */
  writers(into: FloatArray): readonly boolean[] {
    return this.#unit("W_V", "W_O", into);
  }

  /** What queries read: $R W_Q^\top$ with $R^\top R = W_K^\top W_K$. */
  queries(into: FloatArray): readonly boolean[] {
    return this.#unit("W_K", "W_Q", into);
  }

  /** What keys read: $R W_K^\top$ with $R^\top R = W_Q^\top W_Q$. */
  keys(into: FloatArray): readonly boolean[] {
    return this.#unit("W_Q", "W_K", into);
  }

  /** What values read: $R W_V^\top$ with $R^\top R = W_O W_O^\top$. */
  values(into: FloatArray): readonly boolean[] {
    return this.#unit("W_O", "W_V", into);
  }

  get #sizes(): Sizes {
    const [count = 0, k = 0, d = 0] = this.#layer.W_O.shape;
    return { count, k, d };
  }

  #side(name: ReaderName | "W_O"): Side {
    const known = this.#sides.get(name);
    if (known !== undefined) return known;
    const weight = name === "W_O" ? writtenOf(this.#layer, this.#norms) : readerOf(this.#layer, name, this.#norms);
    const side = sideOf(weight, this.#sizes, this.#take);
    this.#sides.set(name, side);
    return side;
  }

  /** Writes $R B / \|R B\|$ for each head, $R$ a root of the one weight's Gram matrix and $B$ the other; says which are zero. */
  #unit(outer: ReaderName | "W_O", inner: ReaderName | "W_O", into: FloatArray): readonly boolean[] {
    const sizes = this.#sizes;
    const { count, k, d } = sizes;
    const [{ grams }, B] = [this.#side(outer), this.#side(inner)];
    const isZero = new Array<boolean>(count).fill(false);
    withWorkspace((take) => {
      const roots = take(kindOf(into), count * k * k);
      const root = new Float64Array(k * k);
      for (let h = 0; h < count; h++) {
        const at = h * k * k;
        rootOf(grams, at, k, root);
        let norm = normOfProduct(grams, B.grams, at, k);
        norm ??= normByProduct(root, B.view, h, sizes);
        isZero[h] = norm === 0;
        scaleInto(roots, at, root, norm === 0 ? 0 : 1 / norm);
      }
      kernels().matmul({
        batch: count,
        m: k,
        n: d,
        k,
        a: { data: roots, offset: 0, rowStride: k, colStride: 1, batchStride: k * k },
        b: B.view,
        out: { data: into, offset: 0, rowStride: d, colStride: 1, batchStride: k * d },
      });
    });
    return isZero;
  }
}

function scaleInto(target: FloatArray, at: number, numbers: Float64Array, factor: number): void {
  for (let t = 0; t < numbers.length; t++) target[at + t] = (numbers[t] as number) * factor;
}

/** Below this share of what the traces allow, too little of a norm is left after cancellation. */
const CANCELLED = 1e-6;

/** $\|A B\|$ from $A^\top A$ and $B B^\top$ of a head; `undefined` where it cancels. */
function normOfProduct(left: FloatArray, right: FloatArray, at: number, k: number): number | undefined {
  let square = 0;
  let [traceA, traceB] = [0, 0];
  for (let t = at; t < at + k * k; t++) square += (left[t] as number) * (right[t] as number);
  for (let i = 0; i < k; i++) {
    traceA += left[at + i * (k + 1)] as number;
    traceB += right[at + i * (k + 1)] as number;
  }
  return square > CANCELLED * traceA * traceB ? Math.sqrt(square) : undefined;
}

/** $\|R B\|$ of a head by multiplying out, in float64. */
function normByProduct(root: Float64Array, B: MatrixView, head: number, { k, d }: Sizes): number {
  const data = new Float64Array(k * d);
  kernels().matmul({
    batch: 1,
    m: k,
    n: d,
    k,
    a: { data: root, offset: 0, rowStride: k, colStride: 1, batchStride: 0 },
    b: { ...B, offset: B.offset + head * B.batchStride },
    out: { data, offset: 0, rowStride: d, colStride: 1, batchStride: 0 },
  });
  let squares = 0;
  for (const x of data) squares += x * x;
  return Math.sqrt(squares);
}

function readerOf(layer: AttentionLayer, name: ReaderName, norms: NormsInScores): Tensor<"head d_model d_head"> {
  return norms === "folded" ? foldedReader(layer, name) : layer[name];
}

/** The heads of a layer whose $W_{OV}$ (or $W_{QK}$) is zero, by one row of each product where that settles it. */
export function zeroHeadsOf(layer: AttentionLayer, circuit: "W_OV" | "W_QK", norms: NormsInScores): readonly number[] {
  const isQK = circuit === "W_QK";
  const left = readerOf(layer, isQK ? "W_Q" : "W_V", norms);
  const right = isQK ? readerOf(layer, "W_K", norms) : writtenOf(layer, norms);
  const [heads = 0, d = 0, k = 0] = left.shape;
  const [A, B] = [rawData(left), rawData(right)];
  const isTurned = right.names[1] === "d_head";
  const isSettled = layer.heads.every(({ head }) => {
    // One row of the product, which is nothing but zeros for hardly any head that is not zero.
    const row = (head * d + (d >> 1)) * k;
    for (let j = 0; j < d; j++) {
      let sum = 0;
      for (let e = 0; e < k; e++) {
        sum += (A[row + e] as number) * (B[head * d * k + (isTurned ? e * d + j : j * k + e)] as number);
      }
      if (sum !== 0 && Number.isFinite(sum)) return true;
    }
    return false;
  });
  if (isSettled) return [];
  return withWorkspace((take) => {
    const maps = new UnitMaps(layer, norms, take);
    const into = take(maps.kind, heads * k * d);
    return (isQK ? maps.queries(into) : maps.writers(into)).flatMap((zero, head) => (zero ? [head] : []));
  });
}

/** $W_O$, its rows centred where the layer's norm takes the mean out: no head reads it. */
function writtenOf({ W_O, ln1 }: AttentionLayer, norms: NormsInScores): Tensor<"head d_head d_model"> {
  if (norms === "raw" || ln1?.centers !== true) return W_O;
  const d = W_O.sizeOf("d_model");
  const data = rawData(W_O).slice() as FloatArray;
  for (let start = 0; start < data.length; start += d) {
    const row = data.subarray(start, start + d);
    let mean = 0;
    for (const x of row) mean += x / d;
    for (let i = 0; i < d; i++) row[i] = (row[i] as number) - mean;
  }
  return Tensor.from(W_O.axes, W_O.shape, data);
}

/**
 * A weight with its Gram matrices. Where squares would overflow or vanish it is a copy with such heads scaled: a scale does not enter a score.
 */
function sideOf(
  weight: Tensor<"head d_model d_head"> | Tensor<"head d_head d_model">,
  sizes: Sizes,
  take: TakeArray,
): Side {
  const isTurned = weight.names[1] === "d_model";
  const asStored = matrixView(weight);
  const view = isTurned ? transposed(asStored) : asStored;
  const grams = gramsOf(view, sizes, take);
  if (areOfSize(grams, sizes)) return { view, grams };
  const data = scaledHeads(rawData(weight) as FloatArray, sizes);
  const { k, d } = sizes;
  const [rowStride, colStride] = isTurned ? [1, k] : [d, 1];
  const scaled: MatrixView = { data, offset: 0, rowStride, colStride, batchStride: k * d };
  return { view: scaled, grams: gramsOf(scaled, sizes, take) };
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
    if (size === 0 || (size > 1e-6 && size < 1e6)) continue;
    for (let t = h * each; t < (h + 1) * each; t++) data[t] = (data[t] as number) / size;
  }
  return data;
}

function largestOf(numbers: FloatArray, start: number, end: number): number {
  let largest = 0;
  for (let t = start; t < end; t++) {
    const size = Math.abs(numbers[t] as number);
    if (size > largest) largest = size;
  }
  return largest;
}

function gramsOf(view: MatrixView, { count, k, d }: Sizes, take: TakeArray): FloatArray {
  const grams = take("float64", count * k * k);
  const out = { data: grams, offset: 0, rowStride: k, colStride: 1, batchStride: k * k };
  kernels().gram({ batch: count, m: k, k: d, a: view, out });
  return grams;
}
