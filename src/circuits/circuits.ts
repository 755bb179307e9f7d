/**
 * The circuits of a model from tokens to tokens, as linear maps in factors: nothing of size vocabulary x vocabulary is
 * built.
 *
 * Source: *A Mathematical Framework for Transformer Circuits*, "Splitting Attention Head terms into Query-Key and
 * Output-Value Circuits" and "The path expansion trick". Rows are vectors here and columns in the paper: OV circuits
 * are the transposes of the paper's, QK circuits are the same. All maps are those of the raw weights: without biases,
 * norms, positions and attention scale, so where a model has norms, fold them into the weights first.
 */
import { ConfigError, InputError, requireKind } from "../errors.ts";
import { compose, linear, sumMaps, transpose } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import { headLabel, parseHead, rotationMatrix } from "../model/index.ts";
import type { AttentionHead, HeadRef, Transformer } from "../model/index.ts";

/**
 * The direct path from tokens to logits, $W_E W_U$: the bigram table of a model without layers, and what is left of
 * bigrams in one with (*A Mathematical Framework*, "Zero-layer transformers").
 *
 * @returns `[d_vocab, d_vocab]`: row = present token, column = next token, logits.
 * @category Circuits
 * @example
 * ```ts
 * import { directPathCircuit, topKOfRow } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const bigrams = directPathCircuit(model);
 * console.log(String(bigrams));
 * // Linear[d_vocab=1024 -> d_vocab=1024] of rank at most 128
 * console.log(topKOfRow(bigrams, 500, 3).length);
 * // 3
 * ```
 */
export function directPathCircuit(model: Transformer): Linear<"d_vocab", "d_vocab"> {
  requireKind("model", model, "model", "directPathCircuit");
  return compose(model.W_E, model.W_U);
}

/**
 * The full OV circuit of a head, $W_E W_V W_O W_U$: how attending to a token changes the logits
 * (*A Mathematical Framework*, "Splitting Attention Head terms into Query-Key and Output-Value Circuits").
 *
 * @param head - the head, by place or label.
 * @returns `[d_vocab, d_vocab]`: row = source token, column = output token, logits for each unit of attention.
 * @throws {@link InputError} when the model has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { fullOVCircuit } from "transformer-circuits";
 * import { diagonalTopK } from "transformer-circuits/linear";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const circuit = fullOVCircuit(model, "L1H4");
 * console.log(String(circuit));
 * // Linear[d_vocab=1024 -> d_vocab=1024] of rank at most 16
 * console.log(diagonalTopK(circuit, 5) > 0.5);
 * // true
 * ```
 */
export function fullOVCircuit(model: Transformer, head: HeadRef): Linear<"d_vocab", "d_vocab"> {
  requireKind("model", model, "model", "fullOVCircuit");
  return compose(model.W_E, model.head(head).W_OV, model.W_U);
}

/**
 * The effective OV circuit of several heads that attend alike, $W_E \left(\sum_h W_V^h W_O^h\right) W_U$: heads add up,
 * so where their patterns agree they act as one head of up to that many times the rank (ARENA 1.2, "Full OV circuit").
 *
 * QK circuits have no such sum: each head has a softmax of its own.
 *
 * @param heads - at least one head, none twice.
 * @returns `[d_vocab, d_vocab]`: row = source token, column = output token, logits.
 * @throws {@link InputError} when there are no heads, one is named twice or the model has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { fullOVCircuit } from "transformer-circuits";
 * import { diagonalTopK } from "transformer-circuits/linear";
 * import { effectiveOVCircuit } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const together = effectiveOVCircuit(model, ["L1H3", "L1H4"]);
 * console.log(String(together));
 * // Linear[d_vocab=1024 -> d_vocab=1024] of rank at most 32
 * console.log(diagonalTopK(together) > diagonalTopK(fullOVCircuit(model, "L1H4")));
 * // true
 * ```
 */
export function effectiveOVCircuit(model: Transformer, heads: readonly HeadRef[]): Linear<"d_vocab", "d_vocab"> {
  requireKind("model", model, "model", "effectiveOVCircuit");
  const chosen = distinctHeads(model, heads, "effectiveOVCircuit");
  return compose(model.W_E, sumMaps(chosen.map((head) => head.W_OV)), model.W_U);
}

