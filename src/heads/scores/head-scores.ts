/** The scores of all heads of a model at once, on tokens that repeat, and what each looks at from every query. */
import { requireKind } from "../../errors.ts";
import { allHeads, headLabel } from "../../model/index.ts";
import type { HookName, Transformer } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData } from "../../tensor/internal.ts";
import { Steps } from "../../progress.ts";
import { attentionByQuery, HEAD_KINDS } from "./by-query.ts";
import type { HeadKind } from "./by-query.ts";
import { eachKind, scoredPrompts } from "./scored-prompts.ts";
import type { HeadScoresOptions, ScoredPrompts } from "./scored-prompts.ts";

/**
 * The scores of all heads of a model, each `[layer, head]`, 0 to 1, float64; NaN where the prompts have no entry to
 * score.
 * @category Head scores
 */
export interface HeadScores {
  /** The prompts, `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /** The length of what repeats in them. */
  readonly period: number;
  /** {@link currentTokenScores}. */
  readonly current: Tensor<"layer head">;
  /** {@link previousTokenScores}. */
  readonly previous: Tensor<"layer head">;
  /** {@link firstTokenScores}. */
  readonly first: Tensor<"layer head">;
  /** {@link duplicateTokenScores}. */
  readonly duplicate: Tensor<"layer head">;
  /** {@link inductionScores}, ARENA's variant. */
  readonly induction: Tensor<"layer head">;
  /** {@link inductionScores}, the strict variant. */
  readonly inductionStrict: Tensor<"layer head">;
  /** {@link prefixMatchingScores}, the attention on all targets of a query together. */
  readonly prefixMatching: Tensor<"layer head">;
  /** Each score prompt by prompt and query by query, beside chance: what {@link findHeads} judges by. */
  readonly byQuery: Readonly<Record<HeadKind, QueryScores>>;
}

/**
 * One score of all heads, query by query.
 * @category Head scores
 */
export interface QueryScores {
  /** The attention from a query to all its targets together; NaN where it has none. */
  readonly scores: Tensor<"batch layer head query_pos">;
  /**
   * What attention that is even over all keys in sight gives them. NaN at queries that cannot tell: those without
   * targets, those that see nothing else, and, of what repeats, those before the first repeat.
   */
  readonly chance: Tensor<"batch layer query_pos">;
  /**
   * The mean attention to the same places in as many prompts where nothing repeats: what a head does there without
   * looking at tokens. Of duplicates, induction and prefix matching with periods below 16.
   */
  readonly blind?: Tensor<"layer head query_pos">;
}

const OF_REPEATS: readonly HeadKind[] = ["duplicate", "induction", "prefixMatching"];

/** Entries of the patterns of prompts that are run together, at most. */
const MOST_ATTENTION = 2 ** 23;

type ScoreName = HeadKind | "inductionStrict";

/**
 * Scores every head of a model as a current-token, previous-token, first-token, duplicate-token and induction head, on
 * random tokens that repeat (ARENA 1.2, "Finding induction heads"; prefix matching after Olsson et al. 2022).
 *
 * Ten prompts $[\text{BOS}, r, r]$ by default, $[r, r]$ where neither the options nor the configuration name a BOS
 * token; the same options give the same scores.
 *
 * @throws {@link InputError} as {@link repeatedTokens}, or when `tokens` come without their `period`.
 * @category Head scores
 * @example
 * ```ts
 * import { findHeads, headLabel, headScores } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const scores = headScores(model, { batch: 5 });
 * const { previousToken, induction } = findHeads(scores);
 * console.log(previousToken.map(headLabel).join(" "));
 * // L0H5 L0H7
 * console.log(induction.map(headLabel).sort().join(" "));
 * // L1H1 L1H2 L1H3 L1H4 L1H7
 * ```
 */
export function headScores(model: Transformer, options: HeadScoresOptions = {}): HeadScores {
  requireKind(
    "model",
    model,
    "model",
    "headScores",
    options,
    "tokens period length batch seed bos repeats distinct chunk signal onProgress",
  );
  const { tokens, period, repeat, ...known } = scoredPrompts(model.config, options);
  const { n_layers, n_heads } = model.config;
  const [prompts = 0, pos = 0] = tokens.shape;
  const steps = new Steps(options, prompts);
  const heads = n_layers * n_heads;
  const read = readByQuery(model, tokens, known.targets, () => steps.advance());
  const blind = known.blind && blindScores(model, known.blind, known.targets);
  const byQuery = eachKind((kind) => ({
    scores: Tensor.from("batch layer head query_pos", [prompts, n_layers, n_heads, pos], read[kind]),
    chance: known.chance[kind],
    ...(blind && OF_REPEATS.includes(kind) && { blind: blind(kind) }),
  }));
  const score = (kind: HeadKind, from = 0): Tensor<"layer head"> =>
    Tensor.from("layer head", [n_layers, n_heads], meanOverQueries(read[kind], prompts, heads, pos, from));
  const scores: HeadScores = {
    tokens,
    period,
    current: score("current"),
    previous: score("previous"),
    first: score("first"),
    duplicate: score("duplicate"),
    induction: score("induction"),
    inductionStrict: score("induction", repeat),
    prefixMatching: score("prefixMatching"),
    byQuery,
  };
  return shownAs(scores, scoresShowing);
}

