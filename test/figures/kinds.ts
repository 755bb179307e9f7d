/** Models of all kinds that the list of figures is tried on. */
import type { NeuronExamples } from "../../src/heads/index.ts";
import type { RandomModelOptions } from "../support/random-model.ts";

export type Kind = readonly [name: string, options: RandomModelOptions];

export const kinds: readonly Kind[] = [
  ["one layer, no positions", { n_layers: 1, position: "none" }],
  ["two layers, standard positions, norms and biases", { position: "standard", norm: "LN", bias: true }],
  ["three layers, rotary, one head", { n_layers: 3, n_heads: 1, position: "rotary", norm: "RMS" }],
  ["with MLPs beside the attention", { mlp: "gelu", parallel: true, norm: "LNPre" }],
  ["heads wider than the stream", { d_model: 4, d_head: 12, position: "shortformer" }],
  ["a context of four tokens", { n_ctx: 4, d_vocab: 11 }],
  ["two tokens", { d_vocab: 2 }],
];

/** The tokens of a text of theirs, taken modulo the vocabulary. */
export const text = Array.from({ length: 60 }, (_, i) => (i * i + 3) % 11);

/** Two neurons on three prompts of ten tokens. */
export const neurons: NeuronExamples = {
  ...{ prompts: 3, positions: 24 },
  neurons: [4, 1].map((neuron) => ({
    ...{ layer: 0, neuron, mean: 0.2, active: 0.25 },
    examples: [0, 1, 2].map((prompt) => ({
      ...{ activation: 3 - prompt, prompt, pos: 4, tokens: [1, 2, 3, 4, 5 + prompt], at: 4 },
      activations: [0.1, -0.1, 0, 0.4, 3 - prompt],
    })),
  })),
};
