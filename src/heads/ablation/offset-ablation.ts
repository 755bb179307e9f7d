/** Which relative positions a head needs (ARENA 1.2, ablation of all but some offsets). */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { editAt, toTokenTensor } from "../../model/index.ts";
import { runLosses } from "../../model/internal.ts";
import type { HeadRef, TokensLike, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";

/**
 * What {@link offsetAblatedLosses} leaves of a head.
 * @category Head scores
 */
export interface OffsetAblationOptions {
  /**
   * Offsets, query position minus key position, whose values stay: `[1]` for what a previous-token head should need.
   */
  readonly keep: readonly number[];
  /** Cancels the runs. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The loss of each prediction when a head reads values only at some relative offsets and everywhere else their mean
 * over the prompts, its pattern as it was; in nats. If the loss is the model's own, those offsets are all that the head
 * needs.
 *
 * @param tokens - several prompts of equal length, of at least two tokens.
 * @param head - the head, by place or label.
 * @returns `[batch, pos]`, as {@link lossPerToken}.
 * @throws {@link InputError} for tokens the model cannot run or predict, fewer than two prompts, a head that the model
 * does not have, or an offset that is not a whole number; the signal's reason when aborted.
 * @category Head scores
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { meanAll } from "transformer-circuits/tensor";
 * import { ablatedLosses, offsetAblatedLosses } from "transformer-circuits/heads";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 50, batch: 4, seed: 0, bos: 0 });
 * const clean = meanAll(ablatedLosses(model, tokens, []));
 * const rise = (keep: number[]) => meanAll(offsetAblatedLosses(model, tokens, "L0H5", { keep })) - clean;
 * // The previous-token head needs the previous token.
 * console.log(rise([1]) < 0.1 * rise([]), rise([0]) > 0.5 * rise([]));
 * // true true
 * ```
 */
export function offsetAblatedLosses(
  model: Transformer,
  tokens: TokensLike,
  head: HeadRef,
  options: OffsetAblationOptions,
): Tensor<"batch pos"> {
  requireKind("model", model, "model", "offsetAblatedLosses", options, "keep signal");
  requireObject(options, "options", "offsetAblatedLosses");
  requireKind("list", options.keep, "options.keep", "offsetAblatedLosses");
  const operation = "offsetAblatedLosses";
  const { layer, head: index } = model.head(head);
  const { keep, signal } = options;
  const checked = toTokenTensor(model.config, tokens, operation);
  const [batch = 0, pos = 0] = checked.shape;
  if (pos < 2 || batch < 2) {
    throw new InputError(
      `the tokens are ${batch} ${batch === 1 ? "prompt" : "prompts"} of ${pos}; values are replaced by their mean over prompts, and losses are of next tokens. Give at least 2 prompts of 2 tokens.`,
      { operation, argument: "tokens", expected: [2, 2], actual: [batch, pos] },
    );
  }
  const wrong = keep.find((offset) => !Number.isSafeInteger(offset));
  if (wrong !== undefined) {
    throw new InputError(`offset ${wrong} is no whole number of positions from key to query.`, {
      operation,
      argument: "keep",
      expected: "integers",
      actual: wrong,
    });
  }
  const abort = signal === undefined ? {} : { signal };
  const at = `blocks.${layer}` as const;
  const names = [`${at}.hook_resid_pre`, `${at}.attn.hook_pattern`, `${at}.attn.hook_v`, `${at}.attn.hook_z`] as const;
  const run = model.run(checked, { cache: names, unembed: "none", ...abort });
  const { cache } = run;
  const pattern = cache.get(names[1]).select("head", index);
  const own = readSome(
    pattern,
    cache.get(names[2]).select("head", model.head({ layer, head: index }).keyValueHead),
    new Set(keep),
  );
  const from = { run, hook: names[3] };
  return runLosses(model, checked, { from, edits: editAt(names[3], (z) => withHead(z, index, own)), signal });
}

/** The heads' outputs with those of one head replaced, `[batch, pos, d_head]`. */
function withHead(
  all: Tensor<"batch pos head d_head">,
  index: number,
  own: Float64Array,
): Tensor<"batch pos head d_head"> {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = all.shape;
  const data = rawData(all).slice();
  for (let row = 0; row < batch * pos; row++)
    for (let e = 0; e < d_head; e++) data[(row * heads + index) * d_head + e] = own[row * d_head + e] as number;
  return Tensor.from("batch pos head d_head", all.shape, data);
}

/** $\sum_j A_{ij} v_j$ with $v_j$ replaced by its mean over prompts where $i - j$ is not kept. */
function readSome(
  pattern: Tensor<"batch query_pos key_pos">,
  v: Tensor<"batch pos d_head">,
  keep: ReadonlySet<number>,
): Float64Array {
  const [batch = 0, pos = 0, d_head = 0] = v.shape;
  const [A, values] = [rawData(pattern), rawData(v)];
  const means = new Float64Array(pos * d_head);
  for (let t = 0; t < values.length; t++)
    means[t % means.length] = (means[t % means.length] as number) + (values[t] as number) / batch;
  const out = new Float64Array(values.length);
  for (let row = 0; row < batch * pos; row++) {
    const [b, i] = [Math.floor(row / pos), row % pos];
    for (let j = 0; j < pos; j++) {
      const weight = A[row * pos + j] as number;
      if (weight === 0) continue;
      const [from, data] = keep.has(i - j) ? [(b * pos + j) * d_head, values] : [j * d_head, means];
      for (let e = 0; e < d_head; e++)
        out[row * d_head + e] = (out[row * d_head + e] as number) + weight * (data[from + e] as number);
    }
  }
  return out;
}
