/**
 * *Why did it look there?* One attention score as a sum, on the query's side and on the key's: over the tokens that it
 * came from, over what earlier heads and MLPs wrote, and over single routes (*A Mathematical Framework for Transformer
 * Circuits*, "Analyzing a two-layer model", the figures of key and query intensity).
 *
 * With patterns and norm scales frozen a query is affine in the embeddings, and in what MLPs wrote,
 * $q_i = \sum_u x_u Q_u + \text{bias}$, and so is a key. For one side the other is a constant, and the score one
 * reading of the stream (score-side.ts), taken back through the layers: all paths are counted and none is enumerated.
 * Pairs of sources take the $d_{head}$ readings of both sides back.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { HeadId, HeadRef, PartialRun, TokensLike, Transformer } from "../../model/index.ts";
import { headLabel, toTokenTensor } from "../../model/index.ts";
import { requireChoice, RUN } from "../../model/internal.ts";
import { Shown } from "../../show/index.ts";
import type { Part, Showing } from "../../show/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { dot } from "../../tensor/internal.ts";
import type { Certificate } from "../certificate.ts";
import { operationsOf, U64 } from "../certificate.ts";
import { freezeRun, freezeToScores, isRun } from "../frozen/frozen-run.ts";
import { isDirection, ownScore, pairsOf, partsOf, readingOf, requireRead } from "./attribution-parts.ts";
import type { Parts } from "./attribution-parts.ts";
import type { ScoreDirection } from "./places.ts";
import { scoreRoutes } from "./routes.ts";
import type { ScoreRoutes } from "./routes.ts";
import { directionSide, scoreSide } from "./score-side.ts";
import type { ScoreSide } from "./score-side.ts";

/**
 * Which score {@link attributeScore} explains.
 * @category Attention scores
 */
export interface AttributeScoreOptions {
  /** The position that attends, or a direction of one's own in place of its query. */
  readonly query: number | ScoreDirection;
  /** The position attended to, or a direction of one's own in place of its key. */
  readonly key: number | ScoreDirection;
  /**
   * What to compare the score with, since only differences along a row mean anything: the mean score of the other keys
   * that the query sees (`"mean"`), or their mean weighted by the attention that they get (`"softmax"`). The score
   * itself unless given.
   */
  readonly against?: "mean" | "softmax" | undefined;
  /** Which of the prompts; 0 by default. */
  readonly prompt?: number | undefined;
  /** Cancels the run that patterns and scales are taken from. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Which routes {@link ScoreAttribution.routes} lists.
 * @category Attention scores
 */
export interface ScoreRoutesOptions {
  /** Which side's; the key's by default. */
  readonly side?: "query" | "key" | undefined;
  /** How many; 12 by default. */
  readonly top?: number | undefined;
  /** The most heads on a route, all by default; what comes through more is one part, `heads`. */
  readonly maxOrder?: number | undefined;
}

/** Parts of each side that a display lists. */
const SHOWN = 4;

/**
 * One attention score taken apart on both sides. Made by {@link attributeScore}.
 *
 * @category Attention scores
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { attributeScore } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, seed: 1, bos: 0 });
 * const why = attributeScore(model, tokens, "L1H4", { query: 30, key: 11, against: "mean" });
 * const [first] = why.routes({ top: 5 }).routes;
 * console.log(first?.label);
 * // embed[10]→L0H5[11]
 * console.log(why.certificate().withinBound);
 * // true
 * ```
 */
export class ScoreAttribution extends Shown {
  readonly head: HeadId;
  /** The prompt, `[pos]`. */
  readonly tokens: Tensor<"pos">;
  /** The position that attends; `null` where the query is a direction of one's own. */
  readonly queryPosition: number | null;
  /** The position attended to; `null` where the key is a direction of one's own. */
  readonly keyPosition: number | null;
  /** What the score is compared with. */
  readonly against: "nothing" | "mean" | "softmax";
  /** The score, divided by the attention scale, or its excess over the rest of its row: what the parts sum to. */
  readonly score: number;
  /** The score by what the query was made of. */
  readonly query: ScoreSide;
  /** The score by what the key was made of; compared with the rest of the row, what it had that other keys had not. */
  readonly key: ScoreSide;
  readonly #parts: Parts;
  #pairs: Tensor<"query_source key_source"> | undefined;

  /** @internal */
  constructor(parts: Parts) {
    super();
    const { frozen, id, query, key, against, prompt } = parts;
    const pos = frozen.run.tokens.sizeOf("pos");
    this.#parts = parts;
    this.head = id;
    this.tokens = frozen.run.tokens.select("batch", prompt);
    [this.queryPosition, this.keyPosition] = [query.places[0]?.at ?? null, key.places[0]?.at ?? null];
    this.against = against ?? "nothing";
    const { attnScale } = frozen.model.layer(id.layer);
    this.score = dot(query.vector, 0, key.vector, 0, key.vector.length) / attnScale;
    const side = (name: "Q" | "K"): ScoreSide => {
      const reading = readingOf(parts, name);
      return reading.places.length === 0 ? directionSide(this.score, pos) : scoreSide(frozen, parts.streams, reading);
    };
    [this.query, this.key] = [side("Q"), side("K")];
  }

