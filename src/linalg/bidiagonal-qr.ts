/**
 * Singular values of an upper bidiagonal matrix by implicit QR (Golub and Kahan), with the zero-shift sweep and the
 * stopping rules of Demmel and Kahan ("Accurate singular values of bidiagonal matrices", 1990), which find small
 * singular values to high relative accuracy.
 *
 * A sweep chases a bulge along a block, from its larger end to its smaller one. Running upwards is running downwards
 * on the matrix flipped about its anti-diagonal, with the two sides exchanged, so one loop with a direction serves
 * both.
 */
import { invariant } from "../errors.ts";
import { type Rotation, type RotationQueue, rotate } from "./rotations.ts";

const EPS = 2 ** -53;
/** Relative accuracy asked of each singular value. */
const TOLERANCE = 100 * EPS;
const SMALLEST_NORMAL = 2 ** -1022;
const SWEEPS_PER_VALUE = 12;

interface Problem {
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly U: RotationQueue | undefined;
  readonly V: RotationQueue | undefined;
  /** An off-diagonal entry this small is 0. */
  readonly threshold: number;
  readonly right: Rotation;
  readonly left: Rotation;
}

/** A block `first..last` of the matrix in which no off-diagonal entry is 0, and the direction to chase in. */
interface Block {
  first: number;
  last: number;
  step: 1 | -1;
}

/**
 * Overwrites `d` with the singular values, of either sign and in no order, and `e` with zeros; the rotations of the
 * columns of `U` and `V` go into the queues.
 */
export function diagonalize(
  d: Float64Array,
  e: Float64Array,
  U: RotationQueue | undefined,
  V: RotationQueue | undefined,
): void {
  const n = d.length;
  const problem: Problem = {
    d,
    e,
    U,
    V,
    threshold: negligible(d, e),
    right: { c: 1, s: 0, r: 0 },
    left: { c: 1, s: 0, r: 0 },
  };
  const block: Block = { first: -1, last: -1, step: 1 };
  let budget = SWEEPS_PER_VALUE * n * n + 100;
  let last = n - 1;
  while (last > 0) {
    const first = blockStart(problem, last);
    if (first === last) {
      last--;
      continue;
    }
    if (first > block.last || last < block.first) {
      block.step = Math.abs(d[first]!) >= Math.abs(d[last]!) ? 1 : -1;
    }
    block.first = first;
    block.last = last;
    const smallest = deflate(problem, block);
    if (smallest === undefined) continue;
    invariant(budget > 0, "svd", "the singular values did not converge");
    budget -= last - first;
    sweep(problem, block, chooseShift(problem, block, smallest));
  }
  U?.flush();
  V?.flush();
}

/** The tolerance times a lower bound of the smallest singular value, at least what underflow leaves meaningful. */
function negligible(d: Float64Array, e: Float64Array): number {
  const n = d.length;
  let mu = Math.abs(d[0] ?? 0);
  let least = mu;
  for (let i = 1; i < n && least > 0; i++) {
    mu = Math.abs(d[i]!) * (mu / (mu + Math.abs(e[i - 1]!)));
    least = Math.min(least, mu);
  }
  return Math.max((TOLERANCE * least) / Math.sqrt(n), SWEEPS_PER_VALUE * n * n * SMALLEST_NORMAL);
}

/** First index of the block that ends at `last`; negligible entries on the way become 0. */
function blockStart(problem: Problem, last: number): number {
  const { d, e, threshold } = problem;
  if (Math.abs(d[last]!) <= threshold) d[last] = 0;
  for (let i = last - 1; i >= 0; i--) {
    if (Math.abs(d[i]!) <= threshold) d[i] = 0;
    if (Math.abs(e[i]!) <= threshold) {
      e[i] = 0;
      return i + 1;
    }
  }
  return 0;
}

/**
 * Demmel and Kahan's convergence tests along the direction of the sweep. Returns a lower bound of the block's smallest
 * singular value, or `undefined` when an off-diagonal entry became 0 and the blocks must be found anew.
 */
function deflate(problem: Problem, block: Block): number | undefined {
  const { d, e } = problem;
  const { first, last, step } = block;
  const down = step === 1;
  const head = down ? first : last;
  const tailEdge = down ? last - 1 : first;
  if (Math.abs(e[tailEdge]!) <= TOLERANCE * Math.abs(d[down ? last : first]!)) {
    e[tailEdge] = 0;
    return undefined;
  }
  let mu = Math.abs(d[head]!);
  let smallest = mu;
  for (let t = 0; t < last - first; t++) {
    const edge = down ? first + t : last - 1 - t;
    const off = Math.abs(e[edge]!);
    if (off <= TOLERANCE * mu) {
      e[edge] = 0;
      return undefined;
    }
    mu = Math.abs(d[head + (t + 1) * step]!) * (mu / (mu + off));
    smallest = Math.min(smallest, mu);
  }
  return smallest;
}

