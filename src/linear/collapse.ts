/**
 * From products with sums inside to plain lists of matrices, and from those to a left and a right factor.
 *
 * Every question about a map `M` of rank at most `r` is answered from `M = L R`, with `L` `[rows, r]` and `R` `[r,
 * cols]` in float64. The product is cut at its smallest inner dimension, and each side is multiplied in the cheapest
 * order. The two factors of a map are kept as long as the map is.
 */
import { multiplyChain, multiplyInto } from "./chain.ts";
import { identityRows, matrixFactor, sumWidth, toFloat64, widthOf } from "./factor.ts";
import type { MatrixFactor, Product, SumFactor } from "./factor.ts";
import { Linear } from "./linear.ts";

/** `left right`, with `rank` between them. */
export interface Halves {
  readonly left: MatrixFactor;
  readonly right: MatrixFactor;
  readonly rank: number;
}

const keptHalves = new WeakMap<Product, Halves>();
const keptSums = new WeakMap<SumFactor, readonly MatrixFactor[]>();

/** The left and right factor of a product, its coefficient multiplied in; kept for the next question. */
export function halvesOf(product: Product): Halves {
  const kept = keptHalves.get(product);
  if (kept !== undefined) return kept;
  const halves = computeHalves(product);
  keptHalves.set(product, halves);
  return halves;
}

/**
 * The product as its left and right factor where they are known, as it is where not. A single matrix stays one: one of
 * its factors would be an identity, which makes NaN of infinities.
 */
export function cheapest(product: Product): Product {
  const kept = keptHalves.get(product);
  if (kept === undefined || product.factors.length === 1) return product;
  return { rows: product.rows, cols: product.cols, coefficient: 1, factors: [kept.left, kept.right] };
}

/** The matrices whose product, times the coefficient, is the product: sums become one or two matrices. Never empty. */
export function matricesOf(product: Product): readonly MatrixFactor[] {
  const matrices = product.factors.flatMap((factor) => (factor.kind === "matrix" ? [factor] : expandSum(factor)));
  return matrices.length === 0 ? [identityRows(product.rows, product.rows)] : matrices;
}

/** The whole product multiplied out, row-major, in storage of its own. */
export function multiplyOut(product: Product): Float64Array {
  const { coefficient } = product;
  const matrices = matricesOf(product);
  const result = multiplyChain(matrices);
  const numbers = toFloat64(result, coefficient);
  return matrices.includes(result) && numbers.buffer === result.data.buffer ? numbers.slice() : numbers;
}

function computeHalves(product: Product): Halves {
  const { coefficient } = product;
  const matrices = matricesOf(product);
  const cut = narrowestCut(matrices);
  const before = matrices.slice(0, cut);
  const after = matrices.slice(cut);
  const rank = cut === 0 ? product.rows : (matrices[cut - 1] as MatrixFactor).cols;
  let left = before.length === 0 ? identityRows(rank, rank) : multiplyChain(before);
  let right = after.length === 0 ? identityRows(rank, rank) : multiplyChain(after);
  if (coefficient !== 1) {
    if (left.rows <= right.cols) left = matrixFactor(left.rows, rank, toFloat64(left, coefficient));
    else right = matrixFactor(rank, right.cols, toFloat64(right, coefficient));
  }
  return { left, right, rank };
}

/** Halves of which each is a long matrix times a small one, as they are before that product is taken. */
export interface LateHalves {
  readonly left: { readonly long: MatrixFactor; readonly small: MatrixFactor };
  readonly right: { readonly small: MatrixFactor; readonly long: MatrixFactor };
  readonly rank: number;
}

/**
 * The left and right factor of a product without the last step, where that step takes the time: one long matrix on each
 * side; undefined otherwise.
 */
