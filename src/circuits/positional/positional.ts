/** What a head does by position alone: the positional QK circuit, and its pattern. */
import { ConfigError, InputError, requireKind } from "../../errors.ts";
import { compose, restrict, toDense, transpose } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { patternOf } from "../../model/internal.ts";
import { softmax, Tensor } from "../../tensor/index.ts";
import { dataForResult } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";

/**
 * The positional part of a head's QK circuit, $W_{pos} W_Q W_K^\top W_{pos}^\top$: from which positions it would look
 * to which, if positions were all it saw (ARENA 1.2, "QK circuit").
 *
 * For `standard` positions it is one of four blocks of the scores (token or position on either side) and takes the
 * stream to hold nothing else; for `shortformer` it is exact in every layer.
 *
 * @param head - the head, by place or label.
 * @returns `[pos, pos]`: row = query position, column = key position, unscaled scores, not masked.
 * @throws {@link ConfigError} when the model has no positional embedding; {@link InputError} when it has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { positionalQKCircuit } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(positionalQKCircuit(model, "L0H5")));
 * // Linear[pos=128 -> pos*=128] of rank at most 16
 * ```
 */
export function positionalQKCircuit(model: Transformer, head: HeadRef): Linear<"pos", "pos*"> {
  requireKind("model", model, "model", "positionalQKCircuit");
  return positionalCircuit(model, head, positionalEmbedding(model, "positionalQKCircuit"));
}

/**
 * The attention pattern of a head by position alone,
 * $\mathrm{softmax}(W_{pos} W_Q W_K^\top W_{pos}^\top / \text{scale})$ with future keys masked
 * (*A Mathematical Framework*, "Primarily Positional Attention Heads"; ARENA 1.2 shows it for a previous-token head).
 *
 * Biases are left out, as are norms. A head's real pattern also depends on the tokens.
 *
 * @param head - the head, by place or label.
 * @param n - how many positions, the model's n_ctx unless given.
 * @returns `[query_pos, key_pos]`: rows sum to 1.
 * @throws {@link ConfigError} when the model has no positional embedding; {@link InputError} when `n` is not from 1 to
 * n_ctx or the model has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { attentionByOffset, positionalPattern } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const profile = attentionByOffset(positionalPattern(model, "L0H5"));
 * console.log(profile.at(1) > 0.5);
 * // true
 * ```
 */
export function positionalPattern(
  model: Transformer,
  head: HeadRef,
  n: number = (model as Partial<Transformer> | undefined)?.config?.n_ctx ?? 0,
): Tensor<"query_pos key_pos"> {
  requireKind("model", model, "model", "positionalPattern");
  const operation = "positionalPattern";
  const { n_ctx } = model.config;
  const W_pos = positionalEmbedding(model, operation);
  if (!Number.isInteger(n) || n < 1 || n > n_ctx) {
    throw new InputError(`n is ${n}, but the model has positions for 1 to n_ctx=${n_ctx} tokens.`, {
      operation,
      argument: "n",
      expected: [1, n_ctx],
      actual: n,
    });
  }
  const cut = n === n_ctx ? W_pos : restrict(W_pos, { rows: Array.from({ length: n }, (_, i) => i) });
  const { attnScale: scale, window = n } = model.layer(model.head(head).layer);
  const scores = (toDense(positionalCircuit(model, head, cut)).data as Float64Array).map((score) => score / scale);
  if (model.config.attention_dir === "bidirectional")
    return softmax(Tensor.from("query_pos key_pos", [n, n], scores), "key_pos");
  for (let i = window; i < n; i++) scores.fill(-Infinity, i * n, i * n + i + 1 - window);
  const output = dataForResult("float32", n * n) as FloatArray;
  patternOf(scores, n, true, output);
  return Tensor.from("query_pos key_pos", [n, n], output);
}

function positionalCircuit(model: Transformer, head: HeadRef, W_pos: Linear<"pos", "d_model">): Linear<"pos", "pos*"> {
  return compose(W_pos, model.head(head).W_QK, transpose(W_pos));
}

function positionalEmbedding(model: Transformer, operation: string): Linear<"pos", "d_model"> {
  if (model.W_pos !== undefined) return model.W_pos;
  const { positional_embedding_type } = model.config;
  const hint =
    positional_embedding_type === "rotary" ? " For rotary positions there is fullQKCircuit with an offset." : "";
  throw new ConfigError(
    `this model has no positional embedding: positional_embedding_type=${positional_embedding_type}.${hint}`,
    { operation, argument: "model", expected: ["standard", "shortformer"], actual: positional_embedding_type },
  );
}
