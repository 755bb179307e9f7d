/** What page and worker say to each other. */

/** A figure as it crosses to the page, where `mount` takes it. */
export interface SentFigure {
  readonly kind: string;
  readonly label: string;
  readonly width: number;
  readonly height: number;
  readonly body: string;
  /** By which the library knows a figure; the page's policy allows no script that it carries. */
  readonly fragment: "";
}

/** The files of a checkpoint; the bundled model where there are none. */
export interface OpenAsk {
  readonly files?: readonly File[];
}

/** What the page has to know of an open model. */
export interface ModelFacts {
  readonly name: string;
  readonly isBundled: boolean;
  /** Its sizes in words. */
  readonly sizes: string;
  readonly n_layers: number;
  readonly n_heads: number;
  readonly hasTokenizer: boolean;
  /** Whether no head sees later tokens. */
  readonly isCausal: boolean;
  /** What is left out or assumed, in sentences. */
  readonly notes: readonly string[];
  /** A text to begin with; token ids where there is no tokenizer. */
  readonly text: string;
  /** Another one of the same length, to patch between. */
  readonly other: string;
  /** The head to begin with. */
  readonly head: string;
  /** Whether WebAssembly runs here. */
  readonly isFast: boolean;
}

/** One score of all heads, `[layer][head]`; `null` where there is none. */
export interface HeadScore {
  readonly key: string;
  readonly label: string;
  /** What it measures, in a sentence. */
  readonly help: string;
  readonly values: readonly (readonly (number | null)[])[];
}

export interface HeadsReply {
  readonly scores: readonly HeadScore[];
  /** What heads are called, by label. */
  readonly roles: Readonly<Record<string, readonly string[]>>;
  /** What they do, where, and how much more than chance, by label. */
  readonly evidence: Readonly<Record<string, readonly string[]>>;
}

/** The heads that are switched off, and what stands in their place. */
export interface Ablation {
  readonly off: readonly string[];
  readonly put: Put;
}

/** Nothing, or a head's mean over the positions of the text. */
export type Put = "zero" | "mean";

export interface TextAsk extends Ablation {
  readonly text: string;
  /** The position looked at; the last where it is undefined or beyond the end. */
  readonly at: number | undefined;
}

export interface NextToken {
  readonly id: number;
  readonly text: string;
  readonly before: number;
  /** With heads switched off. */
  readonly after: number | null;
}

export interface TextReply {
  /** The text of each token, whitespace visible. */
  readonly tokens: readonly string[];
  /** Of how many tokens the end was cut off. */
  readonly cut: number;
  readonly at: number;
  /** The mean loss in nats, where tokens predict tokens. */
  readonly loss: { readonly before: number; readonly after: number | null } | null;
  readonly next: readonly NextToken[];
}

export interface HeadAsk {
  readonly head: string;
}

export interface PatternsAsk extends TextAsk, HeadAsk {}

/** A part of what is known about a head. */
export type CircuitPart = "ov" | "eigenvalues" | "qk" | "trigrams" | "positions";

export interface CircuitAsk extends HeadAsk {
  readonly part: CircuitPart;
}

/** Figures with sentences that say what they show. */
export interface FiguresReply {
  readonly figures: readonly SentFigure[];
  readonly notes: readonly string[];
}

export interface ExpansionAsk extends TextAsk {
  /** The token whose logit is taken apart; the likeliest where it is undefined. */
  readonly target: number | undefined;
}

export interface PatchAsk {
  readonly text: string;
  readonly other: string;
  readonly by: PatchBy;
  /** The tokens whose logits are compared, as texts or ids; those that the two texts make likeliest where empty. */
  readonly answer: string;
  readonly wrong: string;
}

export type PatchBy = "pos" | "head";

export interface CompareAsk extends HeadAsk, Ablation {
  readonly text: string;
  readonly other: string;
}

/** As much of a text as a page trains on, in characters. */
export const MOST_TEXT = 200_000;

