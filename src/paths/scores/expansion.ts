/** A head's attention scores as a sum of terms: evaluated when asked for, picked, measured, and certified. */
import { InputError, requireKind, requireObject, requireKinds, requireOptions } from "../../errors.ts";
import { Shown } from "../../show/index.ts";
import type { Part, Showing } from "../../show/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import { headLabel } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { astype, batchMatmul, divide, matmul, Tensor } from "../../tensor/index.ts";
import { describeTensor, reshaped } from "../../tensor/internal.ts";
import type { Certificate } from "../certificate.ts";
import { requireNoPadding } from "../frozen/frozen-run.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { scoreRounding } from "./certificate.ts";
import type { ScoreComponent, ScorePartition } from "./components.ts";
import { scoreCircuit, scoreFormula } from "./formula.ts";
import type { FormulaFormat } from "../logits/formula.ts";
import { termStatistics } from "./statistics.ts";
import { scoresAsComputed, seenKeys } from "./stored-scores.ts";
import type { ScoreStatisticsOptions, ScoreTermStatistics } from "./statistics.ts";
import type { ScoreTerm } from "./terms.ts";
import { SCORE_TERM } from "./terms.ts";

/**
 * Which terms {@link ScoreExpansion.select} picks: those that meet every condition given.
 * @category Attention scores
 */
export interface ScoreTermFilter {
  readonly query?: string | undefined;
  readonly key?: string | undefined;
  readonly composition?: ScoreTerm["composition"] | undefined;
}

/** Terms that a display lists. */
const SHOWN = 12;

/** Terms x entries of the scores up to which a display evaluates them: less than a second's work. */
const QUICK = 4e6;

/**
 * A head's attention scores on some tokens as a sum of terms, each evaluated when asked for. Made by
 * {@link scoreExpansion}.
 *
 * Held are the parts of queries and keys, `[batch, pos, d_head]` each; nothing of size positions x positions.
 *
 * @category Attention scores
 * @example
 * ```ts
 * import { repeatedTokens, scoreExpansion } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, seed: 1, bos: 0 });
 * const expansion = scoreExpansion(model, tokens, "L1H4");
 * console.log(expansion.labels.join(" "));
 * // embed pos_embed L0H0 L0H1 L0H2 L0H3 L0H4 L0H5 L0H6 L0H7 bias
 *
 * // On the stripe of an induction head: which terms lift it above the rest of its row?
 * const stripe = expansion.statistics({ entries: (query, key) => query > 20 && key === query - 19 });
 * const best = stripe.sort((a, b) => b.share - a.share)[0];
 * console.log(best?.term.composition, best?.term.key);
 * // K L0H5
 * ```
 */
export class ScoreExpansion extends Shown {
  readonly model: Transformer;
  /** `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /** The head whose scores these are. */
  readonly head: HeadId;
  /** The parts that queries and keys are split into. */
  readonly labels: readonly string[];
  /** All pairs of a query's part and a key's part. */
  readonly terms: readonly ScoreTerm[];
  readonly #frozen: FrozenRun;
  readonly #components: readonly ScoreComponent[];
  readonly #by: ScorePartition;

  /** @internal */
  constructor(frozen: FrozenRun, head: HeadId, components: readonly ScoreComponent[], by: ScorePartition) {
    super();
    this.model = frozen.model;
    this.tokens = frozen.run.tokens;
    this.head = head;
    this.labels = components.map(({ label }) => label);
    this.terms = components.flatMap((query) => components.map((key) => termOf(query, key)));
    this.#frozen = frozen;
    this.#components = components;
    this.#by = by;
  }

  /** The tokens, the head, and the parts that queries and keys are split into. */
  override toJSON(): object {
    return { type: "ScoreExpansion", tokens: this.tokens.toNested(), head: this.head, labels: this.labels };
  }

  /** @internal */
  override showing(): Showing {
    const { labels, terms, tokens } = this;
    const head = headLabel(this.head);
    const parts = labels.length > 6 ? [...labels.slice(0, 5), "…", labels.at(-1)] : labels;
    const formula = `scores = (${parts.join(" + ")}) W_QK[${head}] (the same)ᵀ / ${this.attnScale}`;
    const isPadded = this.#frozen.trace?.mask !== undefined;
    const isQuick = !isPadded && terms.length * tokens.size * tokens.sizeOf("pos") <= QUICK;
    const largest = (): Part[] => {
      const ranked = this.statistics().sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
      const rows = ranked.slice(0, SHOWN).map(({ term, share }) => [term.label, term.composition, share] as const);
      const columns = ["largest terms: query · key", "composition", "share of the variance"];
      return [{ kind: "rows", columns, rows, total: terms.length }];
    };
    const title = `ScoreExpansion of ${head} on tokens ${describeTensor(tokens)}: ${terms.length} terms`;
    return { title, parts: () => [{ kind: "words", text: formula }, ...(isQuick ? largest() : [])] };
  }

  /** What scores are divided by. */
  get attnScale(): number {
    return this.model.layer(this.head.layer).attnScale;
  }

