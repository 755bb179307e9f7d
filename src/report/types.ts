/**
 * What an analysis finds, as plain data: numbers, strings, arrays and objects that `JSON.stringify` keeps whole.
 * Nothing here is NaN or infinite; what does not exist for a model is `null` or an empty list.
 */
import type { ModelConfig } from "../model/index.ts";

/**
 * Everything that the report shows, as plain JSON-able data.
 * @category Report
 */
export interface ReportData {
  readonly version: 1;
  readonly title: string;
  /** The seed of the repeated random tokens, the null distributions and the bootstrap. */
  readonly seed: number;
  readonly config: ModelConfig;
  readonly parameterCount: number;
  readonly text: TextFacts;
  /** What was left out or shortened to keep the work within bounds, one sentence each. */
  readonly notes: readonly string[];
  readonly loss: LossOnText;
  /** `null` where the model has too few positions or tokens for a repeated sequence. */
  readonly repeated: ReportLossOnRepeats | null;
  /** One entry for each head, in order. */
  readonly heads: readonly HeadFacts[];
  readonly found: ReportFoundHeads;
  readonly samples: readonly AttentionSample[];
  readonly spectra: Spectra;
  readonly composition: CompositionFacts | null;
  readonly positivity: PositivityFacts | null;
  readonly skipTrigrams: readonly HeadSkipTrigrams[];
  readonly expansion: ExpansionFacts;
  readonly importance: ImportanceFacts;
  readonly induction: InductionFacts | null;
}

/**
 * The text that was analysed.
 * @category Report
 */
export interface TextFacts {
  /** Where it came from, in words. */
  readonly source: string;
  /** Whether tokens have texts; without a tokenizer they are shown as `#123`. */
  readonly hasTokenizer: boolean;
  /** The length of the text; `null` where token ids were given. */
  readonly characters: number | null;
  /** The number of tokens run, BOS not counted. */
  readonly tokens: number;
  /** The number of windows run. */
  readonly windows: number;
  /** Tokens in a full window, BOS included. */
  readonly windowLength: number;
  /** The token that begins every window; `null` where there is none. */
  readonly bos: number | null;
}

/**
 * A mean with its standard error.
 * @category Report
 */
export interface Estimate {
  readonly mean: number;
  /** `null` where there is one observation only. */
  readonly standardError: number | null;
}

/**
 * Means by position, with the standard error over sequences.
 * @category Report
 */
export interface ByPosition {
  /** The position of the token that is predicted. */
  readonly position: readonly number[];
  readonly mean: readonly number[];
  readonly standardError: readonly (number | null)[];
}

/**
 * The loss on the text, in nats per token.
 * @category Report
 */
export interface LossOnText extends Estimate {
  readonly predictions: number;
  readonly byPosition: ByPosition;
  /** ln d_vocab: the loss of a uniform guess. */
  readonly uniform: number;
  /**
   * The loss of guessing by the text's own token frequencies, each token left out of its own count; `null` for short
   * texts.
   */
  readonly unigram: number | null;
}

/**
 * The loss on random tokens given twice, in nats per token.
 * @category Report
 */
export interface ReportLossOnRepeats {
  readonly sequences: number;
  /** On how many of them, the first ones, heads were silenced; paths are weighed on the first. */
  readonly silencedSequences: number;
  /** The number of random tokens before they come again. */
  readonly period: number;
  readonly byPosition: ByPosition;
  readonly first: number;
  /** Predictions of the second copy, its first token left out: nothing announces that it comes. */
  readonly second: number;
}

/**
 * What one head does; scores are mean attention on repeated random tokens, 0 to 1.
 * @category Report
 */