  /** The head, the place, the score and the writers of both sides. */
  override toJSON(): object {
    const { head, queryPosition, keyPosition, against, score, query, key } = this;
    const side = ({ tokens, positions, mlps, edits, bias, direction, writers }: ScoreSide): object => ({
      tokens: tokens.toNested(),
      positions: positions.toNested(),
      mlps: mlps.toNested(),
      edits: edits.toNested(),
      bias,
      direction,
      writers,
    });
    const place = { head, queryPosition, keyPosition, against, score };
    return { type: "ScoreAttribution", tokens: this.tokens.toNested(), ...place, query: side(query), key: side(key) };
  }

  /** @internal */
  override showing(): Showing {
    const { queryPosition, keyPosition, against, score } = this;
    const of = (at: number | null): string => (at === null ? "a direction" : String(at));
    const than = against === "nothing" ? "" : `, less the ${against === "mean" ? "mean" : "softmax mean"} of the row`;
    const title = `ScoreAttribution of ${headLabel(this.head)} from ${of(queryPosition)} to ${of(keyPosition)}: ${score.toPrecision(4)}${than}`;
    const rows = (["query", "key"] as const).flatMap((side) =>
      this[side].writers.slice(0, SHOWN).map(({ label, value }) => [side, label, value] as const),
    );
    const total = this.query.writers.length + this.key.writers.length;
    const parts = (): Part[] => [{ kind: "rows", columns: ["side", "written by", "adds to the score"], rows, total }];
    return { title, parts };
  }

  /**
   * `[query_source, key_source]`: what each pair of source tokens adds; sums to the score where positions, MLPs, edits
   * and biases add nothing. Computed when first asked for, at d_head times the cost of the rest.
   * @throws {@link InputError} where a side is a direction of one's own.
   */
  get pairs(): Tensor<"query_source key_source"> {
    this.#pairs ??= pairsOf(this.#parts);
    return this.#pairs;
  }

