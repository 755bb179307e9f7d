/** Models whose weights are a formula of their names, as the scripts beside the fixtures fill them. */
import { expectedWeights, parseConfig, Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";

/** $w_i = a \sin(0.37 i^2 + k)$, k the sum of the name's character codes modulo 97; 1 more for weights of norms. */
export function filledModel(fields: Readonly<Record<string, unknown>>, a = 0.5): Transformer {
  const config = parseConfig(fields);
  const weights = new Map<string, Tensor>();
  for (const [name, { axes, shape }] of expectedWeights(config)) {
    const k = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 97;
    const size = shape.reduce((product, n) => product * n, 1);
    const more = name.includes("ln") && name.endsWith(".w") ? 1 : 0;
    const data = Float32Array.from({ length: size }, (_, i) => a * Math.sin(0.37 * i * i + k) + more);
    weights.set(name, Tensor.from(axes, shape, data));
  }
  return Transformer.fromWeights(config, weights);
}

/** The largest distance of a tensor from the numbers of a fixture. */
export function distance(t: Tensor, expected: readonly number[]): number {
  const data = t.data;
  if (data.length !== expected.length) return Infinity;
  let largest = 0;
  for (const [i, x] of expected.entries()) largest = Math.max(largest, Math.abs((data[i] as number) - x));
  return largest;
}
