/**
 * Skip-trigrams, `source … destination → out`: the QK circuit says which destination tokens look at a source token, the
 * OV circuit which output tokens it then raises (*A Mathematical Framework for Transformer Circuits*, "Interpretation
 * as skip-trigrams").
 *
 * Both are read from tokens alone: without biases, norms and positions, and for rotary models at offset 0.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { requireChoice, requireCount, requireToken } from "../../model/internal.ts";
import { checkFrequencies, SCORE_REFERENCES } from "./references.ts";
import type { ScoreReference } from "./references.ts";
import { passes } from "./filters.ts";
import type { SkipTrigramFilters } from "./filters.ts";
import { tokenScores } from "./token-scores.ts";
import type { TokenValue } from "./top-tokens.ts";
import type { Kind } from "../../errors.ts";

export const TOKEN_PAIR: Kind = {
  member: "destination",
  what: "an object with the tokens destination and out",
  remedy: "Name both",
};

/**
 * Options of {@link skipTrigrams}.
 * @category Circuits
 */
export interface SkipTrigramOptions {
  /** How many destination and output tokens for each source; 10 by default. */
  readonly k?: number | undefined;
  /** What scores are compared with; `raw` by default. */
  readonly reference?: ScoreReference | undefined;
  /** The start (BOS) token: never listed as a destination, and what the reference `start` compares with. */
  readonly start?: number | undefined;
  /** `[d_vocab]`: how often each token occurs, for the means of `reference`; alike if left out. */
  readonly frequencies?: ArrayLike<number> | undefined;
  /** Tokens that are not to be listed, such as untrained ones. */
  readonly exclude?: ((token: number) => boolean) | undefined;
  /** The only tokens to be listed, for each place; the sources are those asked for. */
  readonly among?: Omit<SkipTrigramFilters, "source"> | undefined;
}

/**
 * What a head does with one source token.
 * @category Circuits
 */
export interface SkipTrigrams {
  readonly source: number;
  /** Tokens from which it is looked at most, with scores (divided by the attention scale), largest first. */
  readonly destination: readonly TokenValue[];
  /** Tokens that attending to it raises most, with logits, largest first. */
  readonly out: readonly TokenValue[];
}

/**
 * The skip-trigrams of chosen source tokens: for each, the destination tokens with the largest entries of its column of
 * the full QK circuit and the output tokens with the largest entries of its row of the full OV circuit, as in the
 * paper's tables; scores are those of one of four normalisations, {@link ScoreReference}. There is no joint score here;
 * see {@link topSkipTrigrams} for one.
 *
 * @param head - the head, by place or label.
 * @param sources - ids of source tokens.
 * @param options - `k`, `reference`, `start`, `frequencies`, `exclude`, `among`.
 * @returns one entry for each source, in their order; ties go to the lower id.
 * @throws {@link InputError} when a token, `k` or head does not exist, frequencies are not those of the vocabulary, or
 * the reference is `start` and no start token is given.
 * @category Circuits
 * @example
 * ```ts
 * import { skipTrigrams } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const sources = tokenizer.encode("string");
 * for (const { source, out } of skipTrigrams(model, "L1H4", sources, { k: 3, start: tokenizer.bos })) {
 *   console.log(tokenizer.tokenString(source), out.map(({ token }) => tokenizer.tokenString(token)));
 * }
 * // st [ 'ends', 'dec', 'lean' ]
 * // ring [ 'ring', 'ule', 'te' ]
 * ```
 */
export function skipTrigrams(
  model: Transformer,
  head: HeadRef,
  sources: readonly number[],
  options: SkipTrigramOptions = {},
): SkipTrigrams[] {
  requireKind("model", model, "model", "skipTrigrams", options, "k reference start frequencies exclude among");
  requireKind("list", sources, "sources", "skipTrigrams");
  const operation = "skipTrigrams";
  const { k = 10, reference = "raw", start, frequencies, exclude = () => false, among = {} } = options;
  if (among !== undefined) requireObject(among, "among", operation);
  requireCount(k, "k", operation);
  requireReference(model, { reference, start, frequencies }, operation);
  for (const source of sources) requireToken(model, source, "source", operation);
  const isDestination = passes(model, among.destination, "destination", operation);
  const isOut = passes(model, among.out, "out", operation);
  const scores = tokenScores(model, head, reference, { start, frequencies });
  const destinations = scores.topDestinations(
    sources,
    k,
    (token) => token === start || exclude(token) || !isDestination(token),
  );
  const outs = scores.topOutputs(sources, k, (token) => exclude(token) || !isOut(token));
  return sources.map((source, i) => ({ source, destination: destinations[i] ?? [], out: outs[i] ?? [] }));
}

/** Rejects what is no reference, or lacks what it is made of. */
export function requireReference(
  model: Transformer,
  { reference, start, frequencies }: Pick<SkipTrigramOptions, "reference" | "start" | "frequencies">,
  operation: string,
): void {
  if (reference !== undefined) requireChoice(reference, SCORE_REFERENCES, "reference", operation);
  if (start !== undefined) requireToken(model, start, "start", operation);
  checkFrequencies(frequencies, model.config.d_vocab, operation);
  if (reference === "start" && start === undefined) {
    throw new InputError(
      "scores can be compared with the start token only if it is known. Give `start`, the model's BOS token.",
      { operation, argument: "start", actual: start },
    );
  }
}