  /**
   * The largest single routes into one side: which source, at which position, through which earlier heads. In deep
   * models paths are too many to list; these are found by taking the largest part apart, again and again, so that a
   * route whose parts cancel may be missed. With the rest they sum to the score.
   *
   * @throws {@link InputError} for a side that is a direction, or counts that are none.
   */
  routes(options: ScoreRoutesOptions = {}): ScoreRoutes {
    requireObject(options, "options", "routes", "side top maxOrder");
    const { side = "key", top = 12, maxOrder = this.head.layer } = options;
    requireChoice(side, ["query", "key"], "side", "routes");
    checkCount(top, 1, "top");
    checkCount(maxOrder, 0, "maxOrder");
    const reading = readingOf(this.#parts, side === "query" ? "Q" : "K");
    requireRead(reading, side, "routes");
    return scoreRoutes(this.#parts.frozen, this.#parts.streams, reading, { top, maxOrder });
  }

  /**
   * Compares the sums, by source and by writer on either side, with the run's own score: the largest deviation, and the
   * largest that the rounding of that float32 run explains.
   */
  certificate(): Certificate {
    const sums = [this.score, ...[this.query, this.key].flatMap((side) => sumsOf(side))];
    const { own, bound } = ownScore(this.#parts, this.score);
    const terms = this.query.writers.length + this.key.writers.length;
    const sizes = [this.query, this.key].reduce((sum, side) => sum + sizeOf(side), 0);
    const reach = bound + U64 * operationsOf(this.#parts.frozen, terms) * sizes;
    const deviations = sums.map((sum) => Math.abs(sum - own));
    return {
      maxDeviation: Math.max(...deviations),
      bound: reach,
      withinBound: deviations.every((deviation) => deviation <= reach),
      terms,
    };
  }
}

function sumsOf(side: ScoreSide): number[] {
  let bySource = side.bias + side.direction;
  for (const { data } of [side.tokens, side.positions, side.mlps, side.edits]) for (const x of data) bySource += x;
  return [bySource, side.writers.reduce((sum, { value }) => sum + value, 0)];
}

function sizeOf({ tokens, positions, mlps, edits, bias, writers }: ScoreSide): number {
  let size = Math.abs(bias);
  for (const { data } of [tokens, positions, mlps, edits]) for (const x of data) size += Math.abs(x);
  return writers.reduce((sum, { value }) => sum + Math.abs(value), size);
}

/**
 * *Why did it look there?* One score of a head, before the mask and divided by the attention scale, as a sum on the
 * query's and on the key's side: over source tokens, positions, MLPs and biases, all paths through earlier layers
 * counted; over what each earlier head and MLP wrote; and over single routes. Patterns and norm scales are frozen. Of
 * an induction head's score on the token after an earlier copy, the key side is that copy: the previous-token head
 * brought it.
 *
 * Holds for every kind of positions, for shared keys, windows, padding, MLPs and edits of the run.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param head - the head, by place or label.
 * @throws {@link InputError} for a head, prompt or position that does not exist, a direction of another size, two
 * directions, or tokens the model cannot run.
 * @category Attention scores
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { attributeScore } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, seed: 1, bos: 0 });
 * // Position 30 repeats position 10; an induction head looks at 11 for what stood at 10.
 * const { query, key } = attributeScore(model, tokens, "L1H4", { query: 30, key: 11 });
 * const largest = (values: ArrayLike<number>) => Array.from(values).indexOf(Math.max(...Array.from(values)));
 * console.log(largest(query.tokens.data), largest(key.tokens.data));
 * // 30 10
 * console.log(key.writers[0]?.label);
 * // L0H5
 * ```
 */
export function attributeScore(
  model: Transformer,
  tokens: TokensLike,
  head: HeadRef,
  options: AttributeScoreOptions,
): ScoreAttribution;
/** As above, of a run that was made before, edits and all. */
export function attributeScore(run: PartialRun, head: HeadRef, options: AttributeScoreOptions): ScoreAttribution;
export function attributeScore(
  subject: Transformer | PartialRun,
  tokensOrHead: TokensLike | HeadRef,
  headOrOptions: HeadRef | AttributeScoreOptions,
  given?: AttributeScoreOptions,
): ScoreAttribution {
  const operation = "attributeScore";
  const ofRun = isRun(subject);
  const options = (ofRun ? headOrOptions : given) as AttributeScoreOptions;
  const known = "query key against prompt signal";
  if (ofRun) requireKind(RUN, subject, "run", operation, options, known);
  else requireKind("model", subject, "model", operation, options, known);
  requireObject(options, "options", operation);
  const model = ofRun ? subject.model : subject;
  const { layer, head: index } = model.head((ofRun ? tokensOrHead : headOrOptions) as HeadRef);
  const id = { layer, head: index };
  if (options.against !== undefined) requireChoice(options.against, ["mean", "softmax"], "against", operation);
  const { prompt = 0 } = options;
  if (ofRun) {
    const frozen = freezeRun(subject, operation, { needsLogits: false });
    checkPlace(prompt, frozen.run.tokens.sizeOf("batch"), "prompt", operation);
    checkSides(options, frozen.run.tokens.sizeOf("pos"), operation);
    return new ScoreAttribution(partsOf(frozen, id, prompt, options));
  }
  const all = toTokenTensor(model.config, tokensOrHead as TokensLike, operation);
  checkPlace(prompt, all.sizeOf("batch"), "prompt", operation);
  checkSides(options, all.sizeOf("pos"), operation);
  const one = all.slice("batch", prompt, prompt + 1);
  const frozen = freezeToScores(model, one, layer, operation, options.signal);
  return new ScoreAttribution(partsOf(frozen, id, 0, options));
}

function checkSides({ query, key, against }: AttributeScoreOptions, pos: number, operation: string): void {
  if (isDirection(query) && isDirection(key)) {
    throw new InputError(
      "query and key are both directions, so that nothing of the run is in their score. Give a position for one.",
      {
        operation,
        argument: "key",
        expected: "a position",
        actual: key,
      },
    );
  }
  if (isDirection(key) && against !== undefined) {
    throw new InputError("the key is a direction and has no row of other keys. Leave against out.", {
      operation,
      argument: "against",
      expected: undefined,
      actual: against,
    });
  }
  if (!isDirection(query)) checkPlace(query, pos, "query", operation);
  else if (against !== undefined) checkPlace(query.at ?? -1, pos, "query.at", operation);
  if (!isDirection(key)) checkPlace(key, pos, "key", operation);
}

function checkCount(count: number, least: number, argument: string): void {
  if (Number.isSafeInteger(count) && count >= least) return;
  throw new InputError(`${argument} is ${String(count)}; give a whole number of at least ${least}.`, {
    operation: "routes",
    argument,
    expected: `at least ${least}`,
    actual: count,
  });
}

function checkPlace(place: number, size: number, argument: string, operation: string): void {
  if (Number.isInteger(place) && place >= 0 && place < size) return;
  throw new InputError(`${argument} is ${place}; there are ${size}, counted from 0.`, {
    operation,
    argument,
    expected: [0, size - 1],
    actual: place,
  });
}