/** The smaller singular value of the 2 x 2 at the sweep's end, or 0 where a shift would cost relative accuracy. */
function chooseShift(problem: Problem, block: Block, smallest: number): number {
  const { d, e } = problem;
  const { first, last, step } = block;
  let largest = Math.abs(d[last]!);
  for (let i = first; i < last; i++) largest = Math.max(largest, Math.abs(d[i]!), Math.abs(e[i]!));
  if (d.length * TOLERANCE * (smallest / largest) <= Math.max(EPS, 0.01 * TOLERANCE)) return 0;
  const shift =
    step === 1
      ? smallerSingularValue(d[last - 1]!, e[last - 1]!, d[last]!)
      : smallerSingularValue(d[first]!, e[first]!, d[first + 1]!);
  const head = Math.abs(d[step === 1 ? first : last]!);
  return head > 0 && (shift / head) ** 2 < EPS ? 0 : shift;
}

/** Smaller singular value of `[f g; 0 h]`, to a few ulp. */
function smallerSingularValue(f: number, g: number, h: number): number {
  const small = Math.min(Math.abs(f), Math.abs(h));
  const large = Math.max(Math.abs(f), Math.abs(h));
  const off = Math.abs(g);
  if (small === 0) return 0;
  const as = 1 + small / large;
  const at = (large - small) / large;
  if (off < large) {
    const au = (off / large) ** 2;
    return small * (2 / (Math.sqrt(as * as + au) + Math.sqrt(at * at + au)));
  }
  const au = large / off;
  if (au === 0) return (small * large) / off;
  const c = 1 / (Math.sqrt(1 + (as * au) ** 2) + Math.sqrt(1 + (at * au) ** 2));
  return 2 * (small * c) * au;
}

function sweep(problem: Problem, block: Block, shift: number): void {
  const { first, last, step } = block;
  const head = step === 1 ? first : last;
  const count = last - first;
  const rightSide = step === 1 ? problem.V : problem.U;
  const leftSide = step === 1 ? problem.U : problem.V;
  rightSide?.begin(head, step, count);
  leftSide?.begin(head, step, count);
  if (shift === 0) sweepUnshifted(problem, head, step, count, rightSide, leftSide);
  else sweepShifted(problem, head, step, count, shift, rightSide, leftSide);
  const tailEdge = step === 1 ? last - 1 : first;
  if (Math.abs(problem.e[tailEdge]!) <= problem.threshold) problem.e[tailEdge] = 0;
}

/** Index of the off-diagonal entry between `i` and `i + step`. */
function edgeAfter(i: number, step: number): number {
  return step === 1 ? i : i - 1;
}

function sweepUnshifted(
  problem: Problem,
  head: number,
  step: number,
  count: number,
  rightSide: RotationQueue | undefined,
  leftSide: RotationQueue | undefined,
): void {
  const { d, e, right, left } = problem;
  right.c = 1;
  left.c = 1;
  left.s = 0;
  let i = head;
  for (let t = 0; t < count; t++, i += step) {
    rotate(right, d[i]! * right.c, e[edgeAfter(i, step)]!);
    if (t > 0) e[edgeAfter(i - step, step)] = left.s * right.r;
    rotate(left, left.c * right.r, d[i + step]! * right.s);
    d[i] = left.r;
    rightSide?.push(right.c, right.s);
    leftSide?.push(left.c, left.s);
  }
  const h = d[i]! * right.c;
  d[i] = h * left.c;
  e[edgeAfter(i - step, step)] = h * left.s;
}

function sweepShifted(
  problem: Problem,
  head: number,
  step: number,
  count: number,
  shift: number,
  rightSide: RotationQueue | undefined,
  leftSide: RotationQueue | undefined,
): void {
  const { d, e, right, left } = problem;
  const d0 = d[head]!;
  let f = (Math.abs(d0) - shift) * (Math.sign(d0) + shift / d0);
  let g = e[edgeAfter(head, step)]!;
  let i = head;
  for (let t = 0; t < count; t++, i += step) {
    const edge = edgeAfter(i, step);
    rotate(right, f, g);
    if (t > 0) e[edgeAfter(i - step, step)] = right.r;
    f = right.c * d[i]! + right.s * e[edge]!;
    const off = right.c * e[edge]! - right.s * d[i]!;
    g = right.s * d[i + step]!;
    const next = right.c * d[i + step]!;
    rotate(left, f, g);
    d[i] = left.r;
    f = left.c * off + left.s * next;
    d[i + step] = left.c * next - left.s * off;
    if (t < count - 1) {
      const beyond = edgeAfter(i + step, step);
      g = left.s * e[beyond]!;
      e[beyond] = left.c * e[beyond]!;
    }
    rightSide?.push(right.c, right.s);
    leftSide?.push(left.c, left.s);
  }
  e[edgeAfter(i - step, step)] = f;
}
