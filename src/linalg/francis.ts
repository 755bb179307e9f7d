/**
 * Eigenvalues of an upper Hessenberg matrix by Francis's implicit double-shift QR (Golub and Van Loan, 4th ed.,
 * §7.5), with the deflation rule of Ahues and Tisseur (LAPACK working note 122, 1997) and exceptional shifts against
 * cycles.
 *
 * One sweep chases a 3 x 3 bulge down the active block. Rows that the bulge has left are only ever multiplied from
 * the right from then on, so their share of the sweep waits and is done at its end, four rows at a time with the
 * sliding pair of columns in registers.
 */
import { invariant } from "../errors.ts";
import { reflectThreeColumns, reflectThreeRows, reflectTwoColumns, reflectTwoRows, slideFourRows } from "./bulge.ts";
import { hypotenuse } from "./vector.ts";

const ULP = 2 ** -52;
const SMALLEST_NORMAL = 2 ** -1022;
const SWEEPS_PER_VALUE = 60;
const EXCEPTIONAL_EVERY = 10;

interface State {
  readonly h: Float64Array;
  readonly stride: number;
  readonly re: Float64Array;
  readonly im: Float64Array;
  /** The reflections of the present sweep, three numbers each: `tau`, `v₁`, `v₂` (with `v₀ = 1`). */
  readonly reflections: Float64Array;
  /** First column of the bulge: the vector to be reflected next. */
  readonly bulge: Float64Array;
}

/**
 * Overwrites the Hessenberg matrix `h` and writes its eigenvalues to `re` and `im`; conjugates are neighbours, exact,
 * positive first.
 */
export function hessenbergEigenvalues(
  h: Float64Array,
  n: number,
  stride: number,
  re: Float64Array,
  im: Float64Array,
): void {
  const state: State = { h, stride, re, im, reflections: new Float64Array(3 * n), bulge: new Float64Array(3) };
  const tiny = SMALLEST_NORMAL * (n / ULP);
  let last = n - 1;
  let sweeps = 0;
  while (last >= 0) {
    const first = splitPoint(state, last, tiny);
    if (first === last) {
      re[last] = h[last * stride + last]!;
      im[last] = 0;
      last--;
      sweeps = 0;
    } else if (first === last - 1) {
      solvePair(state, first);
      last -= 2;
      sweeps = 0;
    } else {
      sweeps++;
      invariant(sweeps <= SWEEPS_PER_VALUE, "eigenvalues", `no convergence after ${SWEEPS_PER_VALUE} sweeps`);
      const start = beginSweep(state, first, last, sweeps);
      chase(state, first, start, last);
    }
  }
}

/** First row of the block that ends at `last`: the lowest subdiagonal entry that is negligible becomes 0. */
function splitPoint(state: State, last: number, tiny: number): number {
  const { h, stride } = state;
  for (let k = last; k > 0; k--) {
    const at = k * stride + k;
    const below = Math.abs(h[at - 1]!);
    if (below <= tiny) {
      h[at - 1] = 0;
      return k;
    }
    const upper = h[at - stride - 1]!;
    const lower = h[at]!;
    let size = Math.abs(upper) + Math.abs(lower);
    if (size === 0) {
      if (k >= 2) size += Math.abs(h[at - stride - 2]!);
      if (k < last) size += Math.abs(h[at + stride]!);
    }
    if (below > ULP * size) continue;
    const above = Math.abs(h[at - stride]!);
    const gap = Math.abs(upper - lower);
    const ab = Math.max(below, above);
    const ba = Math.min(below, above);
    const aa = Math.max(Math.abs(lower), gap);
    const bb = Math.min(Math.abs(lower), gap);
    const s = aa + ab;
    if (ba * (ab / s) <= Math.max(tiny, ULP * (bb * (aa / s)))) {
      h[at - 1] = 0;
      return k;
    }
  }
  return 0;
}

/**
 * Eigenvalues of the 2 x 2 block at `k`, without overflow, from `p ± √(p² + bc)` with `p` half the difference of the
 * diagonal.
 */
function solvePair(state: State, k: number): void {
  const { h, stride, re, im } = state;
  const a = h[k * stride + k]!;
  const b = h[k * stride + k + 1]!;
  const c = h[(k + 1) * stride + k]!;
  const d = h[(k + 1) * stride + k + 1]!;
  const p = 0.5 * a - 0.5 * d;
  const scale = Math.max(Math.abs(p), Math.abs(b), Math.abs(c)) || 1;
  const discriminant = (p / scale) ** 2 + (b / scale) * (c / scale);
  const root = scale * Math.sqrt(Math.abs(discriminant));
  if (discriminant >= 0) {
    const z = p + (p < 0 ? -root : root);
    re[k] = d + z;
    // z = 0 only when the block is d times the identity or a Jordan block.
    re[k + 1] = z === 0 ? d : d - (b / z) * c;
    im[k] = 0;
    im[k + 1] = 0;
  } else {
    re[k] = d + p;
    re[k + 1] = d + p;
    im[k] = root;
    im[k + 1] = -root;
  }
}

/**
 * Chooses the shifts and the row to start from: the lowest one where two small subdiagonal entries in a row let the
 * sweep begin. Leaves the first column of `(H - s₁)(H - s₂)` there, up to a factor, in `state.bulge`.
 */
