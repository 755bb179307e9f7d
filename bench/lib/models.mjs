/** Models of random weights, of the sizes that TransformerLens was measured on. */

const attentionOnly = { attn_only: true, positional_embedding_type: "standard", normalization_type: null };
const wide = { d_model: 768, n_heads: 12, d_head: 64 };

/** Configurations by name: of the bundled model, of ARENA's two-layer model, and of GPT-2 small without MLPs. */
export const sizes = {
  small: { ...attentionOnly, n_layers: 2, d_model: 128, n_heads: 8, d_head: 16, d_vocab: 1024, n_ctx: 128 },
  arena: {
    ...attentionOnly,
    ...wide,
    n_layers: 2,
    d_vocab: 50278,
    n_ctx: 512,
    positional_embedding_type: "shortformer",
  },
  "twelve-layer": { ...attentionOnly, ...wide, n_layers: 12, d_vocab: 50257, n_ctx: 1024, normalization_type: "LN" },
};

/** Uniform numbers of a standard deviation from a linear congruence: quick, and the same on every machine. */
function uniform(length, std, seed) {
  const data = new Float32Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = (std * Math.sqrt(3) * state) / 2 ** 31;
  }
  return data;
}

/**
 * The weights of a model by name, as the library's tensors: matrices random, biases 0, gains of norms 1.
 *
 * @param {object} library
 * @param {object} config
 */
export function randomWeights({ Tensor }, config) {
  const { n_layers, d_model, n_heads, d_head, d_vocab, n_ctx, normalization_type } = config;
  const weights = new Map();
  const count = (shape) => shape.reduce((a, b) => a * b, 1);
  const matrix = (name, axes, shape) => {
    const data = uniform(count(shape), 0.8 / Math.sqrt(d_model), weights.size + 1);
    weights.set(name, Tensor.from(axes, shape, data));
  };
  const constant = (name, axes, shape, value) =>
    weights.set(name, Tensor.from(axes, shape, new Float32Array(count(shape)).fill(value)));
  const norm = (name) => {
    if (normalization_type === null) return;
    constant(`${name}.w`, "d_model", [d_model], 1);
    constant(`${name}.b`, "d_model", [d_model], 0);
  };
  matrix("embed.W_E", "d_vocab d_model", [d_vocab, d_model]);
  matrix("pos_embed.W_pos", "pos d_model", [n_ctx, d_model]);
  for (let layer = 0; layer < n_layers; layer++) {
    const at = `blocks.${layer}.attn`;
    norm(`blocks.${layer}.ln1`);
    for (const name of ["Q", "K", "V"]) {
      matrix(`${at}.W_${name}`, "head d_model d_head", [n_heads, d_model, d_head]);
      constant(`${at}.b_${name}`, "head d_head", [n_heads, d_head], 0);
    }
    matrix(`${at}.W_O`, "head d_head d_model", [n_heads, d_head, d_model]);
    constant(`${at}.b_O`, "d_model", [d_model], 0);
  }
  norm("ln_final");
  matrix("unembed.W_U", "d_model d_vocab", [d_model, d_vocab]);
  constant("unembed.b_U", "d_vocab", [d_vocab], 0);
  return weights;
}
