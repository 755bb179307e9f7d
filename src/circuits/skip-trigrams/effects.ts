/** The effects of skip-trigrams that are given, many at once. */
import { requireKind, requireKinds } from "../../errors.ts";
import { applyMap, compose, restrict, toDense, transpose } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { dot, rawData } from "../../tensor/internal.ts";
import { requireToken } from "../../model/internal.ts";
import { attentionAgainstRival } from "./bugs.ts";
import type { SkipTrigramEffect, SkipTrigramPair } from "./bugs.ts";
import { TOKEN_PAIR } from "./skip-trigrams.ts";

/**
 * The effect of each skip-trigram `source … destination → out` of a list,
 * $\sigma(S_{b,a} - S_{b,\text{rival}})\, \mathrm{OV}_{a,c}$: what a destination $b$ that may attend to the source $a$
 * or to the start token adds to the logit of the output $c$. Without a start token the rival is one of mean score, as
 * in {@link skipTrigramBugs}.
 *
 * Only the tokens that occur are multiplied out, so that hundreds of thousands of trigrams of a large vocabulary take
 * seconds.
 *
 * @param head - the head, by place or label.
 * @param trigrams - source, destination and output tokens.
 * @param options - `start`, the model's BOS token.
 * @returns one effect for each, in their order.
 * @throws {@link InputError} when a token or head does not exist.
 * @category Circuits
 * @example
 * ```ts
 * import { skipTrigramEffects } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const [source = 0, destination = 0, out = 0] = ["org", "/", "docs"].map((text) => tokenizer.encode(text)[0] ?? 0);
 * const [found] = skipTrigramEffects(model, "L0H3", [{ source, destination, out }], { start: tokenizer.bos });
 * console.log(found?.effect.toFixed(1), found?.attention.toFixed(2));
 * // 3.4 1.00
 * ```
 */
export function skipTrigramEffects(
  model: Transformer,
  head: HeadRef,
  trigrams: readonly (SkipTrigramPair & { readonly source: number })[],
  options: { readonly start?: number | undefined } = {},
): SkipTrigramEffect[] {
  requireKind("model", model, "model", "skipTrigramEffects", options, "start");
  requireKinds(TOKEN_PAIR, trigrams, "trigrams", "skipTrigramEffects");
  requireKind("list", trigrams, "trigrams", "skipTrigramEffects");
  const operation = "skipTrigramEffects";
  const { start } = options;
  const { d_vocab_out } = model.config;
  if (start !== undefined) requireToken(model, start, "start", operation);
  for (const { source, destination, out } of trigrams) {
    requireToken(model, source, "source", operation);
    requireToken(model, destination, "destination", operation);
    requireToken(model, out, "out", operation, d_vocab_out);
  }
  const { layer, W_Q, W_K, W_V, W_O } = model.head(head);
  const scale = model.layer(layer).attnScale;
  const sources = distinct(trigrams.map(({ source }) => source));
  const destinations = distinct(trigrams.map(({ destination }) => destination));
  const outs = distinct(trigrams.map(({ out }) => out));
  const of = (ids: ReadonlyMap<number, number>): Linear<string, "d_model"> =>
    restrict(model.W_E, { rows: [...ids.keys()] });
  const queries = rowsDense(compose(of(destinations), W_Q));
  const keys = rowsDense(compose(of(sources), W_K));
  const values = rowsDense(compose(of(sources), W_V));
  const written = rowsDense(compose(restrict(transpose(model.W_U), { rows: [...outs.keys()] }), transpose(W_O)));
  const rivalKey = rivalKeyOf(model, W_K, start);
  const rivals = Float64Array.from({ length: destinations.size }, (_, b) => product(queries, b, rivalKey, 0));
  return trigrams.map(({ source, destination, out }) => {
    const [a = 0, b = 0, c = 0] = [sources.get(source), destinations.get(destination), outs.get(out)];
    const score = (product(queries, b, keys, a) - (rivals[b] as number)) / scale;
    const attention = attentionAgainstRival(score);
    return { source, destination, out, attention, effect: attention * product(values, a, written, c) };
  });
}

/** The key of the start token, or the mean of all tokens' keys. */
function rivalKeyOf(model: Transformer, W_K: Linear<"d_model">, start: number | undefined): Rows {
  if (start !== undefined) return rowsDense(compose(restrict(model.W_E, { rows: [start] }), W_K));
  const { d_vocab } = model.config;
  const uniform = Tensor.from("row d_vocab", [1, d_vocab], new Float64Array(d_vocab).fill(1 / d_vocab));
  return rowsOfTensor(applyMap(uniform, compose(model.W_E, W_K)));
}

/** Places of the distinct ids. */
function distinct(ids: readonly number[]): ReadonlyMap<number, number> {
  const places = new Map<number, number>();
  for (const id of ids) if (!places.has(id)) places.set(id, places.size);
  return places;
}

interface Rows {
  readonly width: number;
  readonly data: ArrayLike<number>;
}

function rowsDense(map: Linear): Rows {
  return rowsOfTensor(toDense(map));
}

function rowsOfTensor(t: Tensor): Rows {
  return { width: t.shape[1] ?? 0, data: rawData(t) };
}

function product(a: Rows, i: number, b: Rows, j: number): number {
  return dot(a.data, i * a.width, b.data, j * b.width, a.width);
}
