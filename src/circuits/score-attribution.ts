/**
 * One attention score as a sum over the tokens that it came from, on the query's side and on the key's (*A Mathematical Framework for
 * Transformer Circuits*, "Analyzing a two-layer model", the figures of key and query intensity).
 *
 * With patterns and norm scales frozen a query is affine in the embeddings, $q_i = \sum_u x_u Q_u + \text{bias}$, and so is a key. The matrices are
 * found by taking the $d_{head}$ readings of one position back through the layers, so that all paths are counted and none is enumerated.
 */
import { InputError } from "../errors.ts";
import type { HeadId, HeadRef, TokensLike, Transformer } from "../model/index.ts";
import { rotate, toTokenTensor } from "../model/index.ts";
import { add, astype, matmul, Tensor } from "../tensor/index.ts";
import { frozenHeads } from "./frozen-heads.ts";
import { biasStream } from "./frozen-layers.ts";
import { constantStream, freeze, frozenNorm, sourceStreams, throughFrozenNorm } from "./frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen-run.ts";
import { foldedReader } from "./norm-folding.ts";

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
  /** `[pos]`: what its positional embedding adds; with shortformer positions only that of the query or key itself, else 0. */
  readonly positions: Tensor<"pos">;
  /** What biases add. */
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
   * `[query_source, key_source]`: what each pair of source tokens adds; sums to the score where positions and biases add nothing.
   */
  readonly pairs: Tensor<"query_source key_source">;
}

/**
 * One score of a head, before the mask and divided by the attention scale, as a sum over the source tokens that fed its query and its key,
 * all paths through earlier layers counted; patterns and norm scales frozen. Of an induction head's score on the token after an earlier
 * copy, the key side is that copy: the previous-token head brought it.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param head - the head, by place or label.
 * @throws {@link InputError} for a head, prompt or position that does not exist, or tokens the model cannot run.
 * @category Attention scores
 * @example
 * ```ts
 * import { attributeScore, repeatedTokens } from "transformer-circuits";
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
  const [q, k] = [sideVectors(frozen, id, "W_Q", query), sideVectors(frozen, id, "W_K", key)];
  const scale = model.layer(layer).attnScale;
  const scored = (vectors: Float64Array, whole: Float64Array): Float64Array =>
    dots(vectors, whole).map((x) => x / scale);
  const side = (own: SideVectors, other: SideVectors): ScoreSide => ({
    tokens: Tensor.from("pos", [pos], scored(own.tokens, other.whole)),
    positions: Tensor.from("pos", [pos], scored(own.positions, other.whole)),
    bias: scored(own.bias, other.whole)[0] ?? 0,
  });
  const d = q.whole.length;
  const rows: Tensor<"query_source d_head"> = Tensor.from("query_source d_head", [pos, d], q.tokens);
  const columns: Tensor<"d_head key_source"> = Tensor.from("key_source d_head", [pos, d], k.tokens).permute(
    "d_head key_source",
  );
  const pairs = matmul(rows, columns);
  return {
    score: scored(q.whole, k.whole)[0] ?? 0,
    query: side(q, k),
    key: side(k, q),
    pairs: Tensor.from(
      "query_source key_source",
      [pos, pos],
      (pairs.data as Float64Array).map((x) => x / scale),
    ),
  };
}

/** A query or key of one position by source; each row `[d_head]`, rotated where positions are. */
interface SideVectors {
  readonly tokens: Float64Array;
  readonly positions: Float64Array;
  readonly bias: Float64Array;
  readonly whole: Float64Array;
}

