/**
 * What Q-composition and K-composition are worth: the loss when the queries, or the keys, of every head read only paths
 * up to a given order. *A Mathematical Framework for Transformer Circuits*, "Term importance analysis", freezes
 * patterns and so measures V-composition alone. It names the question for queries and keys and leaves the definition
 * open. This is one definition.
 */
import { requireKind } from "../../errors.ts";
import type { AttentionLayer, TokensLike, Transformer } from "../../model/index.ts";
import { rotate } from "../../model/index.ts";
import { patternOf, requireWithinWindow } from "../../model/internal.ts";
import { add, astype, batchMatmul, matmul, stack, Tensor } from "../../tensor/index.ts";
import { reshaped } from "../../tensor/internal.ts";
import { layerOutput } from "../frozen/frozen-layers.ts";
import {
  addMlp,
  constantStream,
  directStream,
  freeze,
  throughFinalNorm,
  throughFrozenNorm,
} from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { advanceOrders } from "../frozen/order-streams.ts";
import { lossOfStream, requireNextTokens } from "../logits/orders.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Losses by what queries and keys may read.
 * @category Path expansion
 */
export interface CompositionImportance {
  /**
   * `[order]`: mean loss in nats when queries read paths of at most that many heads; the last entry is the model's own
   * loss.
   */
  readonly Q: Tensor<"order">;
  /** `[order]`: the same for keys. */
  readonly K: Tensor<"order">;
  /** `[order]`: the same for both at once. */
  readonly both: Tensor<"order">;
  /** The model's own loss. */
  readonly fullLoss: number;
}

const SIDES = ["Q", "K", "both"] as const;

/** @inline */
type Vectors = Tensor<"head batch pos d_head">;

/**
 * The mean loss, in nats, when the queries (the keys, both) of every head read only the paths of at most so many heads,
 * biases always, and everything else is as the run had it: keys, values, norm scales, what MLPs wrote (for the paths, a
 * source of order 0). With order 0 nothing composes through that side; entry 0 less the last is what Q-composition
 * (K-composition, both) is worth. An induction head's K-composition with a previous-token head shows here and not in
 * {@link lossByMaxOrder}.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param options - `signal`, `onProgress` (in layers).
 * @returns orders 0 to `n_layers` − 1, one order for a model without layers.
 * @throws {@link InputError} for tokens the model cannot run or predict; the signal's reason when aborted.
 * @category Path expansion
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { compositionImportance } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { Q, K, fullLoss } = compositionImportance(
 *   model,
 *   repeatedTokens(model.config, { length: 30, batch: 2, seed: 1, bos: 0 }),
 * );
 * // The bundled model's induction heads compose through their keys.
 * console.log(K.at(0) - fullLoss > 1, Q.at(0) - fullLoss < K.at(0) - fullLoss);
 * // true true
 * ```
 */
export function compositionImportance(
  model: Transformer,
  tokens: TokensLike,
  options: ProgressOptions = {},
): CompositionImportance {
  requireKind("model", model, "model", "compositionImportance", options, "signal onProgress");
  const operation = "compositionImportance";
  const frozen = freeze(model, tokens, operation, options.signal);
  requireWithinWindow(model.config, frozen.run.tokens.sizeOf("pos"), operation);
  requireNextTokens(frozen, operation);
  const orders = Math.max(1, model.config.n_layers);
  const steps = new Steps(options, Math.max(1, model.config.n_layers));
  const ends = endsOf(frozen, orders, steps);
  const losses = (side: Side): Tensor<"order"> =>
    Tensor.from(
      "order",
      [orders],
      Float64Array.from(ends[side], (stream) => lossOfEnd(frozen, stream)),
    );
  const Q = losses("Q");
  return { Q, K: losses("K"), both: losses("both"), fullLoss: Q.at(orders - 1) };
}

type Side = "Q" | "K" | "both";