/**
 * The full QK circuit of a head, $W_E W_Q W_K^\top W_E^\top$: which tokens it would look from and to, if tokens were
 * all it saw (*A Mathematical Framework*, "Splitting Attention Head terms into Query-Key and Output-Value Circuits").
 *
 * Only differences along a row mean anything: adding a number to a row changes no pattern. Entries are not divided by
 * the attention scale. In a rotary model the rotation makes it another matrix for every offset,
 * $W_E W_Q R_\delta W_K^\top W_E^\top$ (Su et al. 2021).
 *
 * @param head - the head, by place or label.
 * @param options - `offset`, for rotary models: query position minus key position. 0, the default, is the token itself,
 * 1 the one before it; negative offsets exist where attention is not causal.
 * @returns `[d_vocab, d_vocab]`: row = query token, column = key token, unscaled scores.
 * @throws {@link InputError} when the model has no such head or the offset is not an integer; {@link ConfigError} for
 * an offset when the model's positions are not rotary.
 * @category Circuits
 * @example
 * ```ts
 * import { Tensor, Transformer, expectedWeights, fullQKCircuit, parseConfig, toDense } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(fullQKCircuit(model, "L1H4")));
 * // Linear[d_vocab=1024 -> d_vocab*=1024] of rank at most 16
 *
 * // A rotary model of two tokens, one head of width 2, every weight 1: keys turn by one radian for each position.
 * const config = parseConfig({
 *   n_layers: 1, n_heads: 1, d_model: 1, d_head: 2, n_ctx: 8, d_vocab: 2, attn_only: true,
 *   positional_embedding_type: "rotary", normalization_type: null,
 * });
 * const weights = [...expectedWeights(config)].map(([name, { axes, shape }]) => {
 *   const size = shape.reduce((product, n) => product * n, 1);
 *   return [name, Tensor.from(axes, shape, Array.from({ length: size }, () => 1))] as const;
 * });
 * const rotary = Transformer.fromWeights(config, new Map(weights));
 * for (const offset of [0, 1, 3])
 *   console.log(toDense(fullQKCircuit(rotary, "L0H0", { offset })).at(0, 1).toFixed(3));
 * // 2.000
 * // 1.081
 * // -1.980
 * ```
 */
export function fullQKCircuit(
  model: Transformer,
  head: HeadRef,
  options: { readonly offset?: number | undefined } = {},
): Linear<"d_vocab", "d_vocab*"> {
  requireKind("model", model, "model", "fullQKCircuit", options, "offset");
  const { W_Q, W_K, W_QK } = model.head(head);
  const form = options.offset === undefined ? W_QK : compose(W_Q, turnedBy(model, options.offset), transpose(W_K));
  return compose(model.W_E, form, transpose(model.W_E));
}

/** The rotation of a key that lies `offset` positions before its query. */
function turnedBy({ config }: Transformer, offset: number): Linear<"d_head", "d_head"> {
  const { positional_embedding_type } = config;
  if (positional_embedding_type !== "rotary") {
    throw new ConfigError(
      `only rotary positions make the QK circuit depend on the offset; this model has positional_embedding_type=${positional_embedding_type}. Leave out offset.`,
      { operation: "fullQKCircuit", argument: "model", expected: "rotary", actual: positional_embedding_type },
    );
  }
  if (!Number.isSafeInteger(offset)) {
    throw new InputError(`offset is ${offset}; give a whole number of positions from key to query.`, {
      operation: "fullQKCircuit",
      argument: "offset",
      expected: "an integer",
      actual: offset,
    });
  }
  return linear("d_head", "d_head", rotationMatrix(config, offset));
}

/**
 * The K-composition circuit of a pair of heads, $W_E W_{QK}^{ind} (W_{OV}^{prev})^\top W_E^\top$: how well the query's
 * token matches the token that an earlier head moved to the key. With a previous-token head it is the heart of an
 * induction head: the token *before* the key, matched with the present one (*A Mathematical Framework*, "How Induction
 * Heads Work").
 *
 * Several previous-token heads whose patterns agree are taken together, as the sum of what they move.
 *
 * How often a token matches itself best, for queries and for keys: {@link kCompositionAccuracy}.
 *
 * @param previous - the earlier head, which writes what keys are read from, or several.
 * @param induction - the later head, which looks.
 * @returns `[d_vocab, d_vocab]`: row = query token, column = token that `previous` attended to from the key, unscaled
 * scores.
 * @throws {@link InputError} when the heads are not in this order, there are none, one is named twice or the model has
 * no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { kCompositionCircuit } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(kCompositionCircuit(model, "L0H5", "L1H4")));
 * // Linear[d_vocab=1024 -> d_vocab*=1024] of rank at most 16
 * ```
 */
export function kCompositionCircuit(
  model: Transformer,
  previous: HeadRef | readonly HeadRef[],
  induction: HeadRef,
): Linear<"d_vocab", "d_vocab*"> {
  requireKind("model", model, "model", "kCompositionCircuit");
  const operation = "kCompositionCircuit";
  const earlier = distinctHeads(model, listOf(previous), operation);
  const later = model.head(induction);
  for (const head of earlier) requireOrder(head, later, operation);
  const moved = sumMaps(earlier.map((head) => head.W_OV));
  return compose(model.W_E, later.W_QK, transpose(moved), transpose(model.W_E));
}

