/** Student's t distribution for whole degrees of freedom. */

/** P(T > t) for t ≥ 0: the finite sums of Abramowitz & Stegun 26.7.3 and 26.7.4. */
function upperTail(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sin, cosSquared] = [Math.sin(angle), Math.cos(angle) ** 2];
  const isOdd = freedom % 2 === 1;
  let [sum, term] = [0, isOdd ? Math.cos(angle) : 1];
  for (let k = isOdd ? 1 : 0; k < freedom - 1; k += 2) {
    sum += term;
    term *= (cosSquared * (k + 1)) / (k + 2);
  }
  return isOdd ? 0.5 - (angle + sin * sum) / Math.PI : 0.5 - (sin * sum) / 2;
}

/**
 * The t that a variable exceeds with probability `tail`, below one half.
 *
 * @param freedom - degrees of freedom, from 1.
 */
export function studentQuantile(tail: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (upperTail(high, freedom) > tail && high < 1e12) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (upperTail(middle, freedom) > tail) low = middle;
    else high = middle;
  }
  return high;
}