/** Data that a page trains on. */
export const TRAIN_DATA = [
  "repeated-tokens",
  "markov-chains",
  "skip-trigrams",
  "associative-recall",
  "max-of-k",
  "text",
] as const;
export type TrainData = (typeof TRAIN_DATA)[number];

/** What is to be trained; what is undefined is as in the usual run on the data. */
export interface TrainChoice {
  readonly data: TrainData;
  /** The text, where the data are one. */
  readonly text: string | undefined;
  readonly layers: number | undefined;
  readonly heads: number | undefined;
  readonly width: number | undefined;
  readonly steps: number | undefined;
  readonly rate: number | undefined;
  readonly seed: number | undefined;
}

/** What a choice comes to. */
export interface RecipeReply {
  readonly name: string;
  readonly steps: number;
  readonly rate: number;
  readonly n_layers: number;
  readonly n_heads: number;
  readonly d_model: number;
  readonly seed: number;
  /** Vocabulary and context in words. */
  readonly sizes: string;
  /** Losses that are known of the data, in nats. */
  readonly floors: readonly { readonly name: string; readonly loss: number }[];
}

export interface TrainAsk {
  readonly choice: TrainChoice;
  /** Whether a run begins, or the one that is there goes on. */
  readonly isNew: boolean;
  /** Heads that are ablated in these steps. */
  readonly off: readonly string[];
}

/** What all heads do at the last checkpoint, above chance, `[layer][head]`. */
export interface TrainScore {
  readonly key: string;
  readonly label: string;
  readonly values: readonly (readonly number[])[];
}

/** Where a run is after a moment of training. */
export interface TrainReply {
  readonly step: number;
  readonly steps: number;
  /** The mean of this moment, in nats. */
  readonly loss: number;
  readonly isDone: boolean;
  /** The last checkpoint of the film, where it is drawn anew. */
  readonly figure: SentFigure | undefined;
  readonly scores: readonly TrainScore[];
}

/** A model as files. */
export interface TrainedReply {
  readonly name: string;
  readonly weights: Uint8Array;
  readonly config: string;
  /** Of a model of text. */
  readonly tokenizer: string | undefined;
}

/** Every job of the worker: what it is asked and what it answers. */
export interface Jobs {
  readonly open: { readonly ask: OpenAsk; readonly reply: ModelFacts };
  readonly heads: { readonly ask: Record<string, never>; readonly reply: HeadsReply };
  readonly text: { readonly ask: TextAsk; readonly reply: TextReply };
  readonly patterns: { readonly ask: PatternsAsk; readonly reply: FiguresReply };
  readonly circuit: { readonly ask: CircuitAsk; readonly reply: FiguresReply };
  readonly composition: { readonly ask: HeadAsk; readonly reply: FiguresReply };
  readonly expansion: { readonly ask: ExpansionAsk; readonly reply: FiguresReply };
  readonly patch: { readonly ask: PatchAsk; readonly reply: FiguresReply };
  readonly compare: { readonly ask: CompareAsk; readonly reply: FiguresReply };
  readonly recipe: { readonly ask: { readonly choice: TrainChoice }; readonly reply: RecipeReply };
  readonly train: { readonly ask: TrainAsk; readonly reply: TrainReply };
  readonly film: { readonly ask: Record<string, never>; readonly reply: FiguresReply };
  readonly trained: { readonly ask: Record<string, never>; readonly reply: TrainedReply };
}

export type JobName = keyof Jobs;

/** To the worker. */
export type Request =
  | {
      [J in JobName]: { readonly type: "ask"; readonly id: number; readonly job: J; readonly ask: Jobs[J]["ask"] };
    }[JobName]
  | { readonly type: "cancel"; readonly id: number };

/** An error as it crosses to the page. */
export interface SentError {
  /** The class of the library's error; undefined for an error that is none of the library's. */
  readonly name: string | undefined;
  readonly message: string;
}

/** From the worker. */
export type Response =
  | { readonly type: "done"; readonly id: number; readonly reply: Jobs[JobName]["reply"] }
  | { readonly type: "failed"; readonly id: number; readonly error: SentError }
  | { readonly type: "progress"; readonly id: number; readonly done: number; readonly total: number };
