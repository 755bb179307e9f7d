/** The scores of all heads, and what heads are called by them. */
import { copyingScores, findHeads, headLabel, headScores, inductionScores, Tensor } from "transformer-circuits";
import {
  currentTokenScores,
  duplicateTokenScores,
  firstTokenScores,
  previousTokenScores,
} from "transformer-circuits/heads";
import type { HeadKind } from "transformer-circuits/heads";
import type { HeadScore, HeadsReply } from "../protocol.ts";
import type { Session } from "./session.ts";
import type { Work } from "./work.ts";

const WATCHED = [
  ["previous", "previous token", "Mean attention to the token before, on random tokens that repeat."],
  ["induction", "induction", "Mean attention to the token after the earlier copy of the present one."],
  ["duplicate", "duplicate token", "Mean attention to the earlier copy of the present token."],
  ["first", "first token", "Mean attention to the first token of the sequence."],
  ["current", "current token", "Mean attention of a token to itself."],
] as const;

const ROLES: Readonly<Record<HeadKind, string>> = {
  previous: "previous-token head",
  induction: "induction head",
  duplicate: "duplicate-token head",
  first: "first-token head",
  current: "current-token head",
  prefixMatching: "prefix-matching head",
};

export function heads({ model, bos }: Session, work: Work): HeadsReply {
  const { n_layers, n_heads, n_ctx, d_vocab, d_vocab_out, attention_dir } = model.config;
  const first = bos === undefined ? 0 : 1;
  const length = Math.min(50, Math.floor((n_ctx - first) / 2), d_vocab - first);
  const scores: HeadScore[] = [];
  const roles: Record<string, string[]> = {};
  const evidence: Record<string, string[]> = {};
  if (n_layers > 0 && attention_dir === "causal" && length >= 2) {
    const found = headScores(model, { length, batch: 4, bos: bos ?? null, ...work });
    const chance = chanceScores(found.tokens.sizeOf("pos"), found.period);
    for (const [key, label, help] of WATCHED)
      scores.push({
        key,
        label,
        help: `${help} Even attention scores ${chance[key].toFixed(2)}.`,
        values: rows(found[key]),
      });
    for (const { kind, text, ...id } of findHeads(found).evidence) {
      (roles[headLabel(id)] ??= []).push(ROLES[kind]);
      (evidence[headLabel(id)] ??= []).push(text.slice(headLabel(id).length + 1));
    }
  }
  if (n_layers > 0 && d_vocab === d_vocab_out) {
    const help = "The copying score Σλ / Σ|λ| of the full OV circuit: 1 where the head raises what it reads.";
    scores.push({ key: "copying", label: "copying (OV)", help, values: rows(copyingScores(model)) });
  }
  if (scores.length === 0) {
    const none = Array.from({ length: n_layers }, () => Array.from({ length: n_heads }, () => null));
    scores.push({ key: "none", label: "no score", help: "This model has none of the scores.", values: none });
  }
  return { scores, roles, evidence };
}

type Watched = (typeof WATCHED)[number][0];

/** What a head scores that looks at all tokens before it alike. */
function chanceScores(pos: number, period: number): Readonly<Record<Watched, number>> {
  const even = Float32Array.from({ length: pos * pos }, (_, i) => {
    const [query, key] = [Math.floor(i / pos), i % pos];
    return key > query ? 0 : 1 / (query + 1);
  });
  const pattern = Tensor.from("batch head query_pos key_pos", [1, 1, pos, pos], even);
  return {
    previous: previousTokenScores(pattern).at(0),
    induction: inductionScores(pattern, { period }).at(0),
    duplicate: duplicateTokenScores(pattern, period).at(0),
    first: firstTokenScores(pattern).at(0),
    current: currentTokenScores(pattern).at(0),
  };
}

function rows(scores: Tensor<"layer head">): (number | null)[][] {
  const [n_layers = 0, n_heads = 0] = scores.shape;
  return Array.from({ length: n_layers }, (_, layer) =>
    Array.from({ length: n_heads }, (_, head) => {
      const score = scores.at(layer, head);
      return Number.isFinite(score) ? score : null;
    }),
  );
}
