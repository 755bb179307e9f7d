/**
 * The runs of docs/training.md as values: model, data, optimizer and schedule of each. `experiments.mjs`
 * runs them on the built package, test/train/experiments.slow.test.ts on the sources.
 */

const attentionOnly = { attn_only: true, normalization_type: null };

export const setups = {
  /** Edelman et al. 2024, with rotary positions for their relative ones. */
  markov: {
    config: {
      ...attentionOnly,
      n_layers: 2,
      n_heads: 1,
      d_model: 16,
      d_head: 16,
      n_ctx: 100,
      d_vocab: 3,
      positional_embedding_type: "rotary",
      rotary_dim: 16,
      rotary_base: 100,
    },
    data: ["markovChainData", { d_vocab: 3, n_ctx: 100, batch: 64 }],
    steps: 400,
    adamW: { lr: 0.01, weightDecay: 0.01 },
    cosine: { steps: 400, warmup: 50, floor: 0.02 },
    clip: { norm: 1 },
  },
  /** Random tokens that repeat with a period of 5 to 20, after a start token. */
  repeated: {
    config: {
      ...attentionOnly,
      n_layers: 2,
      n_heads: 4,
      d_model: 64,
      d_head: 16,
      n_ctx: 48,
      d_vocab: 64,
      positional_embedding_type: "shortformer",
      bos_token_id: 0,
    },
    data: ["repeatedTokenData", { d_vocab: 64, n_ctx: 48, length: [5, 20], start: 0, batch: 32 }],
    steps: 1000,
    adamW: { lr: 0.01, betas: [0.9, 0.98], weightDecay: 0.01 },
    cosine: { steps: 1000, warmup: 20, floor: 0.05 },
    clip: { norm: 1 },
  },
  /** Gross et al. 2024. */
  max: {
    config: {
      ...attentionOnly,
      n_layers: 1,
      n_heads: 1,
      d_model: 32,
      d_head: 32,
      n_ctx: 4,
      d_vocab: 64,
      positional_embedding_type: "standard",
    },
    data: ["maxOfKData", { k: 4, d_vocab: 64, batch: 128 }],
    steps: 3000,
    adamW: { lr: 0.001, weightDecay: 0.01 },
    cosine: { steps: 3000, floor: 0.01 },
  },
};

/**
 * Trains a setup.
 *
 * @param {any} library - `initialModel`, `train`, `adamW`, `cosineSchedule` and the data, of `transformer-circuits/train`.
 * @param {any} setup - one of {@link setups}.
 * @param {any} options - `seed` of model and data, and options of `train` besides.
 * @returns {Promise<import("../../src/train/index.ts").Training>}
 */
export function runSetup(library, setup, { seed, ...options }) {
  const {
    config,
    data: [name, sizes],
    steps,
    adamW,
    cosine,
    clip,
  } = setup;
  const model = library.initialModel(config, { seed });
  const data = library[name]({ ...sizes, seed: seed + 1 });
  const optimizer = library.adamW(adamW);
  return library.train(model, data, { steps, optimizer, schedule: library.cosineSchedule(cosine), clip, ...options });
}
