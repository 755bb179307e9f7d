/**
 * What neurons compute of their pre-activations, one number at a time.
 *
 * The exact GELU is $x\,\Phi(x)$ with the normal distribution function $\Phi$, which JavaScript lacks. It is expanded
 * around the nearest multiple of 1/16: $\Phi^{(n+1)}(a) = (-1)^n He_n(a)\,\varphi(a)$, and seven terms at a distance of
 * 1/32 leave less than $10^{-11}$ of $\Phi$ wherever it exceeds $10^{-18}$.
 *
 * The tanh forms are $x\,(1 + \tanh u) / 2 = x / (1 + e^{-2u})$, where the left side would cancel.
 */
import type { ActivationKind } from "./interface.ts";

const STEP = 0.0625;
/** Beyond it $x\,\Phi(x)$ is $x$, or less than $10^{-17}$. */
const LIMIT = 9;
const TERMS = 8;
let table: Float64Array | undefined;

/**
 * $\Phi(-a)$ for $a \ge 0$: the power series of $\Phi$ near 0, the continued fraction of the Mills ratio further out.
 */
function lowerTail(a: number): number {
  const density = Math.exp((-a * a) / 2) / Math.sqrt(2 * Math.PI);
  if (a < 2.5) {
    let [term, sum] = [a, a];
    for (let n = 3; term > 1e-18; n += 2) {
      term *= (a * a) / n;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = a;
  for (let n = 120; n >= 1; n--) fraction = a + n / fraction;
  return density / fraction;
}

/** The Taylor coefficients of $\Phi$ at every multiple of {@link STEP}. */
function taylorTable(): Float64Array {
  const nodes = (2 * LIMIT) / STEP + 1;
  const out = new Float64Array(nodes * TERMS);
  for (let i = 0; i < nodes; i++) {
    const a = i * STEP - LIMIT;
    const at = i * TERMS;
    out[at] = a <= 0 ? lowerTail(-a) : 1 - lowerTail(a);
    // He_{n+1} = a He_n − n He_{n−1}; coefficient n + 1 is (−1)ⁿ He_n φ / (n + 1)!.
    let [before, hermite] = [0, 1];
    let scale = Math.exp((-a * a) / 2) / Math.sqrt(2 * Math.PI);
    for (let n = 0; n + 1 < TERMS; n++) {
      scale /= n + 1;
      out[at + n + 1] = (n % 2 === 0 ? 1 : -1) * hermite * scale;
      [before, hermite] = [hermite, a * hermite - n * before];
    }
  }
  return out;
}

/** The normal distribution function $\Phi$. */
export function normalCdf(x: number): number {
  if (x >= LIMIT) return 1;
  if (!(x > -LIMIT)) return x <= -LIMIT ? 0 : NaN;
  const rows = normalTable();
  const node = Math.round((x + LIMIT) / STEP);
  const h = x - (node * STEP - LIMIT);
  const at = node * TERMS;
  let sum = 0;
  for (let n = TERMS - 1; n >= 0; n--) sum = sum * h + rows[at + n]!;
  return sum;
}

/** {@link taylorTable}, made once; rows of {@link TERMS} numbers from −{@link LIMIT} on. */
export const normalTable = (): Float64Array => (table ??= taylorTable());

const tanhGelu = (x: number, slope: number): number => x / (1 + Math.exp(-2 * slope * (x + 0.044715 * x * x * x)));

/** The function of each kind. */
export const ACTIVATION: Readonly<Record<ActivationKind, (x: number) => number>> = {
  relu: (x) => Math.max(0, x),
  silu: (x) => x / (1 + Math.exp(-x)),
  tanhGelu: (x) => tanhGelu(x, Math.sqrt(2 / Math.PI)),
  roundedTanhGelu: (x) => tanhGelu(x, 0.7978845608),
  gelu: (x) => x * normalCdf(x),
};