export interface HeadFacts {
  readonly label: string;
  readonly layer: number;
  readonly head: number;
  readonly scores: HeadScoreValues | null;
  /** Σλ / Σ|λ| of the full OV circuit, −1 to 1, and its distance from random matrices' in their standard deviations. */
  readonly copying: number;
  readonly copyingZ: number | null;
  /** Σλ / Σ|λ| of the full QK circuit, −1 to 1. */
  readonly matching: number;
  /** Mean direct effect on the logit of the right token in the second copy, in logits; `null` where not measured. */
  readonly attribution: number | null;
  /** Change of the loss on the second copy when the head is silenced, in nats; `null` where not measured. */
  readonly ablation: number | null;
  /** The classes it was found to belong to: `previous token`, `induction`, … */
  readonly roles: readonly string[];
}

/**
 * A head's scores on repeated random tokens.
 * @category Report
 */
export interface HeadScoreValues {
  readonly previous: number;
  readonly current: number;
  readonly first: number;
  readonly duplicate: number;
  /** ARENA's stripe, which has two more entries than the strict one. */
  readonly induction: number;
  readonly inductionStrict: number;
  readonly prefixMatching: number;
}

/**
 * Labels of the heads found, by class.
 * @category Report
 */
export interface ReportFoundHeads {
  /** The score from which a head counts. */
  readonly threshold: number;
  readonly previousToken: readonly string[];
  readonly induction: readonly string[];
  readonly currentToken: readonly string[];
  readonly firstToken: readonly string[];
  readonly duplicateToken: readonly string[];
}

/**
 * Attention of every head on one short sequence.
 * @category Report
 */
export interface AttentionSample {
  readonly kind: "text" | "repeated";
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  /** The loss of predicting each token, in nats; `null` for the first. */
  readonly loss: readonly (number | null)[];
  readonly layers: readonly LayerAttention[];
}

/**
 * What a layer's heads attend to.
 * @category Report
 */
export interface LayerAttention {
  /** For each head the lower triangle of its pattern, row by row: query 0, key 0; query 1, keys 0 and 1; … */
  readonly pattern: readonly (readonly number[])[];
  /** For each head the norm of the value vector at each position, ‖v_j‖. */
  readonly valueNorm: readonly (readonly number[])[];
  /** For each head the norm of what it would write for each position, ‖v_j W_O‖. */
  readonly resultNorm: readonly (readonly number[])[];
}

/**
 * Eigenvalues of the full OV circuits.
 * @category Report
 */
export interface Spectra {
  readonly heads: readonly { readonly label: string; readonly re: readonly number[]; readonly im: readonly number[] }[];
  /** Σλ / Σ|λ| of random matrices of a head's size. */
  readonly null: { readonly mean: number; readonly std: number; readonly samples: number } | null;
}

/**
 * How much each head reads of what an earlier head wrote.
 * @category Report
 */
export interface CompositionFacts {
  readonly labels: readonly string[];
  /** `[writer, reader]` over `labels`; 0 where the writer is not in an earlier layer. */
  readonly Q: readonly (readonly number[])[];
  readonly K: readonly (readonly number[])[];
  readonly V: readonly (readonly number[])[];
  /** Scores of random heads of the same sizes. */
  readonly baseline: { readonly mean: number; readonly std: number };
}

/**
 * Eigenvalue positivity of OV and of the K-composition circuit with the previous-token heads.
 * @category Report
 */
export interface PositivityFacts {
  readonly previous: readonly string[];
  readonly points: readonly {
    readonly label: string;
    readonly ov: number;
    readonly qk: number;
    readonly isInduction: boolean;
  }[];
}

/**
 * A token with a number.
 * @category Report
 */
export interface ReportTokenValue {
  readonly token: string;
  readonly value: number;
}

/**
 * Skip-trigrams of one head: `source … destination → out`.
 * @category Report
 */
export interface HeadSkipTrigrams {
  readonly label: string;
  readonly sources: readonly {
    readonly source: string;
    /** Tokens that attend most to the source; attention scores, less each destination's mean over all sources. */
    readonly destination: readonly ReportTokenValue[];
    /** Tokens whose logit rises most where the source is attended to. */
    readonly out: readonly ReportTokenValue[];
  }[];
}