function beginSweep(state: State, first: number, last: number, sweeps: number): number {
  const { h, stride, bulge } = state;
  const at = (i: number, j: number): number => h[i * stride + j]!;
  let h11 = at(last - 1, last - 1);
  let h12 = at(last - 1, last);
  let h21 = at(last, last - 1);
  let h22 = at(last, last);
  if (sweeps % EXCEPTIONAL_EVERY === 0) {
    const fromTop = sweeps % (2 * EXCEPTIONAL_EVERY) === 0;
    const size = fromTop
      ? Math.abs(at(first + 1, first)) + Math.abs(at(first + 2, first + 1))
      : Math.abs(h21) + Math.abs(at(last - 1, last - 2));
    h11 = 0.75 * size + (fromTop ? at(first, first) : h22);
    h22 = h11;
    h12 = -0.4375 * size;
    h21 = size;
  }
  const s = Math.abs(h11) + Math.abs(h12) + Math.abs(h21) + Math.abs(h22);
  const shifts = shiftPair(h11, h12, h21, h22, s);
  for (let m = last - 2; ; m--) {
    const diagonal = at(m, m);
    const below = at(m + 1, m);
    const size = Math.abs(diagonal - shifts.re2) + Math.abs(shifts.im2) + Math.abs(below);
    const scaledBelow = below / size;
    const v0 =
      scaledBelow * at(m, m + 1) +
      (diagonal - shifts.re1) * ((diagonal - shifts.re2) / size) -
      shifts.im1 * (shifts.im2 / size);
    const v1 = scaledBelow * (diagonal + at(m + 1, m + 1) - shifts.re1 - shifts.re2);
    const v2 = scaledBelow * at(m + 2, m + 1);
    // 0 after underflow: the sweep then does nothing, and the exceptional shift to come helps.
    const sum = Math.abs(v0) + Math.abs(v1) + Math.abs(v2) || 1;
    bulge[0] = v0 / sum;
    bulge[1] = v1 / sum;
    bulge[2] = v2 / sum;
    if (m === first) return m;
    const left = Math.abs(at(m, m - 1)) * (Math.abs(bulge[1]) + Math.abs(bulge[2]));
    const right = Math.abs(bulge[0]) * (Math.abs(at(m - 1, m - 1)) + Math.abs(diagonal) + Math.abs(at(m + 1, m + 1)));
    if (left <= ULP * right) return m;
  }
}

/** Eigenvalues of the trailing 2 x 2; two real ones are replaced by the one nearer to its last entry, twice. */
function shiftPair(
  h11: number,
  h12: number,
  h21: number,
  h22: number,
  s: number,
): { re1: number; im1: number; re2: number; im2: number } {
  if (s === 0) return { re1: 0, im1: 0, re2: 0, im2: 0 };
  const a = h11 / s;
  const d = h22 / s;
  const mean = (a + d) / 2;
  const det = (a - mean) * (d - mean) - (h12 / s) * (h21 / s);
  const root = Math.sqrt(Math.abs(det));
  if (det >= 0) return { re1: mean * s, im1: root * s, re2: mean * s, im2: -root * s };
  const up = mean + root;
  const down = mean - root;
  const nearer = (Math.abs(up - d) <= Math.abs(down - d) ? up : down) * s;
  return { re1: nearer, im1: 0, re2: nearer, im2: 0 };
}

/** One sweep over rows and columns `first..last`, the bulge starting at row `start`. */
function chase(state: State, first: number, start: number, last: number): void {
  const { h, stride, bulge, reflections } = state;
  for (let k = start; k < last; k++) {
    const three = k < last - 1;
    const edge = k * stride + k - 1;
    if (k > start) {
      bulge[0] = h[edge]!;
      bulge[1] = h[edge + stride]!;
      bulge[2] = three ? h[edge + 2 * stride]! : 0;
    }
    const x = bulge[0]!;
    const y = bulge[1]!;
    const z = three ? bulge[2]! : 0;
    const tail = hypotenuse(y, z);
    let tau = 0;
    let v1 = 0;
    let v2 = 0;
    if (tail !== 0) {
      const beta = x > 0 ? -hypotenuse(x, tail) : hypotenuse(x, tail);
      tau = (beta - x) / beta;
      v1 = y / (x - beta);
      v2 = z / (x - beta);
      if (k > start) h[edge] = beta;
      else if (start > first) h[edge] = h[edge]! * (1 - tau);
    }
    if (k > start) {
      h[edge + stride] = 0;
      if (three) h[edge + 2 * stride] = 0;
    }
    reflections[3 * k] = tau;
    reflections[3 * k + 1] = v1;
    reflections[3 * k + 2] = v2;
    const group = first + ((k - first) & ~3);
    if (three) {
      reflectThreeRows(h, k * stride + k, stride, last - k + 1, tau, v1, v2);
      const end = Math.min(k + 3, last);
      for (let i = group; i <= end; i++) reflectThreeColumns(h, i * stride + k, tau, v1, v2);
    } else {
      reflectTwoRows(h, k * stride + k, stride, last - k + 1, tau, v1);
      for (let i = group; i <= last; i++) reflectTwoColumns(h, i * stride + k, tau, v1);
    }
  }
  finishRows(state, first, start, last);
}

/** The waiting reflections from the right, for each group of four rows those that came after the bulge left it. */
function finishRows(state: State, first: number, start: number, last: number): void {
  const { h, stride, reflections } = state;
  for (let group = first; group + 4 < last; group += 4) {
    const k = Math.max(start, group + 4);
    slideFourRows(h, group * stride + k, stride, reflections, k, last);
  }
}