  /**
   * The queries, part by part, `[component, batch, pos, d_head]`, float64, rotated where positions are: their sum is
   * `hook_q` (or `hook_rot_q`) of the head.
   */
  get queries(): Tensor<"component batch pos d_head"> {
    return stacked(this.#components.map(({ query }) => query));
  }

  /** The keys, part by part, `[component, batch, pos, d_head]`; their sum is `hook_k` (or `hook_rot_k`). */
  get keys(): Tensor<"component batch pos d_head"> {
    return stacked(this.#components.map(({ key }) => key));
  }

  /**
   * The scores of a term, `[batch, query_pos, key_pos]`, float64, divided by the attention scale; not masked.
   * @throws {@link InputError} when there is no such part.
   */
  scores(term: Pick<ScoreTerm, "query" | "key">): Tensor<"batch query_pos key_pos"> {
    requireObject(term, "term", "scores");
    return this.#scoresOf(this.#component(term.query).query, this.#component(term.key).key);
  }

  /** The scores themselves, the sum over all terms, computed from the sums of the parts; not masked. */
  total(): Tensor<"batch query_pos key_pos"> {
    return this.#scoresOf(summed(this.queries), summed(this.keys));
  }

  /**
   * The scores of one prompt for all pairs of parts at once, as ARENA's `decompose_attn_scores`.
   *
   * @param prompt - which of the prompts; 0 by default.
   * @returns `[query_component, key_component, query_pos, key_pos]`, float64, divided by the attention scale, not
   * masked.
   * @throws {@link InputError} when there is no such prompt, or the tensor would hold more than 2^27 numbers (1 GiB).
   */
  decomposed(prompt = 0): Tensor<"query_component key_component query_pos key_pos"> {
    const [batch = 0, pos = 0] = this.tokens.shape;
    const count = this.#components.length;
    const size = (count * pos) ** 2;
    if (!Number.isInteger(prompt) || prompt < 0 || prompt >= batch || size > 2 ** 27) {
      const isLarge = size > 2 ** 27;
      throw new InputError(
        isLarge
          ? `${count} x ${count} parts of ${pos} x ${pos} scores are ${size} numbers; at most 2^27 are made at once. Ask for single terms with scores.`
          : `there is no prompt ${prompt}; there are ${batch}, counted from 0.`,
        { operation: "decomposed", argument: isLarge ? "tokens" : "prompt", actual: isLarge ? size : prompt },
      );
    }
    const rows = (name: "query" | "key"): Tensor => {
      const parts = this.#components.map((component) => component[name].select("batch", prompt));
      return stacked(parts);
    };
    const [q, k] = [rows("query"), rows("key")].map((t) =>
      reshaped(t, "row d_head", [count * pos, t.size / (count * pos)]),
    );
    const products = matmul(q as Tensor, (k as Tensor).permute("d_head row").rename("row", "column")).data;
    const { attnScale } = this;
    const out = new Float64Array(size);
    for (let a = 0, at = 0; a < count; a++) {
      for (let b = 0; b < count; b++) {
        for (let i = 0; i < pos; i++) {
          const start = (a * pos + i) * count * pos + b * pos;
          for (let j = 0; j < pos; j++) out[at++] = (products[start + j] as number) / attnScale;
        }
      }
    }
    return Tensor.from("query_component key_component query_pos key_pos", [count, count, pos, pos], out);
  }

  /** The terms that meet every condition given, in order. */
  select(filter: ScoreTermFilter): ScoreTerm[] {
    requireObject(filter, "filter", "select", "query key composition");
    const { query, key, composition } = filter;
    return this.terms.filter(
      (term) =>
        (query === undefined || term.query === query) &&
        (key === undefined || term.key === key) &&
        (composition === undefined || term.composition === composition),
    );
  }

  /**
   * How much each term varies and what its share of the scores is; see {@link ScoreTermStatistics}.
   *
   * @param options - `entries`: the stripe that shares are of; `signal`, `onProgress`, per term.
   * @throws {@link InputError} when no entry is picked, or the run has padding.
   */
  statistics(options: ScoreStatisticsOptions = {}): ScoreTermStatistics[] {
    requireOptions(options, "statistics", "entries signal onProgress");
    requireNoPadding(this.#frozen, "statistics");
    const seen = seenKeys(this.#frozen, this.head);
    return termStatistics(this.terms, (term) => this.scores(term), this.total(), seen, options);
  }

  /**
   * The circuit $W$ of a term: which source of the query's part goes with which source of the key's, unscaled, from raw
   * weights in factors. `W_E W_QK W_OV^T W_E^T` of a term with K-composition; positions, where they are a source,
   * instead of tokens.
   *
   * @param offset - query position minus key position, for rotary models, where the circuit is another for every
   * offset; 0 by default.
   * @throws {@link InputError} when a part is no token or position moved by heads (`bias`, `0_mlp_out`, `remainder`),
   * or a sum over paths (`2 heads`, `L0H5⋯`, by head what a head wrote that read more than tokens), or the offset is
   * not an integer.
   */
  circuit(term: ScoreTerm, offset = 0): Linear {
    requireKind(SCORE_TERM, term, "term", "circuit");
    this.#requireOnePath(term, "circuit");
    return scoreCircuit(this.model, this.head, term, offset);
  }

  /**
   * A term written as a tensor, `Id ⊗ A[L0H5] ⊗ W_E W_QK[L1H4] W_OV[L0H5]ᵀ W_Eᵀ`: what moved the query's part, what
   * moved the key's, and the circuit between the two sources.
   *
   * @param format - `"text"` by default.
   * @throws {@link InputError} for an unknown format, or a part that is a sum over paths.
   */
  formula(term: ScoreTerm, format: FormulaFormat = "text"): string {
    requireObject(term, "term", "formula");
    requireChoice(format, ["text", "latex"], "format", "formula");
    this.#requireOnePath(term, "formula");
    return scoreFormula(this.model, this.head, term, format);
  }

  /**
   * Compares the sum over all terms with the scores of the model's own run, where a query may look: the largest
   * deviation, and the largest that the rounding of that float32 run explains at the entry where it is least.
   *
   * @param terms - what to sum; all by default.
   * @param options - `signal`, `onProgress`, per term.
   */
  certificate(terms: readonly ScoreTerm[] = this.terms, options: ProgressOptions = {}): Certificate {
    requireKinds(SCORE_TERM, terms, "terms", "certificate", options, "signal onProgress");
    const steps = new Steps(options, terms.length);
    const [batch = 0, pos = 0] = this.tokens.shape;
    const sum = new Float64Array(batch * pos * pos);
    for (const term of terms) {
      const { data } = this.scores(term);
      for (let t = 0; t < sum.length; t++) sum[t] = (sum[t] as number) + (data[t] as number);
      steps.advance();
    }
    const { head } = this.head;
    const own = scoresAsComputed(this.#frozen, this.head.layer);
    const rounding = scoreRounding(this.#frozen, this.head, this.#by, this.#components);
    let [maxDeviation, bound, withinBound] = [0, 0, true];
    for (let t = 0; t < sum.length; t++) {
      const [b, i, j] = [Math.floor(t / (pos * pos)), Math.floor(t / pos) % pos, t % pos];
      const score = own.at(b, head, i, j);
      if (score === -Infinity) continue;
      const deviation = Math.abs((sum[t] as number) - score);
      const reach = rounding.at(b, i, j, score);
      if (!(deviation <= maxDeviation)) maxDeviation = deviation;
      bound = Math.max(bound, reach);
      withinBound &&= deviation <= reach;
    }
    return { maxDeviation, bound, withinBound, terms: terms.length };
  }

  #requireOnePath({ query, key }: ScoreTerm, operation: string): void {
    const sum = [query, key].find((label) => label !== "remainder" && this.#component(label).isSum);
    if (sum === undefined) return;
    throw new InputError(
      `the part "${sum}" is a sum over paths, each with a circuit of its own. Expand the scores by path (by: "path").`,
      { operation, argument: "term", actual: sum },
    );
  }

  #component(label: string): ScoreComponent {
    const found = this.#components.find((component) => component.label === label);
    if (found !== undefined) return found;
    throw new InputError(
      `there is no part "${label}" of the queries and keys; the parts are ${this.labels.join(", ")}.`,
      {
        operation: "scores",
        argument: "term",
        expected: this.labels,
        actual: label,
      },
    );
  }

  #scoresOf(query: Tensor<"batch pos d_head">, key: Tensor<"batch pos d_head">): Tensor<"batch query_pos key_pos"> {
    const keys = key.rename("pos", "key_pos").permute("batch d_head key_pos");
    const products = batchMatmul(query.rename("pos", "query_pos"), keys);
    return divide(products, this.attnScale);
  }
}

function termOf(query: ScoreComponent, key: ScoreComponent): ScoreTerm {
  const isMoved = ({ path, isSum }: ScoreComponent): boolean => isSum || path.length > 0;
  const [isQ, isK] = [isMoved(query), isMoved(key)];
  return {
    label: `${query.label} · ${key.label}`,
    query: query.label,
    key: key.label,
    composition: isQ ? (isK ? "both" : "Q") : isK ? "K" : "none",
    queryPath: query.path,
    keyPath: key.path,
  };
}

function stacked(parts: readonly Tensor[]): Tensor<"component batch pos d_head"> {
  const [first] = parts as [Tensor];
  const data = new Float64Array(parts.length * first.size);
  for (const [c, part] of parts.entries()) data.set(astype(part, "float64").data, c * first.size);
  const axes = first.rank === 3 ? "component batch pos d_head" : "component pos d_head";
  return Tensor.from(axes, [parts.length, ...first.shape], data) as Tensor<"component batch pos d_head">;
}

function summed(parts: Tensor<"component batch pos d_head">): Tensor<"batch pos d_head"> {
  const [count = 0, ...shape] = parts.shape;
  const size = parts.size / count;
  const out = new Float64Array(size);
  const { data } = parts;
  for (let t = 0; t < data.length; t++) out[t % size] = (out[t % size] as number) + (data[t] as number);
  return Tensor.from("batch pos d_head", shape, out);
}
