/** A run on the reader's text: loss, next tokens, attention. */
import { meanLoss, softmax } from "transformer-circuits";
import type { Run } from "transformer-circuits";
import { lossPerToken } from "transformer-circuits/model";
import { valueWeightedPattern } from "transformer-circuits/heads";
import { attentionExplorer, heatmap } from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import type { Ablation, FiguresReply, NextToken, PatternsAsk, TextAsk, TextReply } from "../protocol.ts";
import { InputError } from "./errors.ts";
import type { HeadLabel, Session } from "./session.ts";
import { shown } from "./work.ts";

/** How many next tokens are listed. */
const LISTED = 8;
const NONE: Ablation = { off: [], put: "zero" };

/** The ids of a text; refuses one without tokens. */
export function idsOf(session: Session, text: string): readonly number[] {
  const { ids } = session.encode(text);
  if (ids.length > 0) return ids;
  throw new InputError("The text has no tokens. Write some.");
}

/** The position asked for, or the last. */
export function positionOf(ids: readonly number[], at: number | undefined): number {
  return at === undefined || at >= ids.length ? ids.length - 1 : at;
}

export function readText(session: Session, ask: TextAsk): TextReply {
  const ids = idsOf(session, ask.text);
  const at = positionOf(ids, ask.at);
  const before = session.run(ids, NONE);
  const after = ask.off.length === 0 ? undefined : session.run(ids, ask);
  return {
    tokens: ids.map((id) => session.label(id)),
    cut: session.encode(ask.text).cut,
    at,
    loss: isPredicting(session, ids)
      ? { before: meanLoss(before.logits, before.tokens), after: after ? meanLoss(after.logits, after.tokens) : null }
      : null,
    next: nextTokens(session, at, before, after),
  };
}

/** Whether tokens predict tokens, and there is one to predict. */
function isPredicting({ model: { config } }: Session, ids: readonly number[]): boolean {
  return config.d_vocab === config.d_vocab_out && ids.length > 1;
}

/** Probabilities of the next token at one position. */
export function probabilitiesAt(run: Run, at: number): Float32Array | Float64Array {
  return softmax(run.logits.slice("pos", at, at + 1), "d_vocab").data as Float32Array;
}

/** The likeliest tokens of a run, and with heads switched off. */
function nextTokens(session: Session, at: number, before: Run, after: Run | undefined): NextToken[] {
  const [p, q] = [probabilitiesAt(before, at), after && probabilitiesAt(after, at)];
  const ids = [...new Set([...largest(p, LISTED), ...(q ? largest(q, LISTED / 2) : [])])];
  return ids.map((id) => ({
    id,
    text: labelOut(session, id),
    before: p[id] ?? 0,
    after: q === undefined ? null : (q[id] ?? 0),
  }));
}

/** Output tokens are input tokens, or have no texts. */
export function labelOut(session: Session, id: number): string {
  const { d_vocab, d_vocab_out } = session.model.config;
  return d_vocab === d_vocab_out ? session.label(id) : `#${id}`;
}

/** The places of the largest numbers, largest first. */
export function largest(p: ArrayLike<number>, count: number): number[] {
  return Array.from(p, (_, id) => id)
    .sort((a, b) => (p[b] ?? 0) - (p[a] ?? 0) || a - b)
    .slice(0, count);
}

/** Entries of patterns that are sent at most. */
const MOST_ENTRIES = 1_500_000;

export function patterns(session: Session, ask: PatternsAsk): FiguresReply {
  const { model } = session;
  const { n_layers, n_heads, attention_dir } = model.config;
  const all = idsOf(session, ask.text);
  const most = Math.max(16, Math.floor(Math.sqrt((2 * MOST_ENTRIES) / Math.max(1, n_layers * n_heads))));
  const ids = all.slice(0, most);
  const notes = ids.length < all.length ? [`Shown are the first ${most} tokens: there are many heads.`] : [];
  if (ask.off.length > 0) notes.push(`Attention as it is with ${ask.off.join(", ")} switched off.`);
  const run = session.run(ids, ask);
  if (attention_dir !== "causal") return shown([patternMap(session, run, ask.head, ids)], ...notes);
  return shown([explorer(session, run, ask, ids)], ...notes);
}

function explorer(session: Session, run: Run, ask: PatternsAsk, ids: readonly number[]): Figure {
  const { model } = session;
  const layers = model.layers.map(({ layer }) => layer);
  const { layer, head } = model.head(ask.head as HeadLabel);
  const logProbs = isPredicting(session, ids)
    ? [NaN, ...Array.from(lossPerToken(run.logits, run.tokens).data, (loss) => -loss)]
    : undefined;
  return attentionExplorer({
    tokens: session.texts(ids),
    pattern: layers.map((l) => run.cache.get(`blocks.${l}.attn.hook_pattern`)),
    resultWeighted: layers.map((l) => valueWeightedPattern(model, run, l, { norm: "result" })),
    ...(logProbs && { logProbs }),
    selected: [{ layer, head }],
    focus: positionOf(ids, ask.at),
    title: "Attention of every head on the text",
  });
}

/** The pattern of one head, where heads see later tokens. */
function patternMap(session: Session, run: Run, label: string, ids: readonly number[]): Figure {
  const { layer, head } = session.model.head(label as HeadLabel);
  const tokens = ids.map((id) => session.label(id));
  return heatmap({
    values: run.cache.get(`blocks.${layer}.attn.hook_pattern`).select("head", head).select("batch", 0),
    rowLabels: tokens,
    columnLabels: tokens,
    title: `Attention of ${label}`,
    xLabel: "key",
    yLabel: "query",
    scale: "sequential",
    limit: 1,
  });
}
