/**
 * One attention score as a sum over the tokens that it came from, on the query's side and on the key's (*A Mathematical
 * Framework for Transformer Circuits*, "Analyzing a two-layer model", the figures of key and query intensity).
 *
 * With patterns and norm scales frozen a query is affine in the embeddings, and in what MLPs wrote,
 * $q_i = \sum_u x_u Q_u + \text{bias}$, and so is a key. For one side the other is a constant, and the score one
 * reading of the stream at one position, taken back through the layers: all paths are counted and none is enumerated.
 * Pairs of sources take the $d_{head}$ readings of both sides back.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { HeadId, HeadRef, TokensLike, Transformer } from "../../model/index.ts";
import { rotate, toTokenTensor } from "../../model/index.ts";
import { foldedReader } from "../../model/internal.ts";
import { add, astype, matmul, Tensor } from "../../tensor/index.ts";
import { dot } from "../../tensor/internal.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import { biasStream, layerOutput } from "../frozen/frozen-layers.ts";
import {
  addMlp,
  constantStream,
  directStream,
  freeze,
  frozenNorm,
  mlpStream,
  sourceStreams,
  throughFrozenNorm,
} from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";

/**
 * Which score {@link attributeScore} explains.
 * @category Attention scores
 */
export interface AttributeScoreOptions {
  /** The position that attends. */
  readonly query: number;
  /** The position attended to. */
  readonly key: number;
  /** Which of the prompts; 0 by default. */
  readonly prompt?: number | undefined;
  /** Cancels the run that patterns and scales are taken from. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One side of an attributed score; the parts sum to the score.
 * @category Attention scores
 */
export interface ScoreSide {
  /** `[pos]`: what the token at each position adds to the score through this side, float64. */
  readonly tokens: Tensor<"pos">;
  /**
   * `[pos]`: what its positional embedding adds; with shortformer positions only that of the query or key itself,
   * else 0.
   */
  readonly positions: Tensor<"pos">;
  /** `[pos]`: what the MLPs of earlier layers wrote at it adds, as the run had it; 0 where there are none. */
  readonly mlps: Tensor<"pos">;
  /** The part of the biases. */
  readonly bias: number;
}

/**
 * One attention score taken apart by source tokens.
 * @category Attention scores
 */
export interface ScoreAttribution {
  /** The score as the parts have it: their sum over both sides. */
  readonly score: number;
  /** The score by what the query was made of. */
  readonly query: ScoreSide;
  /** The score by what the key was made of. */
  readonly key: ScoreSide;
  /**
   * `[query_source, key_source]`: what each pair of source tokens adds; sums to the score where positions, MLPs and
   * biases add nothing. Computed when first asked for, at d_head times the cost of the rest.
   */
  readonly pairs: Tensor<"query_source key_source">;
}

/**
 * One score of a head, before the mask and divided by the attention scale, as a sum over the source tokens that fed its
 * query and its key, all paths through earlier layers counted; patterns and norm scales frozen. Of an induction head's
 * score on the token after an earlier copy, the key side is that copy: the previous-token head brought it.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param head - the head, by place or label.
 * @throws {@link InputError} for a head, prompt or position that does not exist, or tokens the model cannot run.
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
 * ```
 */
export function attributeScore(
  model: Transformer,
  tokens: TokensLike,
  head: HeadRef,
  options: AttributeScoreOptions,
): ScoreAttribution {
  requireKind("model", model, "model", "attributeScore", options, "query key prompt signal");
  requireObject(options, "options", "attributeScore");
  const operation = "attributeScore";
  const { layer, head: index } = model.head(head);
  const all = toTokenTensor(model.config, tokens, operation);
  const [batch = 0, pos = 0] = all.shape;
  const { query, key, prompt = 0 } = options;
  checkPlace(prompt, batch, "prompt", operation);
  checkPlace(query, pos, "query", operation);
  checkPlace(key, pos, "key", operation);
  const frozen = freeze(model, all.slice("batch", prompt, prompt + 1), operation, options.signal);
  const id = { layer, head: index };
  const scale = model.layer(layer).attnScale;
  const [q, k] = [wholeVector(frozen, id, "W_Q", query), wholeVector(frozen, id, "W_K", key)];
  let pairs: ScoreAttribution["pairs"] | undefined;
  return {
    score: dot(q, 0, k, 0, q.length) / scale,
    query: sideOf(frozen, id, "W_Q", query, k),
    key: sideOf(frozen, id, "W_K", key, q),
    get pairs(): ScoreAttribution["pairs"] {
      pairs ??= pairsOf(frozen, id, query, key);
      return pairs;
    },
  };
}

/**
 * A query or key of one position, `[d_head]`, rotated to it where positions are rotary, by the frozen affine model in
 * float64.
 */
function wholeVector(frozen: FrozenRun, { layer, head }: HeadId, name: "W_Q" | "W_K", at: number): Float64Array {
  const { model } = frozen;
  const attention = model.layer(layer);
  const stream = model.layers
    .slice(0, layer)
    .reduce((x, each) => addMlp(frozen, each.layer, add(x, layerOutput(frozen, each.layer, x))), directStream(frozen));
  const linear = throughFrozenNorm(frozen, layer, stream);
  let read: Stream = attention.ln1?.b === undefined ? linear : add(linear, constantStream(frozen, attention.ln1.b));
  if (model.config.positional_embedding_type === "shortformer") {
    read = add(read, astype(frozen.run.cache.get("hook_pos_embed"), "float64"));
  }
  const b = (name === "W_Q" ? attention.b_Q : attention.b_K).select("head", head);
  const vector = add(matmul(read.slice("pos", at, at + 1), attention[name].select("head", head)), b);
  return turnedTo(model, vector.data as Float64Array, at);
}

/** The score by the sources of one side, the other side's vector given. */
function sideOf(frozen: FrozenRun, id: HeadId, name: "W_Q" | "W_K", at: number, other: Float64Array): ScoreSide {
  const { model } = frozen;
  const { layer, head } = id;
  const attention = model.layer(layer);
  const pos = frozen.run.tokens.sizeOf("pos");
  // The rotation of this side, taken over to the other: a rotation's transpose turns back.
  const weights = turnedTo(model, other, -at).map((x) => x / attention.attnScale);
  const W = attention[name].select("head", head);
  const mlps = new Float64Array(pos);
  const readings = takenBack(frozen, layer, firstReadings(frozen, id, name, at, [weights]), (after, own) => {
    const written = mlpStream(frozen, after);
    if (written !== undefined) for (const [u, x] of bySource(written, own, 1).entries()) mlps[u] = (mlps[u] ?? 0) + x;
  });
  const { embed, pos_embed } = sourceStreams(frozen);
  const positions = pos_embed === undefined ? new Float64Array(pos) : bySource(pos_embed, readings, 1);
  const scored = (x: Tensor<"batch pos d_head">): number => dot(x.data, 0, weights, 0, weights.length);
  if (model.config.positional_embedding_type === "shortformer") {
    positions[at] = scored(
      matmul(astype(frozen.run.cache.get("hook_pos_embed"), "float64").slice("pos", at, at + 1), W),
    );
  }
  const linear = throughFrozenNorm(frozen, layer, biasStream(frozen, layer));
  const read = attention.ln1?.b === undefined ? linear : add(linear, constantStream(frozen, attention.ln1.b));
  const b = (name === "W_Q" ? attention.b_Q : attention.b_K).select("head", head);
  return {
    tokens: Tensor.from("pos", [pos], bySource(embed, readings, 1)),
    positions: Tensor.from("pos", [pos], positions),
    mlps: Tensor.from("pos", [pos], mlps),
    bias: scored(add(matmul(read.slice("pos", at, at + 1), W), b)),
  };
}

/** The contribution of each pair of source tokens to the score. */
function pairsOf(frozen: FrozenRun, id: HeadId, query: number, key: number): ScoreAttribution["pairs"] {
  const { model } = frozen;
  const { d_head } = model.config;
  const pos = frozen.run.tokens.sizeOf("pos");
  const units = Array.from({ length: d_head }, (_, e) =>
    Float64Array.from({ length: d_head }, (__, i) => (i === e ? 1 : 0)),
  );
  const { embed } = sourceStreams(frozen);
  const vectors = (name: "W_Q" | "W_K", at: number): Float64Array => {
    const readings = takenBack(frozen, id.layer, firstReadings(frozen, id, name, at, units));
    return turnedTo(model, bySource(embed, readings, d_head), at);
  };
  const rows: Tensor<"query_source d_head"> = Tensor.from("query_source d_head", [pos, d_head], vectors("W_Q", query));
  const columns: Tensor<"d_head key_source"> = Tensor.from(
    "key_source d_head",
    [pos, d_head],
    vectors("W_K", key),
  ).permute("d_head key_source");
  const { attnScale } = model.layer(id.layer);
  const products = (matmul(rows, columns).data as Float64Array).map((x) => x / attnScale);
  return Tensor.from("query_source key_source", [pos, pos], products);
}

/**
 * Readings of one position's query or key, each a weighting of its coordinates, as readings of the stream,
 * `[reading, pos, d_model]`.
 */
function firstReadings(
  frozen: FrozenRun,
  { layer, head }: HeadId,
  name: "W_Q" | "W_K",
  at: number,
  weightings: readonly Float64Array[],
): Float64Array {
  const { d_model, d_head } = frozen.model.config;
  const pos = frozen.run.tokens.sizeOf("pos");
  const W = foldedReader(frozen.model.layer(layer), name).select("head", head).data;
  const scale = frozenNorm(frozen, layer)?.scale.at(0, at, 0) ?? 1;
  const out = new Float64Array(weightings.length * pos * d_model);
  for (const [r, weights] of weightings.entries()) {
    for (let i = 0; i < d_model; i++) {
      let sum = 0;
      for (let e = 0; e < d_head; e++) sum += (W[i * d_head + e] as number) * (weights[e] as number);
      out[(r * pos + at) * d_model + i] = sum / scale;
    }
  }
  return out;
}

/**
 * Readings of the stream before a layer as readings of the embeddings; `visit` is shown those of the stream after each
 * layer on the way.
 */
function takenBack(
  frozen: FrozenRun,
  before: number,
  first: Float64Array,
  visit?: (after: number, readings: Float64Array) => void,
): Float64Array {
  let readings = first;
  for (let layer = before - 1; layer >= 0; layer--) {
    visit?.(layer, readings);
    const heads = frozenHeads(frozen, layer);
    const through = heads.valuesBack(heads.attend(heads.writeBack(readings), true));
    readings = readings.map((x, t) => x + (through[t] as number));
  }
  return readings;
}

/** What each position of a stream gives to the readings, `[pos, reading]`. */
function bySource(stream: Stream, readings: Float64Array, count: number): Float64Array {
  const [, pos = 0, d = 0] = stream.shape;
  const out = new Float64Array(pos * count);
  const x = stream.data;
  for (let u = 0; u < pos; u++) {
    for (let e = 0; e < count; e++) {
      let s = 0;
      for (let i = 0; i < d; i++) s += (x[u * d + i] as number) * (readings[(e * pos + u) * d + i] as number);
      out[u * count + e] = s;
    }
  }
  return out;
}

/** Rows `[d_head]` rotated to a position, where the model rotates queries and keys. */
function turnedTo({ config }: Transformer, rows: Float64Array, at: number): Float64Array {
  if (config.positional_embedding_type !== "rotary") return rows;
  const count = rows.length / config.d_head;
  const one = Tensor.from("batch pos head d_head", [1, 1, count, config.d_head], rows);
  return rotate(one, config, at).data as Float64Array;
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
