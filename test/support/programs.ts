/**
 * Programs written as weights: a small compiler from heads that say what they look for and what they move to the
 * weights of an
 * attention-only model, so that the edges that do the work are known. Heads of noise stand beside them.
 *
 * The stream has a block of d_vocab coordinates for each name of `blocks`; the embedding writes `token`, the
 * unembedding reads
 * `out`. Positions are shortformer ones in a block of their own, so that no edge carries them.
 */
import { parseConfig, Transformer, expectedWeights } from "../../src/model/index.ts";
import { Random, Tensor } from "../../src/tensor/index.ts";

/** The token that begins every prompt. */
export const START = 0;

/** Where a head looks: by position, by what blocks hold, or both; scores add up. */
export interface Look {
  /** Scores of a query at position i on a key at position j. */
  readonly byPosition?: (i: number, j: number) => number;
  /** Scores of a query that holds token a in one block on a key that holds token b in another. */
  readonly byToken?: { readonly query: string; readonly key: string; readonly score: (a: number, b: number) => number };
  /** Scores of a key that holds token b in a block, whatever the query. */
  readonly byKey?: { readonly key: string; readonly score: (b: number) => number };
}

/** What a head moves: the token of one block, as a token of another. */
export interface Move {
  readonly from: string;
  readonly to: string;
  readonly gain: number;
  /** Which token is written for one that is read, or none; the same token unless given. */
  readonly as?: (token: number) => number | undefined;
}

/** A prompt after the start token, and the answer to it. */
export interface Prompt {
  readonly tokens: readonly number[];
  readonly answer: number;
}

export interface Program {
  readonly name: string;
  readonly blocks: readonly string[];
  /** The heads that work, layer by layer. */
  readonly layers: readonly (readonly { readonly look: Look; readonly move: Move }[])[];
  /** The edges that do the work, heads by their places in `layers`. */
  readonly edges: readonly string[];
  /** A prompt after the start token, and the answer to it. */
  prompt(random: Random): Prompt;
  /** Another answer that the program might give, so that not just any token is compared with it. */
  wrong(random: Random, answer: number, tokens: readonly number[]): number;
}

export const V = 12;
export const N = 14;

/** The model of a program, with `noise` heads more in each layer. */
export function compiledModel(
  program: Program,
  noise: { readonly heads: number; readonly std: number; readonly seed: number },
): Transformer {
  const { blocks, layers } = program;
  const n_heads = Math.max(...layers.map((heads) => heads.length)) + noise.heads;
  const position = blocks.length * V;
  const d_model = position + N + 1;
  // Queries and keys: positions against positions, tokens against tokens, and one number against one.
  const d_head = N + V + 1;
  const config = parseConfig({
    ...{ n_layers: layers.length, n_heads, d_model, d_head, n_ctx: N, d_vocab: V, attn_only: true },
    ...{ positional_embedding_type: "shortformer", normalization_type: null, use_attn_scale: false },
  });
  const weights = new Map<string, Tensor>();
  for (const [name, { axes, shape }] of expectedWeights(config)) weights.set(name, Tensor.zeros(axes, shape));
  const random = new Random(noise.seed);
  const at = (block: string): number => blocks.indexOf(block) * V;
  const put = (name: string, entries: (set: (index: readonly number[], value: number) => void) => void): void => {
    const before = weights.get(name) as Tensor;
    const data = Float32Array.from(before.data);
    entries((index, value) => {
      data[index.reduce((place, i, a) => place * (before.shape[a] ?? 1) + i, 0)] = value;
    });
    weights.set(name, Tensor.from(before.axes, before.shape, data));
  };
  put("embed.W_E", (set) => {
    for (let t = 0; t < V; t++) set([t, at("token") + t], 1);
  });
  put("pos_embed.W_pos", (set) => {
    for (let p = 0; p < N; p++) {
      set([p, position + p], 1);
      set([p, position + N], 1);
    }
  });
  put("unembed.W_U", (set) => {
    for (let t = 0; t < V; t++) set([at("out") + t, t], 1);
  });
  for (const [layer, heads] of layers.entries()) {
    const attn = `blocks.${layer}.attn`;
    for (const [h, { look, move }] of heads.entries()) {
      put(`${attn}.W_Q`, (set) => {
        for (let i = 0; i < N; i++) set([h, position + i, i], 1);
        if (look.byToken) for (let a = 0; a < V; a++) set([h, at(look.byToken.query) + a, N + a], 1);
        set([h, position + N, N + V], 1);
      });
      put(`${attn}.W_K`, (set) => {
        for (let j = 0; j < N; j++)
          for (let i = 0; i < N; i++) if (look.byPosition) set([h, position + j, i], look.byPosition(i, j));
        if (look.byToken)
          for (let b = 0; b < V; b++)
            for (let a = 0; a < V; a++) set([h, at(look.byToken.key) + b, N + a], look.byToken.score(a, b));
        if (look.byKey) for (let b = 0; b < V; b++) set([h, at(look.byKey.key) + b, N + V], look.byKey.score(b));
      });
      put(`${attn}.W_V`, (set) => {
        for (let t = 0; t < V; t++) set([h, at(move.from) + t, t], 1);
      });
      put(`${attn}.W_O`, (set) => {
        for (let t = 0; t < V; t++) {
          const written = move.as === undefined ? t : move.as(t);
          if (written !== undefined) set([h, t, at(move.to) + written], move.gain);
        }
      });
    }
    for (let h = heads.length; h < n_heads; h++) {
      for (const name of ["W_Q", "W_K", "W_V", "W_O"]) {
        put(`${attn}.${name}`, (set) => {
          const [rows = 0, cols = 0] = (weights.get(`${attn}.${name}`) as Tensor).shape.slice(1);
          for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) set([h, i, j], noise.std * random.normal());
        });
      }
    }
  }
  return Transformer.fromWeights(config, weights);
}