/** What heads give the targets of prompts when the tokens do not repeat. */
function blindScores(
  model: Transformer,
  tokens: Tensor<"batch pos">,
  targets: ScoredPrompts["targets"],
): (kind: HeadKind) => Tensor<"layer head query_pos"> {
  const read = readByQuery(model, tokens, targets, () => undefined);
  const [batch = 0, pos = 0] = tokens.shape;
  const { n_layers, n_heads } = model.config;
  const size = n_layers * n_heads * pos;
  return (kind) => {
    const means = Float64Array.from({ length: size }, (_, i) => {
      let [sum, count] = [0, 0];
      for (let place = i; place < batch * size; place += size) {
        const value = read[kind][place] as number;
        if (!Number.isNaN(value)) [sum, count] = [sum + value, count + 1];
      }
      return sum / count;
    });
    return Tensor.from("layer head query_pos", [n_layers, n_heads, pos], means);
  };
}

/** The attention of every head to the targets of each kind: `[batch, layer, head, query_pos]`. */
function readByQuery(
  model: Transformer,
  tokens: Tensor<"batch pos">,
  targets: ScoredPrompts["targets"],
  advance: () => void,
): Record<HeadKind, Float64Array> {
  const { n_layers, n_heads } = model.config;
  const [prompts = 0, pos = 0] = tokens.shape;
  const heads = n_layers * n_heads;
  const read = eachKind(() => new Float64Array(prompts * heads * pos));
  const together = Math.max(1, Math.floor(MOST_ATTENTION / Math.max(1, heads * pos * pos)));
  for (let first = 0; first < prompts; first += together) {
    const some = tokens.slice("batch", first, Math.min(prompts, first + together));
    const { cache } = model.run(some, { cache: (name: HookName) => name.endsWith(".hook_pattern"), unembed: "none" });
    const patterns = model.layers.map(({ layer }) => rawData(cache.get(`blocks.${layer}.attn.hook_pattern`)));
    for (let b = 0; b < some.sizeOf("batch"); b++) {
      const ofPrompt = targets[first + b] as ScoredPrompts["targets"][number];
      for (let i = 0; i < heads; i++) {
        const pattern = patterns[Math.floor(i / n_heads)] as ArrayLike<number>;
        const [start, to] = [(b * n_heads + (i % n_heads)) * pos * pos, ((first + b) * heads + i) * pos];
        for (const kind of HEAD_KINDS) attentionByQuery(pattern, start, ofPrompt[kind], read[kind], to);
      }
      advance();
    }
  }
  return read;
}

/** The mean of each head over all prompts and those queries from `from` on that have targets; NaN where none has. */
function meanOverQueries(
  values: Float64Array,
  prompts: number,
  heads: number,
  queries: number,
  from: number,
): Float64Array {
  return Float64Array.from({ length: heads }, (_, head) => {
    let [sum, count] = [0, 0];
    for (let b = 0; b < prompts; b++) {
      const row = (b * heads + head) * queries;
      for (let query = from; query < queries; query++) {
        const value = values[row + query] as number;
        if (Number.isNaN(value)) continue;
        sum += value;
        count++;
      }
    }
    return sum / count;
  });
}

/** A row a head, those that do one thing most first. */
function scoresShowing({ tokens, period, ...scores }: HeadScores): Showing {
  const columns = Object.keys(scores).filter((name) => name !== "byQuery") as ScoreName[];
  const [n_layers = 0, n_heads = 0] = scores.current.shape;
  const rows = allHeads({ n_layers, n_heads })
    .map((id) => ({ id, values: columns.map((name) => scores[name].at(id.layer, id.head)) }))
    .sort((a, b) => Math.max(...b.values) - Math.max(...a.values))
    .map(({ id, values }) => [headLabel(id), ...values]);
  const title = `HeadScores on tokens ${describeTensor(tokens)} that repeat every ${period}`;
  return { title, parts: () => [{ kind: "rows", columns: ["head", ...columns], rows }] };
}
