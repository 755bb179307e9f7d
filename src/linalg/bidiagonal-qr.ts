/**
 * Singular values of an upper bidiagonal matrix by implicit QR (Golub and Kahan), with the zero-shift sweep and the
 * stopping rules of Demmel and Kahan ("Accurate singular values of bidiagonal matrices", 1990), which find small
 * singular values to high relative accuracy.
 *
 * A sweep chases a bulge along a block, from its larger end to its smaller one. Running upwards is running downwards
 * on the matrix reflected about its anti-diagonal, with the two sides exchanged, so one loop with a direction serves
 * both.
 */
import { invariant } from "../errors.ts";
import type { RotationQueue } from "./rotation-queue.ts";
import { hypotenuse } from "./vector.ts";

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
}

/** A block `first..last` of the matrix in which no off-diagonal entry is 0, and the direction to chase in. */
interface Block {
  first: number;
  last: number;
  step: 1 | -1;
}

/**
 * Overwrites `d` with the singular values, of either sign and in no order, and `e` with zeros; the rotations of the
 * columns of `U` and `V` go into the queues, which lie in `numbers`.
 */
export function diagonalize(
  d: Float64Array,
  e: Float64Array,
  queues?: { readonly U: RotationQueue; readonly V: RotationQueue; readonly numbers: Float64Array },
): void {
  const n = d.length;
  const { U, V, numbers = d } = queues ?? {};
  const problem: Problem = { d, e, U, V, threshold: negligible(d, e) };
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
    sweep(problem, block, chooseShift(problem, block, smallest), numbers);
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

function sweep(problem: Problem, block: Block, shift: number, numbers: Float64Array): void {
  const { first, last, step } = block;
  const head = step === 1 ? first : last;
  const count = last - first;
  const toRight = (step === 1 ? problem.V : problem.U)?.begin(head, step, count) ?? -1;
  const toLeft = (step === 1 ? problem.U : problem.V)?.begin(head, step, count) ?? -1;
  if (shift === 0) sweepUnshifted(problem, head, step, count, numbers, toRight, toLeft);
  else sweepShifted(problem, head, step, count, shift, numbers, toRight, toLeft);
  const tailEdge = step === 1 ? last - 1 : first;
  if (Math.abs(problem.e[tailEdge]!) <= problem.threshold) problem.e[tailEdge] = 0;
}

/**
 * The pairs `c, s` go to `numbers` from `toRight` and `toLeft` on, unless those are negative. The off-diagonal entry
 * between `i` and `i + step` is `e[i + before]`.
 */
function sweepUnshifted(
  { d, e }: Problem,
  head: number,
  step: 1 | -1,
  count: number,
  numbers: Float64Array,
  toRight: number,
  toLeft: number,
): void {
  const before = step === 1 ? 0 : -1;
  let rightC = 1;
  let leftC = 1;
  let leftS = 0;
  let i = head;
  for (let t = 0; t < count; t++, i += step) {
    let f = d[i]! * rightC;
    let g = e[i + before]!;
    let r = g === 0 ? f : hypotenuse(f, g);
    rightC = g === 0 ? 1 : f / r;
    const rightS = g === 0 ? 0 : g / r;
    if (t > 0) e[i - step + before] = leftS * r;
    f = leftC * r;
    g = d[i + step]! * rightS;
    r = g === 0 ? f : hypotenuse(f, g);
    leftC = g === 0 ? 1 : f / r;
    leftS = g === 0 ? 0 : g / r;
    d[i] = r;
    if (toRight >= 0) {
      numbers[toRight + 2 * t] = rightC;
      numbers[toRight + 2 * t + 1] = rightS;
      numbers[toLeft + 2 * t] = leftC;
      numbers[toLeft + 2 * t + 1] = leftS;
    }
  }
  const h = d[i]! * rightC;
  d[i] = h * leftC;
  e[i - step + before] = h * leftS;
}

function sweepShifted(
  { d, e }: Problem,
  head: number,
  step: 1 | -1,
  count: number,
  shift: number,
  numbers: Float64Array,
  toRight: number,
  toLeft: number,
): void {
  const before = step === 1 ? 0 : -1;
  let di = d[head]!;
  let f = (Math.abs(di) - shift) * (Math.sign(di) + shift / di);
  let g = e[head + before]!;
  let edge = g;
  let i = head;
  for (let t = 0; t < count; t++, i += step) {
    let r = g === 0 ? f : hypotenuse(f, g);
    const rightC = g === 0 ? 1 : f / r;
    const rightS = g === 0 ? 0 : g / r;
    if (t > 0) e[i - step + before] = r;
    const next = d[i + step]!;
    f = rightC * di + rightS * edge;
    const off = rightC * edge - rightS * di;
    g = rightS * next;
    const turned = rightC * next;
    r = g === 0 ? f : hypotenuse(f, g);
    const leftC = g === 0 ? 1 : f / r;
    const leftS = g === 0 ? 0 : g / r;
    d[i] = r;
    f = leftC * off + leftS * turned;
    di = leftC * turned - leftS * off;
    if (t < count - 1) {
      edge = e[i + step + before]!;
      g = leftS * edge;
      edge = leftC * edge;
    }
    if (toRight >= 0) {
      numbers[toRight + 2 * t] = rightC;
      numbers[toRight + 2 * t + 1] = rightS;
      numbers[toLeft + 2 * t] = leftC;
      numbers[toLeft + 2 * t + 1] = leftS;
    }
  }
  d[i] = di;
  e[i - step + before] = f;
}
