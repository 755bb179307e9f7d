/** Gradients made smaller where they are large. */
import { InputError, nameOf, requireObject } from "../errors.ts";

/**
 * How gradients are clipped: `norm`, all by one factor so that their norm is at most that, as torch's
 * `clip_grad_norm_`; `value`, each number to that size, as its `clip_grad_value_`.
 * @category Training
 */
export type ClipLike = { readonly norm: number } | { readonly value: number };

/** How clipping is wanted, checked. */
export function checkClip(given: unknown, operation: string): ClipLike {
  requireObject(given, "clip", operation, "norm value");
  const { norm, value } = given as { readonly norm?: unknown; readonly value?: unknown };
  const one = norm ?? value;
  const isOne = (norm === undefined) !== (value === undefined);
  if (isOne && typeof one === "number" && one > 0 && one < Infinity) {
    return Object.freeze(norm === undefined ? { value: one } : { norm: one });
  }
  throw new InputError(
    `clip is { norm: ${nameOf(norm)}, value: ${nameOf(value)} }. Give one of them, a number above 0: { norm: 1 }.`,
    { operation, argument: "clip", expected: "{ norm } or { value }, above 0", actual: given },
  );
}

/** The norm of gradients and of each of them, in float64. */
export function gradientNorms(gradients: ReadonlyMap<string, Float32Array>): {
  readonly norm: number;
  readonly norms: ReadonlyMap<string, number>;
} {
  const norms = new Map<string, number>();
  let squares = 0;
  for (const [name, gradient] of gradients) {
    let sum = 0;
    for (let i = 0; i < gradient.length; i++) sum += (gradient[i] as number) * (gradient[i] as number);
    norms.set(name, Math.sqrt(sum));
    squares += sum;
  }
  return { norm: Math.sqrt(squares), norms };
}

/** Clips gradients in place. */
export function clipGradients(gradients: ReadonlyMap<string, Float32Array>, norm: number, clip: ClipLike): void {
  if ("value" in clip) {
    for (const gradient of gradients.values()) {
      for (let i = 0; i < gradient.length; i++) {
        gradient[i] = Math.min(clip.value, Math.max(-clip.value, gradient[i] as number));
      }
    }
    return;
  }
  // As in torch, which adds a millionth.
  const factor = clip.norm / (norm + 1e-6);
  if (!(factor < 1)) return;
  for (const gradient of gradients.values()) {
    for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] as number) * factor;
  }
}
