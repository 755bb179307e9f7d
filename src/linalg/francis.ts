/**
 * Eigenvalues of an upper Hessenberg matrix by Francis's implicit double-shift QR (Golub and Van Loan, 4th ed.,
 * §7.5), with the deflation rule of Ahues and Tisseur (LAPACK working note 122, 1997) and exceptional shifts against
 * cycles. The sweeps themselves are the workspace's.
 */
import { invariant } from "../errors.ts";
import type { Workspace } from "./workspace.ts";

const ULP = 2 ** -52;
const SMALLEST_NORMAL = 2 ** -1022;
const SWEEPS_PER_VALUE = 60;
const EXCEPTIONAL_EVERY = 10;

/** Where the matrix lies, and room for five numbers a row. */
export interface HessenbergPlaces {
  readonly h: number;
  readonly n: number;
  readonly stride: number;
  readonly list: number;
}

interface State extends HessenbergPlaces {
  readonly workspace: Workspace;
  readonly m: Float64Array;
  /** Sum and product of the two shifts, and the shifts themselves. */
  readonly shifts: { re1: number; im1: number; re2: number; im2: number };
}

/**
 * Overwrites the Hessenberg matrix and writes its eigenvalues to `re` and `im` from `out` on; conjugates are
 * neighbours, exact, positive first.
 */
export function hessenbergEigenvalues(
  workspace: Workspace,
  places: HessenbergPlaces,
  re: Float64Array,
  im: Float64Array,
  out: number,
): void {
  const { h, n, stride } = places;
  const shifts = { re1: 0.5, im1: 0.5, re2: 0.5, im2: 0.5 };
  const state: State = { ...places, workspace, m: workspace.numbers, shifts };
  const tiny = SMALLEST_NORMAL * (n / ULP);
  let last = n - 1;
  let sweeps = 0;
  while (last >= 0) {
    const first = splitPoint(state, last, tiny);
    if (first === last) {
      re[out + last] = state.m[h + last * (stride + 1)]!;
      im[out + last] = 0;
      last--;
      sweeps = 0;
    } else if (first === last - 1) {
      solvePair(state, first, re, im, out + first);
      last -= 2;
      sweeps = 0;
    } else {
      sweeps++;
      invariant(sweeps <= SWEEPS_PER_VALUE, "eigenvalues", `no convergence after ${SWEEPS_PER_VALUE} sweeps`);
      chooseShifts(state, first, last, sweeps);
      beginSweep(state, first, last);
    }
  }
}

/** First row of the block that ends at `last`: the lowest subdiagonal entry that is negligible becomes 0. */
function splitPoint(state: State, last: number, tiny: number): number {
  const { m, h, stride } = state;
  for (let k = last; k > 0; k--) {
    const at = h + k * stride + k;
    const below = Math.abs(m[at - 1]!);
    const upper = m[at - stride - 1]!;
    const lower = m[at]!;
    let size = Math.abs(upper) + Math.abs(lower);
    if (below > ULP * size && below > tiny && size !== 0) continue;
    if (below <= tiny) {
      m[at - 1] = 0;
      return k;
    }
    if (size === 0) {
      if (k >= 2) size += Math.abs(m[at - stride - 2]!);
      if (k < last) size += Math.abs(m[at + stride]!);
    }
    if (below > ULP * size) continue;
    const above = Math.abs(m[at - stride]!);
    const gap = Math.abs(upper - lower);
    const ab = Math.max(below, above);
    const ba = Math.min(below, above);
    const aa = Math.max(Math.abs(lower), gap);
    const bb = Math.min(Math.abs(lower), gap);
    const s = aa + ab;
    if (ba * (ab / s) <= Math.max(tiny, ULP * (bb * (aa / s)))) {
      m[at - 1] = 0;
      return k;
    }
  }
  return 0;
}

/**
 * Eigenvalues of the 2 x 2 block at `k`, without overflow, from `p ± √(p² + bc)` with `p` half the difference of the
 * diagonal.
 */
function solvePair(state: State, k: number, re: Float64Array, im: Float64Array, out: number): void {
  const { m, h, stride } = state;
  const at = h + k * stride + k;
  const a = m[at]!;
  const b = m[at + 1]!;
  const c = m[at + stride]!;
  const d = m[at + stride + 1]!;
  const p = 0.5 * a - 0.5 * d;
  const scale = Math.max(Math.abs(p), Math.abs(b), Math.abs(c)) || 1;
  const discriminant = (p / scale) ** 2 + (b / scale) * (c / scale);
  const root = scale * Math.sqrt(Math.abs(discriminant));
  if (discriminant >= 0) {
    const z = p + (p < 0 ? -root : root);
    re[out] = d + z;
    // z = 0 only when the block is d times the identity or a Jordan block.
    re[out + 1] = z === 0 ? d : d - (b / z) * c;
    im[out] = 0;
    im[out + 1] = 0;
  } else {
    re[out] = d + p;
    re[out + 1] = d + p;
    im[out] = root;
    im[out + 1] = -root;
  }
}

