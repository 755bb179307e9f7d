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
import { add, matmul, Tensor } from "../../tensor/index.ts";
import { dot, rowNorms } from "../../tensor/internal.ts";
import type { Certificate } from "../certificate.ts";
import { operationsOf, U64 } from "../certificate.ts";
import {
  constantStream,
  freezeRun,
  freezeToScores,
  isRun,
  sourceStreams,
  throughFrozenNorm,
} from "../frozen/frozen-run.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";
import { scoreRounding } from "./certificate.ts";
import { ownEdits, projected } from "./components.ts";
import type { ScoreComponent } from "./components.ts";
import { layerStreams } from "./layer-streams.ts";
import type { LayerStreams } from "./layer-streams.ts";
import { directionVector, placeOf } from "./places.ts";
import type { Place, ScoreDirection } from "./places.ts";
import { scoreRoutes } from "./routes.ts";
import type { ScoreRoutes } from "./routes.ts";
import { directionSide, placeReadings, rowsOf, scoreSide, spread, takenBack } from "./score-side.ts";
import type { ScoreSide, SideReading } from "./score-side.ts";
import { scoresAsComputed, seenKeys } from "./stored-scores.ts";

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
  /** The most heads on a route; what comes through more is one part, `heads`. As many as there are layers by default. */
  readonly maxOrder?: number | undefined;
}

/** Parts of each side that a display lists. */
const SHOWN = 4;

/** What an attribution is made of. */
interface Parts {
  readonly frozen: FrozenRun;
  readonly id: HeadId;
  readonly prompt: number;
  readonly against: "mean" | "softmax" | undefined;
  readonly whole: ScoreComponent;
  readonly streams: LayerStreams;
  readonly query: Side;
  readonly key: Side;
}

/** A side: positions with coefficients, or none for a direction; its vector, rotated. */
interface Side {
  readonly places: readonly Place[];
  readonly vector: Float64Array;
}

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

