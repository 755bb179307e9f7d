import { kernels } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { add } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";

/** Whether numbers are all 0, as the biases of many models are. */
export function isZero(numbers: ArrayLike<number>): boolean {
  for (let i = 0; i < numbers.length; i++) if (numbers[i] !== 0) return false;
  return true;
}

/**
 * `x` plus a bias at each of its rows, written into `x`: for a tensor just made, which nobody else has seen. Logits of
 * 2048 positions and 50,000 tokens are 400 MB, and a second array of that size takes longer to come by than the sum to
 * compute.
 */
export function withBias<A extends string>(x: Tensor<A>, bias: Tensor): Tensor<A> {
  if (x.dtype !== bias.dtype || !x.isContiguous) return add(x, bias as Tensor<A>);
  const out = rawData(x);
  const added = rawData(bias);
  const width = added.length;
  // Many models have none, and a pass over queries, keys, values and logits is a tenth of a small model's run.
  if (isZero(added)) return x;
  kernels().add({ period: width, a: out as FloatArray, b: added as FloatArray, out: out as FloatArray });
  return x;
}
