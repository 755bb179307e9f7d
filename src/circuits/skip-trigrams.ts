/**
 * Skip-trigrams, `source … destination → out`: the QK circuit says which destination tokens look at a source token, the OV circuit
 * which output tokens it then raises (*A Mathematical Framework for Transformer Circuits*, "Interpretation as skip-trigrams").
 *
 * Both are read from tokens alone: without biases, norms and positions, and for rotary models at offset 0.
 */
import { InputError } from "../errors.ts";
import type { HeadRef, Transformer } from "../model/index.ts";
import { requireChoice, requireCount, requireToken } from "./arguments.ts";
import { largestTokens, tokenScores } from "./token-scores.ts";
import type { ScoreReference, TokenValue } from "./token-scores.ts";

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
  /** Tokens that are not to be listed, such as untrained ones. */
  readonly exclude?: ((token: number) => boolean) | undefined;
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
 * The skip-trigrams of chosen source tokens: for each, the destination tokens with the largest entries of its column of the
 * full QK circuit and the output tokens with the largest entries of its row of the full OV circuit, as in the paper's
 * tables. There is no joint score here; see {@link topSkipTrigrams} for one.
 *
 * @param head - the head, by place or label.
 * @param sources - ids of source tokens.
 * @param options - `k`, `reference`, `start`, `exclude`.
 * @returns one entry for each source, in their order; ties go to the lower id.
 * @throws {@link InputError} when a token, `k` or head does not exist, or the reference is `start` and no start token is given.
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
  const operation = "skipTrigrams";
  const { k = 10, reference = "raw", start, exclude = () => false } = options;
  requireCount(k, "k", operation);
  requireChoice(reference, ["raw", "mean", "start"], "reference", operation);
  for (const source of sources) requireToken(model, source, "source", operation);
  if (start !== undefined) requireToken(model, start, "start", operation);
  if (reference === "start" && start === undefined) {
    throw new InputError(
      "scores can be compared with the start token only if it is known. Give `start`, the model's BOS token.",
      {
        operation,
        argument: "start",
        actual: start,
      },
    );
  }
  const scores = tokenScores(model, head, reference, start);
  const { d_vocab, d_vocab_out } = scores;
  const found: SkipTrigrams[] = [];
  const band = Math.max(1, Math.floor(BAND_NUMBERS / Math.max(d_vocab, d_vocab_out)));
  for (let first = 0; first < sources.length; first += band) {
    const some = sources.slice(first, first + band);
    const destinations = scores.destinations(some);
    const outputs = scores.outputs(some);
    for (const [i, source] of some.entries()) {
      const row = destinations.subarray(i * d_vocab, (i + 1) * d_vocab);
      found.push({
        source,
        destination: largestTokens(row, k, (token) => token === start || exclude(token)),
        out: largestTokens(outputs.subarray(i * d_vocab_out, (i + 1) * d_vocab_out), k, exclude),
      });
    }
  }
  return found;
}

/** Numbers held at once for a band of sources: 16 MiB. */
const BAND_NUMBERS = 2 ** 21;

/**
 * One wanted pair of a skip-trigram bug.
 * @category Circuits
 */
export interface SkipTrigramPair {
  readonly destination: number;
  readonly out: number;
}

/**
 * A skip-trigram with its effect.
 * @category Circuits
 */
export interface SkipTrigramEffect extends SkipTrigramPair {
  readonly source: number;
  /** The share of attention, from 0 to 1, that the source gets from the destination against its one rival. */
  readonly attention: number;
  /** What this attention adds to the logit of `out`. */
  readonly effect: number;
}

/**
 * Two wanted skip-trigrams of one source and the two that come with them.
 * @category Circuits
 */
export interface SkipTrigramBugs {
  /** The pairs given. */
  readonly wanted: readonly [SkipTrigramEffect, SkipTrigramEffect];
  /** The first destination with the second output, and the second with the first. */
  readonly bugs: readonly [SkipTrigramEffect, SkipTrigramEffect];
}

/**
 * The effect of skip-trigrams of one source token, in the smallest context that has one:
 * $\sigma(S_{b,a} - S_{b,\text{rival}})\, \mathrm{OV}_{a,c}$, where the rival that the destination $b$ may attend to beside the source $a$ is the
 * start token, or without one a token of mean score.
 *
 * A head gives every destination and output of one source a product of two factors, so the table of effects has rank 1
 * and wanted pairs bring unwanted ones: who raises `keep … in → mind` and `keep … at → bay` raises `keep … in → bay` too
 * (*A Mathematical Framework*, "Skip-trigram bugs").
 *
 * @param head - the head, by place or label.
 * @param source - the source token.
 * @param pairs - two pairs that the head should serve.
 * @param options - `start`, the model's BOS token.
 * @returns `wanted`, the effects on the two pairs; `bugs`, those on the pairs crossed.
 * @throws {@link InputError} when a token or head does not exist.
 * @category Circuits
 * @example
 * ```ts
 * import { skipTrigramBugs } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { wanted, bugs } = skipTrigramBugs(model, "L0H1", 300, [
 *   { destination: 310, out: 320 },
 *   { destination: 330, out: 340 },
 * ]);
 * const ratio = (bugs[0].effect * bugs[1].effect) / (wanted[0].effect * wanted[1].effect);
 * console.log(ratio.toFixed(6));
 * // 1.000000
 * ```
 */
export function skipTrigramBugs(
  model: Transformer,
  head: HeadRef,
  source: number,
  pairs: readonly [SkipTrigramPair, SkipTrigramPair],
  options: { readonly start?: number | undefined } = {},
): SkipTrigramBugs {
  const operation = "skipTrigramBugs";
  const { start } = options;
  requireToken(model, source, "source", operation);
  if (start !== undefined) requireToken(model, start, "start", operation);
  for (const { destination, out } of pairs) {
    requireToken(model, destination, "destination", operation);
    requireToken(model, out, "out", operation, model.config.d_vocab_out);
  }
  const scores = tokenScores(model, head, start === undefined ? "mean" : "start", start);
  const lookedAt = scores.destinations([source]);
  const raised = scores.outputs([source]);
  const effect = (destination: number, out: number): SkipTrigramEffect => {
    const attention = attentionAgainstRival(lookedAt[destination] as number);
    return { source, destination, out, attention, effect: attention * (raised[out] as number) };
  };
  const [first, second] = pairs;
  return {
    wanted: [effect(first.destination, first.out), effect(second.destination, second.out)],
    bugs: [effect(first.destination, second.out), effect(second.destination, first.out)],
  };
}

/** The softmax of a score and 0. */
export function attentionAgainstRival(score: number): number {
  return score >= 0 ? 1 / (1 + Math.exp(-score)) : Math.exp(score) / (1 + Math.exp(score));
}