export function lateHalvesOf(product: Product): LateHalves | undefined {
  if (keptHalves.has(product) || product.coefficient !== 1) return undefined;
  const matrices = matricesOf(product);
  const cut = narrowestCut(matrices);
  const rank = cut === 0 ? product.rows : (matrices[cut - 1] as MatrixFactor).cols;
  const [first, ...middle] = matrices.slice(0, cut);
  const after = matrices.slice(cut);
  const last = after.at(-1);
  if (first === undefined || last === undefined || middle.length === 0 || after.length < 2) return undefined;
  // Only where the long matrix is what the chain is multiplied with last.
  const isLong = first.rows >= LONG * first.cols && last.cols >= LONG * last.rows && first.cols >= rank;
  if (!isLong || last.rows < rank) return undefined;
  const [left, right] = [multiplyChain(middle), multiplyChain(after.slice(0, -1))];
  return { left: { long: first, small: left }, right: { small: right, long: last }, rank };
}

/** A matrix is long from so many times its width on. */
const LONG = 2;

/** How many matrices come before the narrowest place of the chain; an inner place wins over an end. */
function narrowestCut(matrices: readonly MatrixFactor[]): number {
  const last = matrices.length;
  let cut = last;
  let narrowest = (matrices[last - 1] as MatrixFactor).cols;
  for (let t = last - 1; t >= 0; t--) {
    const size = (matrices[t] as MatrixFactor).rows;
    const isInner = t > 0;
    if (size < narrowest || (size === narrowest && isInner)) {
      cut = t;
      narrowest = size;
    }
  }
  return cut;
}

/**
 * A sum as `[L1 L2 …] [R1; R2; …]` when that is narrower than the sum itself, otherwise multiplied out: then the inner
 * size is at least `min(rows, cols)`, and the two long matrices would hold more numbers than their product.
 */
function expandSum(sum: SumFactor): readonly MatrixFactor[] {
  const kept = keptSums.get(sum);
  if (kept !== undefined) return kept;
  const width = sumWidth(sum.terms);
  const expanded = width < Math.min(sum.rows, sum.cols) ? sideBySide(sum, width) : [addedUp(sum)];
  keptSums.set(sum, expanded);
  return expanded;
}

function sideBySide(sum: SumFactor, width: number): readonly MatrixFactor[] {
  const { rows, cols, terms } = sum;
  const left = new Float64Array(rows * width);
  const right = new Float64Array(width * cols);
  let start = 0;
  for (const term of terms) {
    const halves = computeHalves(cheapest(term));
    const block = toFloat64(halves.left);
    for (let i = 0; i < rows; i++) {
      left.set(block.subarray(i * halves.rank, (i + 1) * halves.rank), i * width + start);
    }
    right.set(toFloat64(halves.right), start * cols);
    start += halves.rank;
  }
  return [matrixFactor(rows, width, left), matrixFactor(width, cols, right)];
}

function addedUp(sum: SumFactor): MatrixFactor {
  const { rows, cols, terms } = sum;
  const out = new Float64Array(rows * cols);
  for (const term of terms) {
    if (term.factors.length === 0) {
      for (let i = 0; i < rows; i++) out[i * (cols + 1)] = (out[i * (cols + 1)] as number) + term.coefficient;
    } else if (widthOf(term) < Math.min(rows, cols)) {
      const { left, right } = computeHalves(cheapest(term));
      multiplyInto(out, left, right, true);
    } else {
      const numbers = multiplyOut(term);
      for (let t = 0; t < out.length; t++) out[t] = (out[t] as number) + (numbers[t] as number);
    }
  }
  return matrixFactor(rows, cols, out);
}

/**
 * The same map as its left and right factor in float64, for questions to many of its parts: rows and columns are then
 * picked out of those.
 */
export function collapsed<In extends string, Out extends string>(f: Linear<In, Out>): Linear<In, Out> {
  const { left, right } = halvesOf(f);
  return new Linear(f.in, f.out, { rows: f.rows, cols: f.cols, coefficient: 1, factors: [left, right] });
}