/** The last streams for every side and order, by one pass over the layers. */
function endsOf(frozen: FrozenRun, orders: number, steps: Steps): Record<Side, Stream[]> {
  const direct = directStream(frozen);
  const everywhere = (): Stream[] => Array.from({ length: orders }, () => direct);
  const ends = { Q: everywhere(), K: everywhere(), both: everywhere() };
  // Paths of each order before the layer, and what begins in biases.
  const sums: Stream[] = [direct];
  let bias: Stream = Tensor.zeros("batch pos d_model", direct.shape, "float64");
  for (const layer of frozen.model.layers) {
    const read = readings(frozen, layer, sums, bias);
    const q = read.map((stream) => sideOf(frozen, layer, "Q", stream));
    const k = read.map((stream) => sideOf(frozen, layer, "K", stream));
    const whole = layer.layer;
    const add1 = (side: Side, order: number): Stream => {
      const cut = Math.min(order, whole);
      const pattern = patternsOf(
        frozen,
        layer,
        q[side === "K" ? whole : cut] as Vectors,
        k[side === "Q" ? whole : cut] as Vectors,
      );
      return addMlp(frozen, whole, add(moved(frozen, layer, pattern), layer.b_O));
    };
    const real = add1("both", whole);
    for (const side of SIDES) {
      ends[side] = ends[side].map((stream, order) => add(stream, order < whole ? add1(side, order) : real));
    }
    bias = add(bias, layerOutput(frozen, layer.layer, bias));
    advanceOrders(frozen, layer.layer, sums);
    steps.advance();
  }
  return ends;
}

function lossOfEnd(frozen: FrozenRun, stream: Stream): number {
  const linear = throughFinalNorm(frozen, stream);
  return lossOfStream(frozen, frozen.model.ln_final === undefined ? linear : frozen.model.ln_final.addBias(linear));
}

/**
 * What a layer reads of the paths of at most 0, 1, … heads and of all biases, its norm's scale frozen, positions
 * included.
 */
function readings(frozen: FrozenRun, { layer, ln1 }: AttentionLayer, sums: readonly Stream[], bias: Stream): Stream[] {
  const { model, run } = frozen;
  const isShortformer = model.config.positional_embedding_type === "shortformer";
  let stream = bias;
  return sums.map((sum) => {
    stream = add(stream, sum);
    const linear = throughFrozenNorm(frozen, layer, stream);
    const read = ln1?.b === undefined ? linear : add(linear, constantStream(frozen, ln1.b));
    return isShortformer ? add(read, astype(run.cache.get("hook_pos_embed"), "float64")) : read;
  });
}

/** Queries or keys of all heads, rotated to their positions where the model rotates them. */
function sideOf(
  { model }: FrozenRun,
  layer: AttentionLayer,
  side: "Q" | "K",
  read: Stream,
): Tensor<"head batch pos d_head"> {
  const [W, b] = side === "Q" ? [layer.W_Q, layer.b_Q] : [layer.W_K, layer.b_K];
  const perHead = layer.heads.map(({ head }) => add(matmul(read, W.select("head", head)), b.select("head", head)));
  const all: Vectors = stack("head", perHead);
  if (model.config.positional_embedding_type !== "rotary") return all;
  return rotate(all.permute("batch pos head d_head"), model.config).permute("head batch pos d_head");
}

/** Patterns of all heads, `[head, batch, query_pos, key_pos]`, float64. */
function patternsOf({ model }: FrozenRun, layer: AttentionLayer, q: Vectors, k: Vectors): Float64Array {
  const [heads = 0, batch = 0, pos = 0, d_head = 0] = q.shape;
  const flat = (t: Tensor): Tensor<"stack pos d_head"> => reshaped(t, "stack pos d_head", [heads * batch, pos, d_head]);
  const keys = flat(k).rename("pos", "key_pos").permute("stack d_head key_pos");
  const scores = (batchMatmul(flat(q), keys).data as Float64Array).map((x) => x / layer.attnScale);
  const output = new Float64Array(scores.length);
  patternOf(scores, pos, model.config.attention_dir === "causal", output);
  return output;
}

/** What the layer's heads write when they move the run's values by other patterns; $b_O$ is not added. */
function moved({ run }: FrozenRun, layer: AttentionLayer, pattern: Float64Array): Stream {
  const v = run.cache.get(`blocks.${layer.layer}.attn.hook_v`);
  const [batch = 0, pos = 0] = v.shape;
  const size = batch * pos * pos;
  const parts = layer.heads.map(({ head, keyValueHead }) => {
    const A = Tensor.from("batch pos key_pos", [batch, pos, pos], pattern.subarray(head * size, (head + 1) * size));
    const own: Tensor<"batch pos d_head"> = v.select("head", keyValueHead);
    const values = astype(own, "float64").rename("pos", "key_pos");
    return matmul(batchMatmul(A, values), layer.W_O.select("head", head));
  });
  return parts.reduce((a, b) => add(a, b));
}