function sideVectors(frozen: FrozenRun, { layer, head }: HeadId, name: "W_Q" | "W_K", at: number): SideVectors {
  const { model } = frozen;
  const pos = frozen.run.tokens.sizeOf("pos");
  const attention = model.layer(layer);
  const { d_head } = model.config;
  const readings = readingsOf(frozen, { layer, head }, name, at);
  const { embed, pos_embed } = sourceStreams(frozen);
  const W = attention[name].select("head", head);
  const tokens = bySource(embed, readings, d_head);
  const positions = pos_embed === undefined ? new Float64Array(pos * d_head) : bySource(pos_embed, readings, d_head);
  if (model.config.positional_embedding_type === "shortformer") {
    const own = matmul(astype(frozen.run.cache.get("hook_pos_embed"), "float64").slice("pos", at, at + 1), W);
    positions.set(own.data, at * d_head);
  }
  const linear = throughFrozenNorm(frozen, layer, biasStream(frozen, layer));
  const read = attention.ln1?.b === undefined ? linear : add(linear, constantStream(frozen, attention.ln1.b));
  const b = name === "W_Q" ? attention.b_Q : attention.b_K;
  const bias = add(matmul(read.slice("pos", at, at + 1), W), b.select("head", head)).data as Float64Array;
  const turned = (rows: Float64Array): Float64Array => turnedTo(model, rows, at);
  const parts = { tokens: turned(tokens), positions: turned(positions), bias: turned(bias) };
  return { ...parts, whole: sumRows([parts.tokens, parts.positions, parts.bias], d_head) };
}

/** The readings of one position's query or key as readings of the embeddings, `[d_head, pos, d_model]`. */
function readingsOf(frozen: FrozenRun, { layer, head }: HeadId, name: "W_Q" | "W_K", at: number): Float64Array {
  const { d_model, d_head } = frozen.model.config;
  const pos = frozen.run.tokens.sizeOf("pos");
  const W = foldedReader(frozen.model.layer(layer), name).select("head", head);
  const scale = frozenNorm(frozen, layer)?.scale.at(0, at, 0) ?? 1;
  let readings = new Float64Array(d_head * pos * d_model);
  for (let e = 0; e < d_head; e++) {
    for (let i = 0; i < d_model; i++) readings[(e * pos + at) * d_model + i] = W.at(i, e) / scale;
  }
  for (let l = layer - 1; l >= 0; l--) {
    const heads = frozenHeads(frozen, l);
    const through = heads.valuesBack(heads.attend(heads.writeBack(readings), true));
    readings = readings.map((x, t) => x + (through[t] as number));
  }
  return readings;
}

/** What each position of a stream gives to the readings, `[pos, d_head]`. */
function bySource(stream: Stream, readings: Float64Array, d_head: number): Float64Array {
  const [, pos = 0, d = 0] = stream.shape;
  const out = new Float64Array(pos * d_head);
  const x = stream.data;
  for (let u = 0; u < pos; u++) {
    for (let e = 0; e < d_head; e++) {
      let s = 0;
      for (let i = 0; i < d; i++) s += (x[u * d + i] as number) * (readings[(e * pos + u) * d + i] as number);
      out[u * d_head + e] = s;
    }
  }
  return out;
}

/** Rows `[d_head]` turned to a position, where the model turns queries and keys. */
function turnedTo({ config }: Transformer, rows: Float64Array, at: number): Float64Array {
  if (config.positional_embedding_type !== "rotary") return rows;
  const count = rows.length / config.d_head;
  const one = Tensor.from("batch pos head d_head", [1, 1, count, config.d_head], rows);
  return rotate(one, config, at).data as Float64Array;
}

/** The dot product of every row with one vector. */
function dots(rows: Float64Array, vector: Float64Array): Float64Array {
  const d = vector.length;
  return Float64Array.from({ length: rows.length / d }, (_, r) => {
    let s = 0;
    for (let e = 0; e < d; e++) s += (rows[r * d + e] as number) * (vector[e] as number);
    return s;
  });
}

function sumRows(parts: readonly Float64Array[], d: number): Float64Array {
  const out = new Float64Array(d);
  for (const part of parts)
    for (let t = 0; t < part.length; t++) out[t % d] = (out[t % d] as number) + (part[t] as number);
  return out;
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