/**
 * The path expansion of the logits and the certificate that its terms sum to them.
 * @category Report
 */
export interface ExpansionFacts {
  /** The number of paths in all; as a power of ten it may be more than can be counted exactly. */
  readonly paths: number;
  /** Paths of at most this many heads are written out, the longer ones summed into one term. */
  readonly maxOrder: number;
  /** How many terms were summed, the bias and the longer paths included. */
  readonly terms: number;
  /** The number of positions at which all logits were compared. */
  readonly positions: number;
  readonly maxDeviation: number;
  /** The most that the rounding of the model's own run explains. */
  readonly bound: number;
  readonly withinBound: boolean;
  /** What the mean effects were measured on. */
  readonly on: "second copy" | "text";
  /** The terms of the largest mean effect on the right token's logit, in logits. */
  readonly top: readonly { readonly label: string; readonly order: number; readonly mean: number }[];
}

/**
 * What paths of each length are worth, in nats (A Mathematical Framework, "Term importance").
 * @category Report
 */
export interface ImportanceFacts {
  readonly windows: number;
  readonly predictions: number;
  readonly uniform: number;
  readonly orders: readonly {
    readonly order: number;
    readonly terms: number;
    /** Loss with paths of at most this length. */
    readonly loss: number;
    /** How much less than with shorter paths only. */
    readonly gain: number;
    /** Standard error of the gain, by bootstrap over windows. */
    readonly gainError: number | null;
  }[];
  /** The single-head paths of one layer's heads: what they add to the direct path, and to it with all other layers'. */
  readonly layers: readonly {
    readonly layer: number;
    readonly addedToDirect: Estimate;
    readonly addedToOthers: Estimate;
  }[];
  /** What one head's single-head path adds to the direct path, and what the model loses without any path through it. */
  readonly heads: readonly {
    readonly label: string;
    readonly addedToDirect: number;
    readonly removedFromFull: number;
  }[];
  /** Predictions that `heads` were measured on. */
  readonly headPredictions: number;
}

/**
 * The induction story: evidence for each induction head.
 * @category Report
 */
export interface InductionFacts {
  readonly heads: readonly InductionHead[];
  readonly previous: readonly { readonly label: string; readonly score: number; readonly ablation: number | null }[];
  readonly baseline: { readonly mean: number; readonly std: number };
  /** Loss on the second copy as it is, and with groups of heads silenced. */
  readonly silenced: readonly {
    readonly what: string;
    readonly heads: readonly string[];
    readonly loss: number;
    readonly delta: number;
  }[];
  readonly example: ReportInductionExample | null;
}

/**
 * The evidence for one induction head.
 * @category Report
 */
export interface InductionHead {
  readonly label: string;
  readonly score: number;
  readonly strict: number;
  readonly prefixMatching: number;
  readonly copying: number;
  readonly copyingZ: number | null;
  readonly qkPositivity: number | null;
  readonly attribution: number | null;
  readonly ablation: number | null;
  /** The induction score while the previous-token heads of earlier layers are silenced; `null` where there is none. */
  readonly scoreWithoutPrevious: number | null;
  /** Previous-token heads of earlier layers, the strongest K-composition first. */
  readonly partners: readonly { readonly label: string; readonly k: number; readonly z: number }[];
}

/**
 * One place in the text where an induction head predicted the next token.
 * @category Report
 */
export interface ReportInductionExample {
  readonly label: string;
  readonly tokens: readonly string[];
  /** Attention of the head from `query` to each token. */
  readonly attention: readonly number[];
  /** The position of the present token, the last one shown. */
  readonly query: number;
  /** The position after the earlier copy of the present token. */
  readonly key: number;
  /** The attention paid to `key`. */
  readonly onKey: number;
  /** The token that came next. */
  readonly next: string;
  /** The probability that the model gave it. */
  readonly probability: number;
}