const SHARP = 14;
const back = (n: number): Look => ({ byPosition: (i, j) => (i - j === n ? SHARP : 0) });
const same = (query: string, key: string, score = SHARP): Look => ({
  byToken: { query, key, score: (a, b) => (a === b && a !== START ? score : 0) },
});
/** Tokens but the start, each once, in random order. */
function shuffled(random: Random): number[] {
  const all = Array.from({ length: V - 1 }, (_, t) => t + 1);
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [all[i], all[j]] = [all[j] ?? 0, all[i] ?? 0];
  }
  return all;
}
const other = (random: Random, answer: number): number => 1 + ((answer - 1 + 1 + random.int(V - 2)) % (V - 1));
const lastBut =
  (n: number) =>
  (random: Random): { tokens: number[]; answer: number } => {
    const tokens = shuffled(random).slice(0, 8);
    return { tokens, answer: tokens.at(-1 - n) ?? 0 };
  };
const copy = (from: string, to: string, gain = 1): Move => ({ from, to, gain });

export const programs: readonly Program[] = [
  {
    name: "previous token: copies the token before",
    blocks: ["token", "out"],
    layers: [[{ look: back(1), move: copy("token", "out", 8) }]],
    edges: ["input->a0.h0<v>", "a0.h0->logits"],
    prompt: lastBut(1),
    wrong: other,
  },
  {
    name: "n-back: copies the token five places before",
    blocks: ["token", "out"],
    layers: [[{ look: back(5), move: copy("token", "out", 8) }]],
    edges: ["input->a0.h0<v>", "a0.h0->logits"],
    prompt: lastBut(5),
    wrong: other,
  },
  {
    name: "first token: copies the first token after the start",
    blocks: ["token", "out"],
    layers: [[{ look: { byPosition: (_, j) => (j === 1 ? SHARP : 0) }, move: copy("token", "out", 8) }]],
    edges: ["input->a0.h0<v>", "a0.h0->logits"],
    prompt: lastBut(7),
    wrong: other,
  },
  {
    name: "induction: K-composition with a previous-token head",
    blocks: ["token", "before", "out"],
    layers: [
      [{ look: back(1), move: copy("token", "before") }],
      [{ look: same("token", "before"), move: copy("token", "out", 8) }],
    ],
    edges: ["input->a0.h0<v>", "a0.h0->a1.h0<k>", "input->a1.h0<q>", "input->a1.h0<v>", "a1.h0->logits"],
    prompt: (random: Random): Prompt => {
      const all = shuffled(random).slice(0, 8);
      const place = random.int(7);
      return { tokens: [...all, all[place] ?? 0], answer: all[place + 1] ?? 0 };
    },
    wrong: other,
  },
  {
    name: "Q-composition: looks for where the token before the last stood first",
    blocks: ["token", "before", "out"],
    layers: [
      [{ look: back(1), move: copy("token", "before") }],
      [{ look: same("before", "token"), move: { from: "token", to: "out", gain: 8, as: (t) => 1 + (t % (V - 1)) } }],
    ],
    edges: ["input->a0.h0<v>", "a0.h0->a1.h0<q>", "input->a1.h0<k>", "input->a1.h0<v>", "a1.h0->logits"],
    prompt: (random: Random): Prompt => {
      const tokens = shuffled(random).slice(0, 8);
      return { tokens, answer: 1 + ((tokens.at(-2) ?? 0) % (V - 1)) };
    },
    wrong: other,
  },
  {
    name: "V-composition: two places back in two hops",
    blocks: ["token", "before", "out"],
    layers: [[{ look: back(1), move: copy("token", "before") }], [{ look: back(1), move: copy("before", "out", 8) }]],
    edges: ["input->a0.h0<v>", "a0.h0->a1.h0<v>", "a1.h0->logits"],
    prompt: lastBut(2),
    wrong: other,
  },
  {
    name: "three hops: V-composition through three layers",
    blocks: ["token", "before", "twice", "out"],
    layers: [
      [{ look: back(1), move: copy("token", "before") }],
      [{ look: back(2), move: copy("before", "twice") }],
      [{ look: back(1), move: copy("twice", "out", 8) }],
    ],
    edges: ["input->a0.h0<v>", "a0.h0->a1.h0<v>", "a1.h0->a2.h0<v>", "a2.h0->logits"],
    prompt: lastBut(4),
    wrong: other,
  },
  {
    name: "skip-trigram: what follows the last token is what an earlier one asks for",
    blocks: ["token", "out"],
    layers: [
      [
        {
          // The last token is even or odd; it looks for the earlier tokens of a third of the vocabulary.
          look: { byToken: { query: "token", key: "token", score: (a, b) => (b > 0 && b <= 5 && a > 8 ? SHARP : 0) } },
          move: { from: "token", to: "out", gain: 8, as: (t) => (t > 0 && t <= 5 ? t + 5 : undefined) },
        },
      ],
    ],
    edges: ["input->a0.h0<q>", "input->a0.h0<k>", "input->a0.h0<v>", "a0.h0->logits"],
    prompt: (random: Random): Prompt => {
      const key = 1 + random.int(5);
      const tokens = Array.from({ length: 7 }, () => 6 + random.int(3));
      tokens[random.int(7)] = key;
      return { tokens: [...tokens, 9 + random.int(3)], answer: key + 5 };
    },
    wrong: (random: Random, answer: number): number => 6 + ((answer - 6 + 1 + random.int(4)) % 5),
  },
  {
    name: "duplicate: says whether the last token stood before",
    blocks: ["token", "out"],
    layers: [
      [
        {
          look: {
            ...same("token", "token", 2 * SHARP),
            byPosition: (i, j) => (i === j ? -2 * SHARP : 0),
            byKey: { key: "token", score: (b) => (b === START ? SHARP : 0) },
          },
          move: { from: "token", to: "out", gain: 8, as: (t) => (t === START ? 1 : 2) },
        },
      ],
    ],
    edges: ["input->a0.h0<q>", "input->a0.h0<k>", "input->a0.h0<v>", "a0.h0->logits"],
    prompt: (random: Random): Prompt => {
      const all = shuffled(random).slice(0, 7);
      return { tokens: [...all, all[random.int(7)] ?? 0], answer: 2 };
    },
    wrong: () => 1,
  },
  {
    name: "maximum: copies the largest token",
    blocks: ["token", "out"],
    layers: [[{ look: { byKey: { key: "token", score: (b) => 4 * b } }, move: copy("token", "out", 8) }]],
    edges: ["input->a0.h0<k>", "input->a0.h0<v>", "a0.h0->logits"],
    prompt: (random: Random): Prompt => {
      const tokens = shuffled(random).slice(0, 5);
      return { tokens, answer: Math.max(...tokens) };
    },
    wrong: (random: Random, answer: number, tokens: readonly number[]): number =>
      tokens.filter((t) => t !== answer)[random.int(tokens.length - 1)] ?? 1,
  },
  {
    name: "sorting step: finds the successor of the last token",
    blocks: ["token", "out"],
    layers: [
      [
        {
          look: {
            byToken: { query: "token", key: "token", score: (a, b) => (a > 0 && b > a ? SHARP - 4 * (b - a - 1) : 0) },
          },
          move: copy("token", "out", 8),
        },
      ],
    ],
    edges: ["input->a0.h0<q>", "input->a0.h0<k>", "input->a0.h0<v>", "a0.h0->logits"],
    prompt: (random: Random): Prompt => {
      const all = shuffled(random).slice(0, 8);
      const last = 1 + random.int(V - 2);
      const tokens = [...all.filter((t) => t !== last && t !== last + 1), last + 1];
      return { tokens: [...tokens, last], answer: last + 1 };
    },
    wrong: other,
  },
  {
    name: "two heads: one votes for the token before, one for the first",
    blocks: ["token", "out"],
    layers: [
      [
        { look: back(1), move: copy("token", "out", 8) },
        { look: { byPosition: (_, j) => (j === 1 ? SHARP : 0) }, move: copy("token", "out", 8) },
      ],
    ],
    edges: ["input->a0.h0<v>", "a0.h0->logits", "input->a0.h1<v>", "a0.h1->logits"],
    prompt: (random: Random): Prompt => {
      const all = shuffled(random).slice(0, 7);
      return { tokens: [all[0] ?? 0, ...all.slice(1), all[0] ?? 0, all[6] ?? 0], answer: all[0] ?? 0 };
    },
    wrong: other,
  },
];
