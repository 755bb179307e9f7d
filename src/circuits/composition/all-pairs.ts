/**
 * The lengths $\|B A^\top\|_F / (\|B\|_F \|A\|_F)$ of products of all earlier writers $B$ with all later readers $A$,
 * each d_head x d_model, by two routes.
 *
 * *Pairs*: one product `[head and d_head, d_model] [d_model, head and d_head]` for every pair of layers, and the sums
 * of squares of its blocks. *Symmetric*: $\|B A^\top\|_F^2 = \langle B^\top B,\, A^\top A \rangle$, inner products of
 * symmetric d_model x d_model matrices, each made once: cheaper where pairs are many, as what it costs grows with heads
 * and only then with pairs. They are made a tile at a time, on the diagonal and right of it alone, so that memory stays
 * bounded.
 *
 * An inner product loses what cancels in it: where it comes out far below chance, $1/d_{model}$, that pair is taken by
 * its own product.
 */
import { kernels, kindOf, weightKernels, withWorkspace } from "../../kernels/index.ts";
import type { FloatArray } from "../../kernels/index.ts";
import type { Steps } from "../../progress.ts";

/** Maps of the heads of some layers, in float32 or float64, `[layer, head, d_head, d_model]`. */
export interface MapStack {
  readonly data: FloatArray;
  /** `[layer, head]`: the length of each, 0 of one that is zero; none far from 1. */
  readonly lengths: Float64Array;
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
  writerLayer: number,
  writer: number,
  readerLayer: number,
  reader: number,
  score: number,
) => void;

/** Rows of the symmetric matrices in a step. */
const BAND = 48;
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
  const products = layerPairs * writers.perLayer * readers.perLayer;
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
    const squares = new Float64Array(writers.perLayer * readers.perLayer);
    for (let w = writers.firstLayer; w < writers.firstLayer + writers.layers; w++) {
      for (let r = Math.max(readers.firstLayer, w + 1); r < readers.firstLayer + readers.layers; r++) {
        const [fromWriter, fromReader] = [
          (w - writers.firstLayer) * writers.perLayer,
          (r - readers.firstLayer) * readers.perLayer,
        ];
        multiplyTransposed(writers.data, fromWriter * k * d, m, readers.data, fromReader * k * d, n, d, products);
        weightKernels().blockSquares({ rows: m, cols: n, blockRows: k, blockCols: k, data: products, out: squares });
        for (let i = 0; i < writers.perLayer; i++) {
          for (let j = 0; j < readers.perLayer; j++) {
            const scale = (writers.lengths[fromWriter + i] as number) * (readers.lengths[fromReader + j] as number);
            const square = squares[i * readers.perLayer + j] as number;
            visit(w, i, r, j, lengthOf(squareOf(square, scale)));
          }
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

/** The square of a score, 0 where a map is zero. */
const squareOf = (square: number, scale: number): number => (scale === 0 ? 0 : square / (scale * scale));

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
  const { k, d } = sizes;
  const [countA, countB] = [writers.layers * writers.perLayer, readers.layers * readers.perLayer];
  const out = new Float64Array(countA * countB);
  const first = Int32Array.from({ length: countA }, (_, i) => {
    const later = writers.firstLayer + Math.floor(i / writers.perLayer) + 1;
    return Math.min(countB, Math.max(0, later - readers.firstLayer) * readers.perLayer);
  });
  let band = 0;
  const onRows = (rows: number): void => {
    const done = rows < d ? Math.floor(rows / BAND) : symmetricSteps(sizes);
    for (; band < done; band++) steps.advance();
  };
  weightKernels().pairNorms({ countA, countB, k, d, a: writers.data, b: readers.data, first, out, onRows });
  visitSquares(writers, readers, sizes, out, visit);
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
    const w = Math.floor(i / writers.perLayer);
    const place = i % writers.perLayer;
    for (let r = Math.max(0, writers.firstLayer + w + 1 - readers.firstLayer); r < readers.layers; r++) {
      for (let p = 0; p < readers.perLayer; p++) {
        const j = r * readers.perLayer + p;
        const scale = (writers.lengths[i] as number) * (readers.lengths[j] as number);
        const square = squareOf(squares[i * nR + j] as number, scale);
        const settled = square > least ? square : squareOf(onePair(writers, readers, i, j, sizes, space), scale);
        visit(writers.firstLayer + w, place, readers.firstLayer + r, p, lengthOf(settled));
      }
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
  weightKernels().blockSquares({ rows: k, cols: k, blockRows: k, blockCols: k, data: space, out: square });
  return square[0] as number;
}
