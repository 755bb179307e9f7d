/** What figures are made of: a model, perhaps its tokenizer, perhaps a text. */
import { ConfigError, InputError, isPromise, nameOf, requireKind, requireOptions } from "../errors.ts";
import type { ProgressOptions } from "../progress.ts";
import { splitWindows } from "../model/index.ts";
import { plainIds } from "../model/internal.ts";
import type { HeadRef, ModelConfig, Transformer } from "../model/index.ts";

/**
 * What figures need of a tokenizer; a `Tokenizer` of the root entry has it.
 * @category Figures
 */
export interface FigureTokenizer {
  /** The token ids of a text, without a BOS token. */
  encode(text: string): number[];
  /** The text of one token by itself. */
  tokenString(id: number): string;
  /** The token that begins every sequence, where there is one. */
  readonly bos: number | undefined;
}

/**
 * One of the checkpoints that a training run left.
 * @category Figures
 */
export interface FigureCheckpoint {
  /** What it is called in figures. */
  readonly label: string;
  /** Where in training it is, in steps or tokens; checkpoints without are placed one after the other. */
  readonly step?: number | undefined;
  /** Loads the model; called when a figure comes to it, so that one model is held at a time. */
  load(): Transformer | Promise<Transformer>;
}

/**
 * What a figure is made of.
 * @category Figures
 */
export interface FigureInput {
  readonly model: Transformer;
  /** Makes text of token ids; without one tokens are shown as `#123`. */
  readonly tokenizer?: FigureTokenizer | undefined;
  /** What the model is run on, where a figure runs it: a text, or token ids without BOS. */
  readonly text?: string | readonly number[] | undefined;
  /** The token that begins every sequence; the tokenizer's own unless given, `null` for none. */
  readonly bos?: number | null | undefined;
  /** The checkpoints of a training run, for figures that follow one, in their order; `model` alone unless given. */
  readonly checkpoints?: readonly FigureCheckpoint[] | undefined;
}

/**
 * What every figure may be told.
 * @category Figures
 */
export interface FigureOptions extends ProgressOptions {
  /** The heads to show, by place or label; which ones are shown otherwise stands with each figure. */
  readonly heads?: readonly HeadRef[] | undefined;
  /** The seed of random tokens and random heads; 0 unless given. */
  readonly seed?: number | undefined;
}

/**
 * What a figure cannot be made without: `text`, something to run the model on; `layer` and `two layers`; `mlps`; `next
 * token`, output tokens that are the input tokens; `causal`, heads that see no later token; `positions` of any kind;
 * `table of positions`, embeddings of them; `tokenizer`, texts of tokens; `checkpoints`, two or more of them.
 * @category Figures
 */
export type FigureNeed =
  | "text"
  | "layer"
  | "two layers"
  | "mlps"
  | "next token"
  | "causal"
  | "positions"
  | "table of positions"
  | "tokenizer"
  | "checkpoints";

const REFUSALS: Readonly<Record<FigureNeed, (config: ModelConfig) => string | undefined>> = {
  text: () => undefined,
  tokenizer: () => undefined,
  checkpoints: () => undefined,
  layer: ({ n_layers }) =>
    n_layers < 1 ? `it shows attention heads, and this model has none (n_layers=${n_layers})` : undefined,
  "two layers": ({ n_layers }) =>
    n_layers < 2
      ? `it shows what heads of two layers do together, and this model has ${n_layers === 1 ? "one layer" : "no layer"} (n_layers=${n_layers})`
      : undefined,
  mlps: ({ attn_only, n_layers }) =>
    attn_only || n_layers < 1
      ? `it shows neurons, and this model has no MLPs (${attn_only ? "attn_only=true" : `n_layers=${n_layers}`})`
      : undefined,
  "next token": ({ d_vocab, d_vocab_out }) =>
    d_vocab === d_vocab_out
      ? undefined
      : `it compares tokens with themselves, and this model's output tokens are others than its input tokens (d_vocab=${d_vocab}, d_vocab_out=${d_vocab_out})`,
  causal: ({ attention_dir }) =>
    attention_dir === "causal"
      ? undefined
      : `it looks back from a token, and this model's heads see later tokens (attention_dir=${attention_dir})`,
  positions: ({ positional_embedding_type }) =>
    positional_embedding_type === "none"
      ? "it shows what positions do, and this model has none (positional_embedding_type=none)"
      : undefined,
  "table of positions": ({ positional_embedding_type: type }) =>
    type === "standard" || type === "shortformer"
      ? undefined
      : `it shows embeddings of positions, and this model has no table of them (positional_embedding_type=${type})`,
};

/** The options that every figure takes. */
export const FIGURE_OPTIONS = "heads seed signal onProgress";

/**
 * Refuses an input without what a figure needs, and options that it does not know; `more` are those of this figure
 * alone.
 */
