/** What a recipe is where it says nothing: runs that are known to form the circuits that their data ask for. */
import type { Optimizer } from "../optimizers.ts";

/**
 * The data that a recipe names.
 * @category Training
 */
export type RecipeData =
  "repeated-tokens" | "markov-chains" | "skip-trigrams" | "associative-recall" | "max-of-k" | "text";

/** Options by name. */
export type Named = Readonly<Record<string, unknown>>;

/** The usual run on data of a kind. */
export interface UsualRecipe {
  readonly model: Named;
  /** For a model of which a part is given: data fill its vocabulary and its context. */
  readonly data: (model: Named) => Named;
  readonly steps: number;
  readonly optimizer: { readonly kind: Optimizer["kind"] } & Named;
}

/** The paper's models: attention alone, positions at queries and keys alone, no norms. */
const PLAIN = { attn_only: true, positional_embedding_type: "shortformer", normalization_type: null };

const adamWOf = (lr: number): UsualRecipe["optimizer"] => ({ kind: "adamw", lr, betas: [0.9, 0.99] });

const numberOr = (given: unknown, usual: number): number => (typeof given === "number" ? given : usual);

const sizes = (given: Named, d_vocab: number, n_ctx: number): { readonly d_vocab: number; readonly n_ctx: number } => ({
  d_vocab: numberOr(given["d_vocab"], d_vocab),
  n_ctx: numberOr(given["n_ctx"], n_ctx),
});

export const USUAL: Readonly<Record<RecipeData, UsualRecipe>> = {
  "repeated-tokens": {
    model: { n_layers: 2, n_heads: 2, d_model: 32, ...PLAIN },
    data: (model) => {
      const { d_vocab, n_ctx } = sizes(model, 32, 40);
      // Of one length, a head could learn to look back so many places.
      const length = [Math.max(1, Math.floor(n_ctx / 8)), Math.max(1, Math.floor(0.45 * n_ctx))];
      return { d_vocab, n_ctx, length, batch: 32 };
    },
    steps: 500,
    optimizer: adamWOf(0.01),
  },
  "markov-chains": {
    model: { n_layers: 2, n_heads: 1, d_model: 16, ...PLAIN },
    data: (model) => ({ ...sizes(model, 3, 64), batch: 32 }),
    steps: 600,
    optimizer: adamWOf(0.02),
  },
  "skip-trigrams": {
    model: { n_layers: 1, n_heads: 2, d_model: 32, ...PLAIN },
    data: (model) => ({ ...sizes(model, 32, 24), batch: 64 }),
    steps: 800,
    optimizer: adamWOf(0.01),
  },
  "associative-recall": {
    model: { n_layers: 2, n_heads: 2, d_model: 32, ...PLAIN },
    data: () => ({ keys: 12, values: 12, pairs: 8, questions: 4, batch: 64 }),
    steps: 1500,
    optimizer: adamWOf(0.01),
  },
  "max-of-k": {
    model: { n_layers: 1, n_heads: 1, d_model: 32, ...PLAIN, positional_embedding_type: "standard" },
    data: (model) => ({ k: 4, d_vocab: numberOr(model["d_vocab"], 64), batch: 128 }),
    steps: 3000,
    optimizer: adamWOf(0.003),
  },
  text: {
    model: { n_layers: 2, n_heads: 4, d_model: 64, ...PLAIN, normalization_type: "LN" },
    data: (model) => ({
      vocabSize: numberOr(model["d_vocab"], 512),
      n_ctx: numberOr(model["n_ctx"], 64),
      batch: 16,
    }),
    steps: 2000,
    optimizer: adamWOf(0.003),
  },
};