/**
 * The Q-composition circuit of a pair of heads, $W_E W_{OV}^{earlier} W_{QK}^{later} W_E^\top$: how well what an
 * earlier head moved to the query matches the key's token (*A Mathematical Framework*, "Path expansion of attention
 * scores QK circuit").
 *
 * @returns `[d_vocab, d_vocab]`: row = token that `earlier` attended to from the query, column = key token, unscaled
 * scores.
 * @throws {@link InputError} when the heads are not in this order, or the model has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { frobeniusNormOf } from "transformer-circuits/linear";
 * import { kCompositionCircuit, qCompositionCircuit } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [q, k] = [qCompositionCircuit, kCompositionCircuit].map((circuit) => circuit(model, "L0H5", "L1H4"));
 * if (q !== undefined && k !== undefined) console.log(frobeniusNormOf(q) < frobeniusNormOf(k));
 * // true
 * ```
 */
export function qCompositionCircuit(
  model: Transformer,
  earlier: HeadRef,
  later: HeadRef,
): Linear<"d_vocab", "d_vocab*"> {
  requireKind("model", model, "model", "qCompositionCircuit");
  const [first, second] = inOrder(model, earlier, later, "qCompositionCircuit");
  return compose(model.W_E, first.W_OV, second.W_QK, transpose(model.W_E));
}

/**
 * The full OV circuit of a virtual head, $W_E W_{OV}^{1} W_{OV}^{2} W_U$: what V-composition of two heads moves
 * (*A Mathematical Framework*, "Virtual attention heads"). Its pattern is the product of theirs.
 *
 * @returns `[d_vocab, d_vocab]`: row = source token, column = output token, logits for each unit of both attentions.
 * @throws {@link InputError} when the heads are not in this order, or the model has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { virtualOVCircuit } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(virtualOVCircuit(model, "L0H5", "L1H4")));
 * // Linear[d_vocab=1024 -> d_vocab=1024] of rank at most 16
 * ```
 */
export function virtualOVCircuit(model: Transformer, earlier: HeadRef, later: HeadRef): Linear<"d_vocab", "d_vocab"> {
  requireKind("model", model, "model", "virtualOVCircuit");
  const [first, second] = inOrder(model, earlier, later, "virtualOVCircuit");
  return compose(model.W_E, first.W_OV, second.W_OV, model.W_U);
}

/** One head or several, as a list. */
function listOf(heads: HeadRef | readonly HeadRef[]): readonly HeadRef[] {
  return isList(heads) ? heads : [heads];
}

/** Whether several heads are given. */
export function isList(heads: HeadRef | readonly HeadRef[]): heads is readonly HeadRef[] {
  return Array.isArray(heads);
}

/** Heads of a list in its order; refuses an empty list and repeats. */
export function distinctHeads(
  model: Transformer,
  heads: readonly HeadRef[],
  operation: string,
): readonly AttentionHead[] {
  const given: unknown = heads;
  if (!Array.isArray(given)) {
    const example = typeof given === "string" ? JSON.stringify(given) : '"L0H5"';
    throw new InputError(`the heads are ${String(given)}, which is no list. Write [${example}].`, {
      operation,
      argument: "heads",
      expected: "a list of heads",
      actual: given,
    });
  }
  const chosen = heads.map((ref) => model.head(ref));
  if (chosen.length === 0) {
    throw new InputError("there are no heads. Give at least one.", { operation, argument: "heads", actual: 0 });
  }
  const repeated = chosen.find((head, i) => chosen.indexOf(head) !== i);
  if (repeated !== undefined) {
    throw new InputError(`head ${repeated.label} is named twice; name each head once.`, {
      operation,
      argument: "heads",
      actual: heads.map((ref) => headLabel(typeof ref === "string" ? parseHead(ref) : ref)),
    });
  }
  return chosen;
}

/** Rejects a pair of heads of which the first cannot write what the second reads. */
export function requireOrder(earlier: AttentionHead, later: AttentionHead, operation: string): void {
  if (earlier.layer < later.layer) return;
  const hint = earlier.layer > later.layer ? " Swap them?" : "";
  throw new InputError(
    `${earlier.label} does not come before ${later.label}: only a head of an earlier layer can write what a later one reads.${hint}`,
    { operation, argument: "earlier", expected: `a layer before ${later.layer}`, actual: earlier.layer },
  );
}

function inOrder(
  model: Transformer,
  earlier: HeadRef,
  later: HeadRef,
  operation: string,
): readonly [AttentionHead, AttentionHead] {
  const pair = [model.head(earlier), model.head(later)] as const;
  requireOrder(pair[0], pair[1], operation);
  return pair;
}
