/**
 * What an analysis finds, as plain data: numbers, strings, arrays and objects that `JSON.stringify` keeps whole.
 * Nothing here is NaN or infinite; what does not exist for a model is `null` or an empty list.
 */
import type {
  AttentionFigure,
  CompositionDiagram,
  CopyingHistogram,
  HeadDump,
  ImportanceByHead,
  ImportanceFigure,
  InductionExamples,
  LossOnRepeats,
  OVEigenvalues,
  PathEffects,
  PlainData,
  PositivityScatter,
} from "../figures/index.ts";
import type { HeadEvidence } from "../heads/index.ts";
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
  readonly repeated: RepeatedFacts | null;
  /** One entry for each head, in order. */
  readonly heads: readonly HeadFacts[];
  readonly found: ReportFoundHeads;
  /** The attention of every head on a passage of the text, and on random tokens given twice. */
  readonly samples: readonly PlainData<AttentionFigure>[];
  /** Eigenvalues of the OV circuits; `null` where there are no heads, as in all that follows. */
  readonly spectra: PlainData<OVEigenvalues> | null;
  /** Copying scores against chance; `null` too where the embedding or the unembedding is zero. */
  readonly copying: PlainData<CopyingHistogram> | null;
  /** Composition of all pairs; `null` too where there is one layer. */
  readonly composition: PlainData<CompositionDiagram> | null;
  /** Pairs that compose, the largest effect first. */
  readonly pairs: readonly CompositionPair[];
  /** `null` where no previous-token head was found before the last layer. */
  readonly positivity: PlainData<PositivityScatter> | null;
  readonly skipTrigrams: PlainData<HeadDump> | null;
  readonly expansion: PlainData<PathEffects>;
  readonly importance: PlainData<ImportanceFigure>;
  /** `null` too where there are too many heads for it. */
  readonly importanceByHead: PlainData<ImportanceByHead> | null;
  readonly induction: InductionFacts | null;
  /** The film of its training, as `JSON.stringify` writes it, where one was given. */
  readonly film?: object;
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
export interface RepeatedFacts {
  readonly sequences: number;
  /** On how many of them, the first ones, heads were ablated. */
  readonly ablatedSequences: number;
  /** The number of random tokens before they come again. */
  readonly period: number;
  readonly first: number;
  /** Predictions of the second copy, its first token left out: nothing announces that it comes. */
  readonly second: number;
  /** The loss of each token. */
  readonly curve: PlainData<LossOnRepeats>;
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
  /** Change of the loss on the second copy when the head is ablated, in nats; `null` where not measured. */
  readonly ablation: number | null;
  /** The classes it was found to belong to: `previous token`, `induction`, … */
  readonly roles: readonly string[];
  /** What speaks for each class. */
  readonly evidence: readonly RoleEvidence[];
}

/**
 * What speaks for a head being of a class.
 * @category Report
 */
export type RoleEvidence = Pick<
  HeadEvidence,
  "kind" | "score" | "chance" | "excess" | "interval" | "positions" | "isEverywhere" | "text"
>;

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
 * Labels of the heads that {@link findHeads} finds, by class.
 * @category Report
 */
export interface ReportFoundHeads {
  readonly previousToken: readonly string[];
  readonly induction: readonly string[];
  readonly currentToken: readonly string[];
  readonly firstToken: readonly string[];
  readonly duplicateToken: readonly string[];
  readonly prefixMatching: readonly string[];
}

/**
 * How much of a reading head's attention goes elsewhere without what a writing head adds to its scores, 0 to 1, the
 * mean over queries.
 * @category Report
 */
export interface Moved {
  /** On a passage of the text. */
  readonly text: number;
  /** On random tokens given twice; `null` where there are none. */
  readonly repeats: number | null;
}

/**
 * What comes through a pair of heads, in the directions that are used.
 * @category Report
 */
export interface PairEvidence {
  /** By how much the writer makes the reader's scores differ along a row; of values, its logits. */
  readonly size: number;
  /** The share of that in all that reaches the reader, 0 to 1. */
  readonly share: number;
  /** The share that a random orientation of the writer would have. */
  readonly chance: number;
  /** From the weights: how much better a token's query likes a key into which the writer moved the same token. */
  readonly matching: number;
  /** The same in standard deviations of tokens in random order. */
  readonly matchingZ: number;
}

/**
 * Two heads that compose.
 * @category Report
 */
export interface CompositionPair {
  readonly kind: "Q" | "K" | "V";
  readonly writer: string;
  readonly reader: string;
  /** The paper's score. */
  readonly score: number;
  /** The score in standard deviations of random heads’ above their mean. */
  readonly z: number;
  /**
   * By how much the loss on the second copy of random tokens rises, in nats, when this input of the reader lacks what
   * the writer writes; `null` where it was not measured.
   */
  readonly effect: number | null;
  /** What comes through the pair; `null` in large models, where it was not measured. */
  readonly evidence: PairEvidence | null;
  /** Where the reader looks without; `null` where it was not measured, and of values. */
  readonly moved: Moved | null;
  /**
   * Of the pair of the largest score, where it is one of keys: how closely what the writer adds to their scores follows
   * how much it rests on the first token there, 0 to 1. Near 1 it says where a key is, not what.
   */
  readonly follows: number | null;
}

/**
 * Evidence for each induction head.
 * @category Report
 */
export interface InductionFacts {
  readonly heads: readonly InductionHead[];
  readonly previous: readonly {
    readonly label: string;
    /** Attention to the token before, where it is a previous-token head. */
    readonly score: number;
    /** The first and the last position where it is; `null` where it is everywhere. */
    readonly positions: readonly [number, number] | null;
    readonly ablation: number | null;
  }[];
  readonly baseline: { readonly mean: number; readonly std: number };
  /** Loss on the second copy as it is, and with groups of heads ablated. */
  readonly ablated: readonly {
    readonly what: string;
    readonly heads: readonly string[];
    readonly loss: number;
    readonly delta: number;
  }[];
  /** Places in the passage of the text where the best of them looks at what followed an earlier copy. */
  readonly examples: PlainData<InductionExamples> | null;
}

/**
 * The evidence for one induction head.
 * @category Report
 */
export interface InductionHead {
  readonly label: string;
  readonly score: number;
  readonly strict: number;
  /** Attention to the token after the earlier copy, where it is an induction head. */
  readonly attention: number;
  /** The first and the last position where it is; `null` where it is on all of the second copy. */
  readonly positions: readonly [number, number] | null;
  readonly prefixMatching: number;
  readonly copying: number;
  readonly copyingZ: number | null;
  readonly qkPositivity: number | null;
  readonly attribution: number | null;
  readonly ablation: number | null;
  /** The induction score while the previous-token heads of earlier layers are ablated; `null` where there is none. */
  readonly scoreWithoutPrevious: number | null;
  /** Previous-token heads of earlier layers, the strongest K-composition first. */
  readonly partners: readonly { readonly label: string; readonly k: number; readonly z: number }[];
}
