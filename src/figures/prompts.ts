/** Prompts that figures run a model on, and the heads that they show where none are asked for. */
import { headScores, repeatedTokens } from "../heads/index.ts";
import type { HeadScores } from "../heads/index.ts";
import type { ProgressOptions } from "../progress.ts";
import type { HeadId, HeadRef, Transformer } from "../model/index.ts";
import { rawData } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import { visibleToken } from "../viz/index.ts";
import { bosOf } from "./input.ts";
import type { FigureInput } from "./input.ts";
import { shownTexts } from "./labels.ts";
import type { FigureToken } from "./labels.ts";

/** The numbers of a tensor, in float64. */
export function numbersOf(t: Tensor): Float64Array {
  return Float64Array.from(rawData(t));
}

/** Ids with their texts. */
export function tokensOf(input: FigureInput, ids: readonly number[]): FigureToken[] {
  const textOf = shownTexts(input.tokenizer);
  return ids.map((id) => ({ id, text: textOf(id) }));
}

/** Tokens as labels of axes: whitespace made visible. */
export function readable(tokens: readonly FigureToken[]): string[] {
  return tokens.map(({ text }) => visibleToken(text));
}

/** Prompts of random tokens that repeat. */
export interface Repeats {
  readonly prompts: number[][];
  /** The length of what repeats. */
  readonly period: number;
  /** 1 where the prompts begin with BOS, 0 where they do not. */
  readonly first: 0 | 1;
}

/** How {@link repeatsOf} makes prompts. */
export interface RepeatsOptions {
  /** At most how many tokens repeat. */
  readonly period: number;
  readonly batch?: number;
  readonly repeats?: number;
  readonly seed?: number | undefined;
}

/** Random tokens that repeat, after BOS where the model has one; the period is cut to what the context holds. */
export function repeatsOf(input: FigureInput, options: RepeatsOptions, operation: string): Repeats {
  const { config } = input.model;
  const bos = bosOf(input, operation) ?? null;
  const { batch = 1, repeats = 2, seed = 0 } = options;
  const first = bos === null ? 0 : 1;
  const period = Math.max(1, Math.min(options.period, Math.floor((config.n_ctx - first) / repeats)));
  return { prompts: repeatedTokens(config, { length: period, batch, repeats, seed, bos }), period, first };
}

/** Whether the context holds two copies of some tokens, and there are different ones to draw. */
export function canRepeat(input: FigureInput, operation: string): boolean {
  const { n_ctx, d_vocab } = input.model.config;
  const first = bosOf(input, operation) === undefined ? 0 : 1;
  return n_ctx - first >= 4 && d_vocab - first >= 2;
}

/** Prompts that heads are judged on: enough for a narrow interval, fewer where a model has many heads to run. */
const PROMPTS = { ofFew: 10, ofMany: 2, many: 64 };

/** The scores that heads are picked and named by. */
export function measuredHeads(input: FigureInput, seed: number, options: ProgressOptions): HeadScores {
  const { n_layers, n_heads } = input.model.config;
  const batch = n_layers * n_heads <= PROMPTS.many ? PROMPTS.ofFew : PROMPTS.ofMany;
  const { signal, onProgress } = options;
  return scoresOnRepeats(input.model, repeatsOf(input, { period: 50, batch, seed }, "headScores"), {
    signal,
    onProgress,
  });
}

const lastScores = new WeakMap<Transformer, { readonly prompts: string; readonly scores: HeadScores }>();

/**
 * The scores of heads on repeated tokens; those of a model's last prompts are kept, as several figures begin with them.
 */
export function scoresOnRepeats(model: Transformer, repeats: Repeats, options: ProgressOptions = {}): HeadScores {
  const { prompts, period, first } = repeats;
  const asked = JSON.stringify([prompts, period, first]);
  const known = lastScores.get(model);
  if (known?.prompts === asked) {
    options.signal?.throwIfAborted();
    options.onProgress?.(prompts.length, prompts.length);
    return known.scores;
  }
  const scores = headScores(model, { ...options, tokens: prompts, period, ...(first === 0 && { bos: null }) });
  lastScores.set(model, { prompts: asked, scores });
  return scores;
}

/** The head with the largest of some scores among layers from one on; the first of them where all are NaN. */
export function largestHead(scores: Tensor<"layer head">, fromLayer = 0, toLayer = scores.sizeOf("layer")): HeadId {
  const heads = scores.sizeOf("head");
  const values = rawData(scores);
  let best = fromLayer * heads;
  for (let at = best; at < toLayer * heads; at++)
    if ((values[at] as number) > (Number.isNaN(values[best]) ? -Infinity : (values[best] as number))) best = at;
  return { layer: Math.floor(best / heads), head: best % heads };
}

/** The first head asked for, or the one that `otherwise` picks. */
export function oneHead(model: Transformer, heads: readonly HeadRef[] | undefined, otherwise: () => HeadId): HeadId {
  const [asked] = heads ?? [];
  if (asked === undefined) return otherwise();
  const { layer, head } = model.head(asked);
  return { layer, head };
}
