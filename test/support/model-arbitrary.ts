/** Random models over norm, position, bias, layers and sizes, for property tests. */
import fc from "fast-check";
import type { RandomModelOptions } from "./random-model.ts";

type Options = Required<Omit<RandomModelOptions, "config">>;

const attentionFields = {
  n_layers: fc.integer({ min: 0, max: 3 }),
  n_heads: fc.integer({ min: 1, max: 3 }),
  d_model: fc.integer({ min: 2, max: 9 }),
  // Even, so that rotary positions fit; wider than the stream at times.
  d_head: fc.constantFrom(2, 4, 6, 12),
  d_vocab: fc.integer({ min: 2, max: 19 }),
  n_ctx: fc.constant(7),
  position: fc.constantFrom("standard", "shortformer", "rotary", "none"),
  norm: fc.constantFrom(null, "LN", "LNPre", "RMS", "RMSPre"),
  bias: fc.boolean(),
  seed: fc.integer({ min: 0, max: 100_000 }),
  dtype: fc.constantFrom("float32", "float64"),
} as const;

const activations = ["gelu", "gelu_new", "relu", "silu", "solu", "solu_ln"] as const;

/** Attention-only models. */
export const modelOptions: fc.Arbitrary<Options> = fc.record({
  ...attentionFields,
  mlp: fc.constant(null),
  parallel: fc.constant(false),
});

/** Models with MLPs. */
export const mlpModelOptions: fc.Arbitrary<Options> = fc.record({
  ...attentionFields,
  mlp: fc.constantFrom(...activations),
  parallel: fc.boolean(),
});

export const runs = (seed: number, numRuns = 60): { seed: number; numRuns: number } => ({ seed, numRuns });