function readingOf({ frozen, id, query, key }: Parts, name: "Q" | "K"): SideReading {
  const { attnScale } = frozen.model.layer(id.layer);
  const [places, other] = name === "Q" ? [query.places, key.vector] : [key.places, query.vector];
  return { id, name, places, other: other.map((x) => x / attnScale) };
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

/** The score as the run has it, and by how much its rounding may part it from the frozen model's. */
function ownScore(parts: Parts, score: number): { readonly own: number; readonly bound: number } {
  const { frozen, id, query, key, prompt, whole } = parts;
  const stored = scoresAsComputed(frozen, id.layer);
  const rounding = scoreRounding(frozen, id, "path", [whole]);
  const [q] = query.places;
  let [own, bound] = [0, 0];
  if (q !== undefined && key.places.length > 0) {
    for (const { at, weight } of key.places) {
      const seen = stored.at(prompt, id.head, q.at, at);
      const masked = seen === -Infinity ? rounding.exact(prompt, q.at, at) : seen;
      own += weight * masked;
      bound += Math.abs(weight) * rounding.at(prompt, q.at, at, masked);
    }
    return { own, bound };
  }
  // A direction is exact: the vectors of the run's side alone are rounded.
  const [side, name, direction] = q === undefined ? ([key, "key", query] as const) : ([query, "query", key] as const);
  const { attnScale } = frozen.model.layer(id.layer);
  for (const { row, weight } of side.places) {
    const { value, reach } = rounding.along(name, row, direction.vector);
    own += (weight * value) / attnScale;
    bound += (Math.abs(weight) * reach) / attnScale;
  }
  return side.places.length === 0 ? { own: score, bound: 0 } : { own, bound };
}

/**
 * *Why did it look there?* One score of a head, before the mask and divided by the attention scale, as a sum on the
 * query's and on the key's side: over source tokens, positions, MLPs and biases, all paths through earlier layers
 * counted; over what each earlier head and MLP wrote; and over single routes. Patterns and norm scales are frozen. Of an
 * induction head's score on the token after an earlier copy, the key side is that copy: the previous-token head brought
 * it.
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
    return attributed(frozen, id, prompt, options);
  }
  const all = toTokenTensor(model.config, tokensOrHead as TokensLike, operation);
  checkPlace(prompt, all.sizeOf("batch"), "prompt", operation);
  checkSides(options, all.sizeOf("pos"), operation);
  const one = all.slice("batch", prompt, prompt + 1);
  return attributed(freezeToScores(model, one, layer, operation, options.signal), id, 0, options);
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

const isDirection = (side: number | ScoreDirection): side is ScoreDirection =>
  typeof side === "object" && side !== null;

function attributed(
  frozen: FrozenRun,
  id: HeadId,
  prompt: number,
  { query, key, against }: AttributeScoreOptions,
): ScoreAttribution {
  const { model } = frozen;
  const streams = layerStreams(frozen, id.layer);
  const whole = wholeVectors(frozen, id, streams);
  const direction = (name: "Q" | "K", given: ScoreDirection): Side => ({
    places: [],
    vector: directionVector(model, id, name, given, "attributeScore"),
  });
  const at = (vectors: Tensor<"batch pos d_head">, places: readonly Place[]): Side => ({
    places,
    vector: combined(vectors, places),
  });
  const one = (position: number): Place[] => [placeOf(frozen, prompt, position, 1)];
  const q = isDirection(query) ? direction("Q", query) : at(whole.query, one(query));
  let k = isDirection(key) ? direction("K", key) : at(whole.key, one(key));
  if (against !== undefined && !isDirection(key)) {
    const position = isDirection(query) ? (query.at ?? 0) : query;
    const rest = restOfRow(frozen, id, { prompt, query: position, key }, whole, q.vector, against);
    k = at(whole.key, [...k.places, ...rest]);
  }
  return new ScoreAttribution({ frozen, id, prompt, against, whole, streams, query: q, key: k });
}

/** The other keys that a query sees, with the weights that they are taken away by. */
function restOfRow(
  frozen: FrozenRun,
  id: HeadId,
  { prompt, query, key }: { readonly prompt: number; readonly query: number; readonly key: number },
  whole: ScoreComponent,
  vector: Float64Array,
  against: "mean" | "softmax",
): Place[] {
  const pos = frozen.run.tokens.sizeOf("pos");
  const { attnScale } = frozen.model.layer(id.layer);
  const seen = seenKeys(frozen, id);
  const others = Array.from({ length: pos }, (_, at) => at).filter(
    (at) => at !== key && seen[(prompt * pos + query) * pos + at] === 1,
  );
  if (others.length === 0) {
    throw new InputError(
      `the query at ${query} sees no key but ${key}, so that there is nothing to compare with. Leave against out.`,
      {
        operation: "attributeScore",
        argument: "against",
        expected: "a row of several keys",
        actual: against,
      },
    );
  }
  const scores = others.map((at) => {
    const { length } = vector;
    return dot(whole.key.data, (prompt * pos + at) * length, vector, 0, length) / attnScale;
  });
  const most = Math.max(...scores);
  const shares = scores.map((score) => (against === "mean" ? 1 : Math.exp(score - most)));
  const sum = shares.reduce((a, b) => a + b, 0);
  return others.map((at, i) => placeOf(frozen, prompt, at, -(shares[i] as number) / sum));
}

/** All queries and keys of a head as the frozen model has them, edits of the layer included, rotated. */
function wholeVectors(frozen: FrozenRun, id: HeadId, { stream }: LayerStreams): ScoreComponent {
  const { model, run } = frozen;
  const { ln1, b_Q, b_K } = model.layer(id.layer);
  const linear = throughFrozenNorm(frozen, id.layer, stream);
  const normed = ln1?.b === undefined ? linear : add(linear, constantStream(frozen, ln1.b));
  const isShortformer = model.config.positional_embedding_type === "shortformer";
  const read = isShortformer ? add(normed, run.cache.get("hook_pos_embed")) : normed;
  const edits = ownEdits(frozen, id);
  const vectors = (name: "Q" | "K", part: "query" | "key"): Tensor<"batch pos d_head"> =>
    edits.reduce(
      (sum, edit) => add(sum, edit[part]),
      projected(frozen, id, name, read, (name === "Q" ? b_Q : b_K).select("head", id.head)),
    );
  const readNorms = rowNorms(read);
  return { label: "whole", path: [], isSum: true, query: vectors("Q", "query"), key: vectors("K", "key"), readNorms };
}

/** The sum of a side's vectors by their coefficients. */
function combined(vectors: Tensor<"batch pos d_head">, places: readonly Place[]): Float64Array {
  const width = vectors.sizeOf("d_head");
  const out = new Float64Array(width);
  for (const { row, weight } of places) {
    for (let e = 0; e < width; e++) out[e] = (out[e] as number) + weight * (vectors.data[row * width + e] as number);
  }
  return out;
}

/** The contribution of each pair of source tokens to the score. */
function pairsOf(parts: Parts): Tensor<"query_source key_source"> {
  const { frozen, id } = parts;
  const { d_head, d_model } = frozen.model.config;
  const pos = frozen.run.tokens.sizeOf("pos");
  const units = Array.from({ length: d_head }, (_, e) => Float64Array.from({ length: d_head }, (__, i) => +(i === e)));
  const { embed } = sourceStreams(frozen);
  const vectors = (name: "Q" | "K"): Float64Array => {
    const reading = readingOf(parts, name);
    requireRead(reading, name === "Q" ? "query" : "key", "pairs");
    // One reading for each coordinate of the rotated vector.
    const own = new Float64Array(reading.places.length * d_head * d_model);
    for (const [e, other] of units.entries()) {
      const { stream } = placeReadings(frozen, { ...reading, other });
      for (let p = 0; p < reading.places.length; p++) {
        own.set(stream.subarray(p * d_model, (p + 1) * d_model), (p * d_head + e) * d_model);
      }
    }
    const readings = takenBack(frozen, id.layer, spread(frozen, reading.places, own, d_head));
    const rows = rowsOf(embed, readings, d_head);
    return rows.subarray(parts.prompt * pos * d_head, (parts.prompt + 1) * pos * d_head);
  };
  const rows: Tensor<"query_source d_head"> = Tensor.from("query_source d_head", [pos, d_head], vectors("Q"));
  const columns: Tensor<"d_head key_source"> = Tensor.from("key_source d_head", [pos, d_head], vectors("K")).permute(
    "d_head key_source",
  );
  const { attnScale } = frozen.model.layer(id.layer);
  const products = (matmul(rows, columns).data as Float64Array).map((x) => x / attnScale);
  return Tensor.from("query_source key_source", [pos, pos], products);
}

function requireRead({ places }: SideReading, side: "query" | "key", operation: string): void {
  if (places.length > 0) return;
  throw new InputError(`the ${side} is a direction of one's own: no source of the run feeds it. Take the other side.`, {
    operation,
    argument: "side",
    expected: side === "query" ? "key" : "query",
    actual: side,
  });
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
