/**
 * The lengths $\|B A^\top\|_F$ of products of all earlier writers $B$ with all later readers $A$, each d_head x d_model and of norm 1, by two routes.
 *
 * *Pairs*: one product `[head and d_head, d_model] [d_model, head and d_head]` for every pair of layers, and the sums of squares of its
 * blocks. *Symmetric*: $\|B A^\top\|_F^2 = \langle B^\top B,\, A^\top A \rangle$, inner products of symmetric d_model x d_model matrices, each made once: cheaper where
 * layers are many, as what it costs grows with heads and only then with pairs. They are made a band of rows at a time, diagonal and
 * right of it alone, so that memory stays bounded.
 *
 * An inner product loses what cancels in it: where it comes out far below chance, $1/d_{model}$, that pair is taken by its own product.
 */
import { kernels, kindOf, withWorkspace } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import type { Steps } from "./progress.ts";

/** Maps of norm 1 of the heads of some layers, in float32 or float64, `[layer, head, d_head, d_model]`. */
export interface MapStack {
  readonly data: FloatArray;
  /** The layer of the first. */
  readonly firstLayer: number;
  readonly layers: number;
  /** Maps in a layer: heads, or heads of several kinds one after another. */
  readonly perLayer: number;
}

export interface PairSizes {
  readonly k: number;
  readonly d: number;
}

/** Called with a writer and a reader, their layers and places in the layer, and the score. */
export type PairVisit = (
  writer: readonly [layer: number, place: number],
  reader: readonly [layer: number, place: number],
  score: number,
) => void;

/** Rows of the symmetric matrices in a band. */
const BAND = 48;
/** How many of the writers' layers share a product with readers in the symmetric route. */
const LAYERS_TOGETHER = 4;
/** Below this share of chance, $1/d$, an inner product of float32 numbers is not trusted. */
const CANCELLED = 0.1;

/** Multiply-adds of the two routes. */
export function routeCosts(
  writers: MapStack,
  readers: MapStack,
  { k, d }: PairSizes,
): { pairs: number; symmetric: number } {
  const layerPairs = countLayerPairs(writers, readers);
  const pairs = layerPairs * writers.perLayer * readers.perLayer * k * k * d;
  const entries = (d * (d + Math.min(BAND, d))) / 2;
  const maps = writers.layers * writers.perLayer + readers.layers * readers.perLayer;
  const products = (layerPairs + (LAYERS_TOGETHER - 1) * readers.layers) * writers.perLayer * readers.perLayer;
  return { pairs, symmetric: entries * (maps * k + products) };
}

function countLayerPairs(writers: MapStack, readers: MapStack): number {
  let count = 0;
  for (let w = 0; w < writers.layers; w++) {
    const later = readers.firstLayer + readers.layers - Math.max(readers.firstLayer, writers.firstLayer + w + 1);
    count += Math.max(0, later);
  }
  return count;
}

/** Steps that {@link visitByPairs} reports: pairs of layers. */
export function pairSteps(writers: MapStack, readers: MapStack): number {
  return countLayerPairs(writers, readers);
}

/** Steps that {@link visitSymmetric} reports: bands. */
export function symmetricSteps({ d }: PairSizes): number {
  return Math.ceil(d / BAND);
}

/** All pairs by a product for every pair of layers. */
export function visitByPairs(
  writers: MapStack,
  readers: MapStack,
  { k, d }: PairSizes,
  steps: Steps,
  visit: PairVisit,
): void {
  const [m, n] = [writers.perLayer * k, readers.perLayer * k];
  withWorkspace((take) => {
    const products = take(kindOf(writers.data), m * n);
    const squares = new Float64Array(readers.perLayer);
    for (let w = writers.firstLayer; w < writers.firstLayer + writers.layers; w++) {
      for (let r = Math.max(readers.firstLayer, w + 1); r < readers.firstLayer + readers.layers; r++) {
        const from = (w - writers.firstLayer) * m * d;
        const to = (r - readers.firstLayer) * n * d;
        multiplyTransposed(writers.data, from, m, readers.data, to, n, d, products);
        for (let i = 0; i < writers.perLayer; i++) {
          squares.fill(0);
          for (let row = i * k; row < (i + 1) * k; row++) addSquares(squares, products, row * n, k);
          for (const [j, square] of squares.entries()) visit([w, i], [r, j], lengthOf(square));
        }
        steps.advance();
      }
    }
  });
}

/** $A B^\top$, `[m, depth] [depth, n]`, of rows one after another. */
function multiplyTransposed(
  a: FloatArray,
  fromA: number,
  m: number,
  b: FloatArray,
  fromB: number,
  n: number,
  depth: number,
  into: FloatArray,
): void {
  kernels().matmul({
    batch: 1,
    m,
    n,
    k: depth,
    a: { data: a, offset: fromA, rowStride: depth, colStride: 1, batchStride: 0 },
    b: { data: b, offset: fromB, rowStride: 1, colStride: depth, batchStride: 0 },
    out: { data: into, offset: 0, rowStride: n, colStride: 1, batchStride: 0 },
  });
}