export function requireNeeds(
  needs: readonly FigureNeed[],
  input: FigureInput,
  operation: string,
  options?: FigureOptions,
  more = "",
): void {
  requireOptions(options, operation, `${FIGURE_OPTIONS} ${more}`.trimEnd());
  requireInput(input, operation);
  for (const need of needs) {
    const why = REFUSALS[need](input.model.config);
    if (why === undefined) continue;
    throw new ConfigError(`this figure cannot be made of this model: ${why}. Choose another figure or model.`, {
      operation,
      argument: "model",
      expected: need,
      actual: why,
    });
  }
  const count = input.checkpoints?.length ?? 1;
  if (needs.includes("checkpoints") && count < 2) {
    throw new InputError(
      "this figure follows a model through its training, and one checkpoint was given. Give two or more as `checkpoints`.",
      { operation, argument: "checkpoints", expected: "at least 2", actual: count },
    );
  }
  if (needs.includes("tokenizer") && input.tokenizer === undefined) {
    throw new InputError(
      "this figure is about the texts of tokens, and the model has no tokenizer. Give one, as tokenizer.json.",
      {
        operation,
        argument: "tokenizer",
        expected: "a tokenizer",
        actual: undefined,
      },
    );
  }
  if (needs.includes("text") && input.text === undefined) {
    throw new InputError(
      "this figure runs the model on a text, and none was given. Give `text`, a text or token ids.",
      {
        operation,
        argument: "text",
        expected: "a text or token ids",
        actual: undefined,
      },
    );
  }
}

/** Refuses what is no input of a figure, in words for a model alone and for what was not waited for. */
function requireInput(input: unknown, operation: string): void {
  const { model, layers } = Object(input) as { readonly model?: unknown; readonly layers?: unknown };
  if (model !== undefined) return requireKind("model", model, "model", operation);
  const mend = isPromise(input)
    ? "Write await before the call that gave it"
    : layers === undefined
      ? "Give { model, tokenizer }, as loadFolder returns it"
      : "Give it as { model }, with its tokenizer where there is one: { model, tokenizer }";
  throw new InputError(
    `input is ${layers === undefined ? nameOf(input) : "a Transformer"}, without a model. ${mend}.`,
    {
      operation,
      argument: "input",
      expected: "{ model }",
      actual: input,
    },
  );
}

/** The token that begins every sequence, or none; refuses one that the model does not have. */
export function bosOf(input: FigureInput, operation: string): number | undefined {
  const bos = input.bos === null ? undefined : (input.bos ?? input.tokenizer?.bos ?? input.model.config.bos_token_id);
  if (bos !== undefined) checkId(bos, "bos", input.model.config, operation);
  return bos;
}

/** How a text is cut. */
export interface WindowOptions {
  /** Tokens in a window, BOS included; never more than the context holds. */
  readonly length: number;
  /** At most how many windows; 1 unless given. */
  readonly count?: number;
}

/** The text's first windows, each of at least two tokens and beginning with BOS where there is one. */
export function windowsOf(input: FigureInput, options: WindowOptions, operation: string): number[][] {
  const { config } = input.model;
  const bos = bosOf(input, operation);
  const length = Math.min(options.length, config.n_ctx);
  const count = options.count ?? 1;
  const ids = idsOf(input, operation, length * count);
  for (const [i, id] of ids.entries()) checkId(id, `token ${i} of the text`, config, operation);
  const windows = splitWindows(ids, { length, bos }).filter((window) => window.length > 1);
  if (windows.length === 0) {
    throw new InputError(
      `the text has ${ids.length} ${ids.length === 1 ? "token" : "tokens"}; a sequence of two or more is needed. Give a longer text.`,
      { operation, argument: "text", expected: "at least 2 tokens", actual: ids.length },
    );
  }
  return windows.slice(0, count);
}

/** Characters of text that are surely enough for a token. */
const LONGEST_TOKEN = 16;

/** The ids of the text, of a long text no more than are asked for. */
function idsOf({ text = [], tokenizer }: FigureInput, operation: string, most: number): readonly number[] {
  if (typeof text !== "string") return Array.from(plainIds(text)).slice(0, most);
  if (tokenizer === undefined) {
    throw new InputError("a text was given, but there is no tokenizer. Give token ids, or a tokenizer.", {
      operation,
      argument: "text",
      expected: "token ids",
      actual: "string",
    });
  }
  return tokenizer.encode(text.slice(0, most * LONGEST_TOKEN)).slice(0, most);
}

function checkId(id: number, what: string, { d_vocab }: ModelConfig, operation: string): void {
  if (Number.isInteger(id) && id >= 0 && id < d_vocab) return;
  throw new InputError(
    `${what} is ${nameOf(id)}, which is not a token id; this model has d_vocab=${d_vocab}, ids 0 to ${d_vocab - 1}.`,
    { operation, argument: what === "bos" ? "bos" : "text", expected: [0, d_vocab - 1], actual: id },
  );
}
