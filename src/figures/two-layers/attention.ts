/** Figures: attention one can explore, on a text and on random tokens that repeat. */
import { prefixMatchingScores, valueWeightedPattern } from "../../heads/index.ts";
import type { Pattern } from "../../heads/index.ts";
import { lossPerToken } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { attentionExplorer } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";
import { contextOf, sourcePool } from "../one-layer/sources.ts";
import type { FigureToken } from "../labels.ts";
import { largestHead, repeatsOf, tokensOf } from "../prompts.ts";

/**
 * The attention of all heads on one prompt.
 * @category Figures
 */
export interface AttentionFigure {
  /** What the prompt is, in words. */
  readonly kind: "text" | "repeats";
  readonly tokens: readonly FigureToken[];
  /** Of each layer, `[batch, head, query_pos, key_pos]` with a batch of 1. */
  readonly pattern: readonly Pattern[];
  /** Attention times $\|v_j\|$. */
  readonly valueWeighted: readonly Pattern[];
  /** Attention times $\|v_j W_O\|$. */
  readonly resultWeighted: readonly Pattern[];
  /**
   * Log-probability of each token given those before it, in nats; NaN for the first, and for models whose output tokens
   * are others.
   */
  readonly logProbs: Float64Array;
  /** The heads shown at first: those asked for, or the one that matches prefixes most. */
  readonly selected: readonly HeadId[];
  /**
   * The position looked at first: the one from which the first of those heads attends most to the token after an
   * earlier copy of the present one; absent where no token comes again.
   */
  readonly focus?: number;
  /** What is shown first; unless given, on a text value-weighted attention, otherwise attention. */
  readonly measure?: "attention" | "value-weighted" | "result-weighted";
}

const NEEDS_TEXT: readonly FigureNeed[] = ["layer", "text", "causal"];
const NEEDS: readonly FigureNeed[] = ["layer", "causal"];

/** Patterns are kept as numbers: this many at most, for all heads together. */
const MOST_ENTRIES = 500_000;

/** The longest prompt whose patterns of all heads are few enough, from 16 tokens on. */
function longest(input: FigureInput, most: number): number {
  const { n_layers, n_heads } = input.model.config;
  return Math.min(most, Math.max(16, Math.floor(Math.sqrt((2 * MOST_ENTRIES) / (n_layers * n_heads)))));
}

/**
 * The attention of every head on the beginning of a text: the pattern, and weighted with the size of the values, as
 * heads may rest where there is nothing to read (*A Mathematical Framework for Transformer Circuits*, "Analyzing a
 * two-layer model").
 *
 * @param options - `heads`: those shown at first; `signal`.
 * @throws {@link ConfigError} when the model has no heads or sees later tokens; {@link InputError} when there is no
 * text, or no such head.
 * @category Figures
 * @example
 * ```ts
 * import { storyAttention } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * const { tokens, pattern } = storyAttention({ ...(await openBundledModel()), text });
 * console.log(tokens.length, pattern.length, String(pattern[0]?.shape));
 * // 33 2 1,8,33,33
 * ```
 */
export function storyAttention(input: FigureInput, options: FigureOptions = {}): AttentionFigure {
  requireNeeds(NEEDS_TEXT, input, "storyAttention", options);
  const [ids = []] = windowsOf(input, { length: longest(input, 120) }, "storyAttention");
  return attentionOn(input, ids, "text", options);
}

/**
 * The attention of every head on random tokens that are repeated, where what came before is all that helps: three
 * copies of 20 tokens in the paper (*A Mathematical Framework for Transformer Circuits*, "Function of induction
 * heads"). With a tokenizer they are drawn from tokens that can be read.
 *
 * @param options - `repeats` and `period` of the tokens; `heads`: those shown at first; `seed`, `signal`.
 * @throws {@link ConfigError} when the model has no heads or sees later tokens; {@link InputError} when there is no
 * such head.
 * @category Figures
 * @example
 * ```ts
 * import { repeatedAttention } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { tokens, selected } = repeatedAttention(await openBundledModel());
 * console.log(tokens.length, tokens[1]?.id === tokens[21]?.id, JSON.stringify(selected));
 * // 61 true [{"layer":1,"head":2}]
 * ```
 */
export function repeatedAttention(
  input: FigureInput,
  options: FigureOptions & { readonly repeats?: number; readonly period?: number } = {},
): AttentionFigure {
  requireNeeds(NEEDS, input, "repeatedAttention", options, "repeats period");
  const { repeats = 3, period = 20, seed } = options;
  const room = Math.max(1, Math.floor((longest(input, 200) - 1) / repeats));
  const made = repeatsOf(input, { period: Math.min(period, room), repeats, seed }, "repeatedAttention");
  const [prompt = []] = made.prompts;
  return attentionOn(input, inReadableTokens(input, prompt, made.first), "repeats", options);
}

