/**
 * Grouped-query attention: several heads in a row share the keys and values of one. What they share is stored, and
 * passes its hooks, once; a head's circuits and scores are as if it were the head's own.
 */
import { ConfigError } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { allocateData, rawData } from "../tensor/internal.ts";
import type { ModelConfig } from "./model-config.ts";

/** The same for each of `heads` heads: along the axis `head`, each element as often as heads in a row share it. */
export function ofEachHead<A extends string>(t: Tensor<A>, heads: number): Tensor<A> {
  const axis = t.names.indexOf("head");
  const groups = t.shape[axis] ?? heads;
  if (groups === heads) return t;
  const inner = t.shape.slice(axis + 1).reduce((product, n) => product * n, 1);
  const [source, repeats] = [rawData(t), heads / groups];
  const out = allocateData(t.dtype, t.size * repeats);
  for (let from = 0, to = 0; from < source.length; from += inner) {
    const one = source.subarray(from, from + inner);
    for (let r = 0; r < repeats; r++, to += inner) out.set(one, to);
  }
  return Tensor.from(
    t.axes,
    t.shape.map((n, a) => (a === axis ? heads : n)),
    out,
  );
}

/** The sum over heads that share a key or value, of numbers `[row, head, inner]`. */
export function sumOverSharing(data: Float32Array, heads: number, groups: number, inner: number): Float32Array {
  if (groups === heads) return data;
  const repeats = heads / groups;
  const out = new Float32Array(data.length / repeats);
  for (let group = 0, from = 0; group * inner < out.length; group++) {
    const sums = out.subarray(group * inner, (group + 1) * inner);
    for (let r = 0; r < repeats; r++)
      for (let i = 0; i < inner; i++) sums[i] = (sums[i] as number) + (data[from++] as number);
  }
  return out;
}

/** Refuses a model whose heads share keys and values where each needs its own. */
export function requireOwnKeys({ n_heads, n_key_value_heads }: ModelConfig, operation: string): void {
  if (n_key_value_heads === undefined) return;
  throw new ConfigError(
    `${n_heads} heads share ${n_key_value_heads} keys and values in this model, and here each head has to have its own. ungroupAttention(model) gives a model with the same function whose heads have.`,
    { operation, argument: "n_key_value_heads", expected: n_heads, actual: n_key_value_heads },
  );
}

/** Whether a query of some prompt does not see all positions before it. */
export function isWindowed({ window }: { readonly window: number | undefined }, pos: number): boolean {
  return window !== undefined && pos > window;
}

/** Refuses prompts beyond the windows that some layers see, where only whole attention is known. */
export function requireWithinWindow({ window_size, attn_types }: ModelConfig, pos: number, operation: string): void {
  if (window_size === undefined || pos <= window_size) return;
  const layer = attn_types?.indexOf("local") ?? 0;
  throw new ConfigError(
    `the prompt has ${pos} positions, of which layer ${layer} sees ${window_size} at a time; such windows are known to runs and gradients, not here. Take at most ${window_size} tokens.`,
    { operation, argument: "window_size", expected: `at most ${window_size} positions`, actual: pos },
  );
}