/** Adds the sums of squares of a row's entries, `k` after `k`. */
function addSquares(squares: Float64Array, numbers: FloatArray, start: number, k: number): void {
  let from = start;
  for (let j = 0; j < squares.length; j++) {
    const end = from + k;
    // Two sums, so that no addition waits for the one before it.
    let even = 0;
    let odd = 0;
    for (; from + 1 < end; from += 2) {
      const x = numbers[from] as number;
      const y = numbers[from + 1] as number;
      even += x * x;
      odd += y * y;
    }
    if (from < end) {
      const x = numbers[from++] as number;
      even += x * x;
    }
    squares[j] = (squares[j] as number) + (even + odd);
  }
}

/** A length of maps of norm 1, which rounding does not take beyond 1. */
const lengthOf = (square: number): number => Math.min(1, Math.sqrt(square));

/** All pairs by inner products of symmetric matrices. */
export function visitSymmetric(
  writers: MapStack,
  readers: MapStack,
  sizes: PairSizes,
  steps: Steps,
  visit: PairVisit,
): void {
  const { d } = sizes;
  const [nW, nR] = [writers.layers * writers.perLayer, readers.layers * readers.perLayer];
  const squares = new Float64Array(nW * nR);
  const band = Math.min(BAND, d);
  withWorkspace((take) => {
    const kind = kindOf(writers.data);
    const S = take(kind, nW * band * d);
    const T = take(kind, nR * band * d);
    const products = take(kind, LAYERS_TOGETHER * writers.perLayer * nR);
    for (let start = 0; start < d; start += band) {
      const rows = Math.min(band, d - start);
      // On the diagonal, and right of it, where an entry stands for what mirrors it too.
      for (const [first, width, weight] of [
        [start, rows, 1],
        [start + rows, d - start - rows, 2],
      ] as const) {
        fillBand(S, writers, nW, sizes, start, rows, first, width);
        fillBand(T, readers, nR, sizes, start, rows, first, width);
        addProducts(squares, writers, readers, S, T, rows * width, weight, products);
      }
      steps.advance();
    }
  });
  visitSquares(writers, readers, sizes, squares, visit);
}

/** Adds `weight` times the inner products of rows of `S` and `T`, `size` numbers each, of writers with later readers. */
function addProducts(
  squares: Float64Array,
  writers: MapStack,
  readers: MapStack,
  S: FloatArray,
  T: FloatArray,
  size: number,
  weight: number,
  products: FloatArray,
): void {
  const nR = readers.layers * readers.perLayer;
  for (let layer = 0; layer < writers.layers; layer += LAYERS_TOGETHER) {
    const together = Math.min(LAYERS_TOGETHER, writers.layers - layer);
    const firstReader = Math.max(0, writers.firstLayer + layer + 1 - readers.firstLayer) * readers.perLayer;
    const firstWriter = layer * writers.perLayer;
    const [m, n] = [together * writers.perLayer, nR - firstReader];
    multiplyTransposed(S, firstWriter * size, m, T, firstReader * size, n, size, products);
    for (let i = 0; i < m; i++) {
      const into = (firstWriter + i) * nR + firstReader;
      for (let j = 0; j < n; j++) {
        squares[into + j] = (squares[into + j] as number) + weight * (products[i * n + j] as number);
      }
    }
  }
}

function visitSquares(
  writers: MapStack,
  readers: MapStack,
  sizes: PairSizes,
  squares: Float64Array,
  visit: PairVisit,
): void {
  const nR = readers.layers * readers.perLayer;
  const least = CANCELLED / sizes.d;
  const space = kindOf(writers.data) === "float64" ? new Float64Array(sizes.k ** 2) : new Float32Array(sizes.k ** 2);
  for (let i = 0; i < writers.layers * writers.perLayer; i++) {
    const w = writers.firstLayer + Math.floor(i / writers.perLayer);
    for (let j = 0; j < nR; j++) {
      const r = readers.firstLayer + Math.floor(j / readers.perLayer);
      if (r <= w) continue;
      const square = squares[i * nR + j] as number;
      const score = square > least ? lengthOf(square) : onePair(writers, readers, i, j, sizes, space);
      visit([w, i % writers.perLayer], [r, j % readers.perLayer], score);
    }
  }
}

function onePair(
  writers: MapStack,
  readers: MapStack,
  i: number,
  j: number,
  { k, d }: PairSizes,
  space: FloatArray,
): number {
  multiplyTransposed(writers.data, i * k * d, k, readers.data, j * k * d, k, d, space);
  const square = new Float64Array(1);
  addSquares(square, space, 0, k * k);
  return lengthOf(square[0] as number);
}

/** Rows `start` to `start + rows` and `width` columns from `first` on of $B^\top B$, for every map, `[map, rows, width]`. */
function fillBand(
  into: FloatArray,
  { data }: MapStack,
  count: number,
  { k, d }: PairSizes,
  start: number,
  rows: number,
  first: number,
  width: number,
): void {
  kernels().matmul({
    batch: count,
    m: rows,
    n: width,
    k,
    a: { data, offset: start, rowStride: 1, colStride: d, batchStride: k * d },
    b: { data, offset: first, rowStride: d, colStride: 1, batchStride: k * d },
    out: { data: into, offset: 0, rowStride: width, colStride: 1, batchStride: rows * width },
  });
}
