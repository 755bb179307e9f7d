/**
 * One step of an optimizer, in place: torch's arithmetic, its single-tensor implementations. Factors that hold for a
 * whole array are float64.
 */
import { decaysAt } from "./parameter-kind.ts";
import type { AdamOptimizer, Optimizer, SgdOptimizer } from "./optimizers.ts";

/** The arrays of one weight, by what they hold. */
export interface WeightArrays {
  readonly weight: Float32Array;
  readonly gradient: Float32Array;
  /** As many as the optimizer keeps. */
  readonly moments: readonly Float32Array[];
}

/**
 * Updates a weight, and says whether it is still finite.
 *
 * @param step - how many updates there were before.
 * @param rate - the optimizer's, times its schedule's factor.
 */
export function updateWeight(
  name: string,
  arrays: WeightArrays,
  optimizer: Optimizer,
  step: number,
  rate: number,
): boolean {
  const decay = decaysAt(optimizer.decays, name) ? optimizer.weightDecay : 0;
  if (optimizer.kind === "sgd") return descend(arrays, optimizer, rate, decay);
  return adapt(arrays, optimizer, step, rate, decay);
}

function adapt(
  { weight, gradient, moments }: WeightArrays,
  { kind, betas, eps }: AdamOptimizer,
  step: number,
  rate: number,
  decay: number,
): boolean {
  const [mean, square] = moments as readonly [Float32Array, Float32Array];
  const [beta1, beta2] = betas;
  const stepSize = rate / (1 - beta1 ** (step + 1));
  const root = Math.sqrt(1 - beta2 ** (step + 1));
  const isApart = kind === "adamw";
  const kept = isApart ? 1 - rate * decay : 1;
  const added = isApart ? 0 : decay;
  // Nothing but finite numbers times zero adds up to zero.
  let zero = 0;
  for (let i = 0; i < weight.length; i++) {
    const w = weight[i] as number;
    const g = (gradient[i] as number) + added * w;
    const m = (mean[i] as number) + (g - (mean[i] as number)) * (1 - beta1);
    const v = (square[i] as number) * beta2 + g * g * (1 - beta2);
    mean[i] = m;
    square[i] = v;
    weight[i] = w * kept - (stepSize * m) / (Math.sqrt(v) / root + eps);
    zero += ((weight[i] as number) + (square[i] as number)) * 0;
  }
  return zero === 0;
}

function descend(
  { weight, gradient, moments }: WeightArrays,
  { momentum, nesterov }: SgdOptimizer,
  rate: number,
  decay: number,
): boolean {
  const [buffer] = moments;
  let zero = 0;
  for (let i = 0; i < weight.length; i++) {
    const w = weight[i] as number;
    const g = (gradient[i] as number) + decay * w;
    let direction = g;
    if (buffer !== undefined) {
      const b = (buffer[i] as number) * momentum + g;
      buffer[i] = b;
      direction = nesterov ? g + momentum * b : b;
    }
    weight[i] = w - rate * direction;
    zero += (weight[i] as number) * 0;
  }
  return zero === 0;
}