/** The prompt with each token replaced by a readable one, the same by the same; as it is without a tokenizer. */
function inReadableTokens(input: FigureInput, prompt: readonly number[], first: number): readonly number[] {
  if (input.tokenizer === undefined) return prompt;
  const pool = sourcePool(input.model, contextOf(input, "repeatedAttention"));
  return pool.length < 2 ? prompt : prompt.map((id, i) => (i < first ? id : (pool[id % pool.length] as number)));
}

function attentionOn(
  input: FigureInput,
  ids: readonly number[],
  kind: AttentionFigure["kind"],
  options: FigureOptions,
): AttentionFigure {
  const { model } = input;
  const { n_layers, n_heads, d_vocab, d_vocab_out } = model.config;
  const run = model.run(ids, {
    cache: (name) => /attn\.hook_(pattern|v)$/.test(name),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const layers = model.layers.map(({ layer }) => layer);
  const pattern = layers.map((layer) => run.cache.get(`blocks.${layer}.attn.hook_pattern`));
  const logProbs = new Float64Array(ids.length).fill(NaN);
  if (d_vocab === d_vocab_out)
    logProbs.set(
      rawData(lossPerToken(run.logits, run.tokens)).map((x) => -x),
      1,
    );
  const matches = new Float64Array(n_layers * n_heads);
  for (const layer of layers)
    matches.set(prefixMatchingScores(pattern[layer] as Pattern, run.tokens).data, layer * n_heads);
  const best = largestHead(Tensor.from("layer head", [n_layers, n_heads], matches));
  const selected = options.heads === undefined ? [best] : chosenHeads(model, options.heads);
  const [first] = selected;
  const focus = first && focusOf(pattern[first.layer] as Pattern, first.head, ids);
  return {
    kind,
    tokens: tokensOf(input, ids),
    pattern,
    valueWeighted: layers.map((layer) => valueWeightedPattern(model, run, layer)),
    resultWeighted: layers.map((layer) => valueWeightedPattern(model, run, layer, { norm: "result" })),
    logProbs,
    selected,
    ...(focus !== undefined && { focus }),
  };
}

/** The query that attends most to the token after an earlier copy of its own. */
function focusOf(pattern: Pattern, head: number, ids: readonly number[]): number | undefined {
  let best: { readonly query: number; readonly attention: number } | undefined;
  for (const [query, id] of ids.entries()) {
    const before = query === 0 ? -1 : ids.lastIndexOf(id, query - 1);
    if (before < 0 || before + 1 >= query) continue;
    const attention = pattern.at(0, head, query, before + 1);
    if (best === undefined || attention > best.attention) best = { query, attention };
  }
  return best?.query;
}

/**
 * Draws attention to explore: heads picked from thumbnails, tokens shaded by what a token attends to; attention,
 * attention times the size of the values, and times the size of what they are written as.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawAttention, repeatedAttention } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawAttention(repeatedAttention(await openBundledModel()));
 * console.log(figure.kind, figure.html.match(/data-head="\d+"/g)?.length);
 * // attentionExplorer 16
 * ```
 */
export function drawAttention(data: AttentionFigure, captions: Captions = {}): Figure {
  requireData(
    data,
    "kind tokens pattern valueWeighted resultWeighted logProbs selected",
    "storyAttention",
    "drawAttention",
    captions,
  );
  return attentionExplorer({
    title: data.kind === "text" ? STORY_TITLE : REPEATS_TITLE,
    tokens: data.tokens.map(({ text }) => text),
    pattern: data.pattern,
    valueWeighted: data.valueWeighted,
    resultWeighted: data.resultWeighted,
    logProbs: data.logProbs,
    selected: data.selected,
    ...(data.focus !== undefined && { focus: data.focus }),
    measure: data.measure ?? (data.kind === "text" ? "value-weighted" : "attention"),
    ...captions,
  });
}

const STORY_TITLE = "Attention of every head on a text, also weighted with the size of the values";
const REPEATS_TITLE = "Attention of every head on random tokens, repeated";

/** The list's entry. */
export const storyAttentionEntry: FigureEntry<AttentionFigure> = {
  name: "value-weighted-attention",
  number: 12,
  title: STORY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Analyzing a two-layer model"',
  needs: NEEDS_TEXT,
  output: "html",
  make: storyAttention,
  draw: drawAttention,
};

/** The list's entry. */
export const repeatedAttentionEntry: FigureEntry<AttentionFigure> = {
  name: "repeated-tokens",
  number: 15,
  title: "Attention of every head on 20 random tokens, repeated three times",
  source: 'A Mathematical Framework for Transformer Circuits, "Function of induction heads"',
  needs: NEEDS,
  output: "html",
  make: repeatedAttention,
  draw: drawAttention,
};

/** The list's entry. */
export const arenaAttentionEntry: FigureEntry<AttentionFigure> = {
  name: "attention-on-repeats",
  number: 23,
  title: "Attention of every head on 50 random tokens and the same again",
  source: 'ARENA 1.2, "Finding induction heads"',
  needs: NEEDS,
  output: "html",
  make: (input, options) => repeatedAttention(input, { ...options, repeats: 2, period: 50 }),
  draw: drawAttention,
};
