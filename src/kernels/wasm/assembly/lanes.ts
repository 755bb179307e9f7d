/** What the kernels' loops share. */

/** `x y + z` of each lane, rounded once where the engine has relaxed SIMD. */
@inline
export function multiplyAdd<T>(x: v128, y: v128, z: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_madd<T>(x, y, z);
  return v128.add<T>(v128.mul<T>(x, y), z);
}

@inline
export function min(x: usize, y: usize): usize {
  return x < y ? x : y;
}