/** The eigenvalues of the trailing 2 x 2 as shifts; now and then others, against cycles. */
function chooseShifts(state: State, first: number, last: number, sweeps: number): void {
  const { m, h, stride } = state;
  const at = h + last * stride + last;
  let h11 = m[at - stride - 1]!;
  let h12 = m[at - stride]!;
  let h21 = m[at - 1]!;
  let h22 = m[at]!;
  if (sweeps % EXCEPTIONAL_EVERY === 0) {
    const fromTop = sweeps % (2 * EXCEPTIONAL_EVERY) === 0;
    const top = h + first * stride + first;
    const size = fromTop
      ? Math.abs(m[top + stride]!) + Math.abs(m[top + 2 * stride + 1]!)
      : Math.abs(h21) + Math.abs(m[at - stride - 2]!);
    h11 = 0.75 * size + (fromTop ? m[top]! : h22);
    h22 = h11;
    h12 = -0.4375 * size;
    h21 = size;
  }
  shiftPair(state.shifts, h11, h12, h21, h22);
}

/** Eigenvalues of the 2 x 2; two real ones are replaced by the one nearer to its last entry, twice. */
function shiftPair(shifts: State["shifts"], h11: number, h12: number, h21: number, h22: number): void {
  const s = Math.abs(h11) + Math.abs(h12) + Math.abs(h21) + Math.abs(h22);
  const unit = s === 0 ? 1 : s;
  const a = h11 / unit;
  const d = h22 / unit;
  const mean = (a + d) / 2;
  const det = (a - mean) * (d - mean) - (h12 / unit) * (h21 / unit);
  const root = Math.sqrt(Math.abs(det));
  const isComplex = det >= 0;
  const up = mean + root;
  const down = mean - root;
  const nearer = Math.abs(up - d) <= Math.abs(down - d) ? up : down;
  shifts.re1 = (isComplex ? mean : nearer) * s;
  shifts.re2 = shifts.re1;
  shifts.im1 = isComplex ? root * s : 0;
  shifts.im2 = isComplex ? -root * s : 0;
}

/**
 * Starts a sweep at the lowest row where two small subdiagonal entries in a row allow it, from the first column of
 * `(H - s₁)(H - s₂)` there. The matrix is scaled so that products of three entries do not overflow; where they
 * underflow, the comparison is between zeros and fails.
 */
function beginSweep(state: State, first: number, last: number): void {
  const { workspace, m, h, stride, list } = state;
  const { re1, im1, re2, im2 } = state.shifts;
  let k = last - 2;
  let at = h + k * stride + k;
  for (; k > first; k--, at -= stride + 1) {
    const diagonal = m[at]!;
    const below = m[at + stride]!;
    const next = m[at + stride + 1]!;
    const v0 = below * m[at + 1]! + (diagonal - re1) * (diagonal - re2) - im1 * im2;
    const rest = Math.abs(below) * (Math.abs(diagonal + next - re1 - re2) + Math.abs(m[at + 2 * stride + 1]!));
    const around = Math.abs(m[at - stride - 1]!) + Math.abs(diagonal) + Math.abs(next);
    if (Math.abs(m[at - 1]!) * rest < ULP * (Math.abs(v0) * around)) break;
  }
  const diagonal = m[at]!;
  const below = m[at + stride]!;
  const size = Math.abs(diagonal - re2) + Math.abs(im2) + Math.abs(below);
  const part = below / size;
  const v0 = part * m[at + 1]! + (diagonal - re1) * ((diagonal - re2) / size) - im1 * (im2 / size);
  const v1 = part * (diagonal + m[at + stride + 1]! - re1 - re2);
  const v2 = part * m[at + 2 * stride + 1]!;
  // 0 after underflow: the sweep then does nothing, and the exceptional shift to come helps.
  const sum = Math.abs(v0) + Math.abs(v1) + Math.abs(v2) || 1;
  workspace.chase(h, stride, first, k, last, v0 / sum, v1 / sum, v2 / sum, list);
}
