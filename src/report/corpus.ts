/** From text or token ids to windows, and from token ids to what the page prints. */
import { ConfigError, InputError, nameOf } from "../errors.ts";
import { splitWindows } from "../model/index.ts";
import { isReadable, tokenTexts } from "../figures/internal.ts";
import type { ModelConfig } from "../model/index.ts";
import type { Plan } from "./plan.ts";
import type { TextFacts } from "./types.ts";

/**
 * What the analysis needs of a tokenizer; a `Tokenizer` of the root entry has it.
 * @category Report
 */
export interface ReportTokenizer {
  /** The token ids of a text, without a BOS token. */
  encode(text: string): number[];
  /** The text of one token by itself. */
  tokenString(id: number): string;
  /** The token that begins every window, where there is one. */
  readonly bos: number | undefined;
}

/** The text in windows. */
export interface Corpus {
  readonly facts: TextFacts;
  readonly bos: number | undefined;
  /** Windows of the full length, and perhaps a shorter one at the end. */
  readonly windows: readonly (readonly number[])[];
  readonly ids: readonly number[];
  /** What was left out, in sentences. */
  readonly notes: readonly string[];
  /** Whether a reader can make something of a token. */
  readonly isReadable: (id: number) => boolean;
}

const OPERATION = "analyse";

/** Refuses models whose next token cannot be asked for. */
export function checkModel(config: ModelConfig): void {
  const refuse = (field: keyof ModelConfig, expected: unknown, why: string): ConfigError =>
    new ConfigError(`the report is about predicting the next token, but ${why}.`, {
      operation: OPERATION,
      argument: field,
      expected,
      actual: config[field],
    });
  if (config.attention_dir !== "causal")
    throw refuse(
      "attention_dir",
      "causal",
      `this model's attention_dir is ${config.attention_dir}: it sees the next token`,
    );
  if (config.d_vocab !== config.d_vocab_out) {
    throw refuse(
      "d_vocab_out",
      config.d_vocab,
      `this model has d_vocab=${config.d_vocab} and d_vocab_out=${config.d_vocab_out}: its output tokens are others than its input tokens`,
    );
  }
  if (config.n_ctx < 2)
    throw refuse("n_ctx", "at least 2", `this model has n_ctx=${config.n_ctx}: there is no next position`);
}

/** Reads the text, cuts it into windows, and keeps as many as the plan allows, evenly spread. */
export function readCorpus(
  text: string | readonly number[],
  tokenizer: ReportTokenizer | undefined,
  bos: number | undefined,
  plan: Plan,
  config: ModelConfig,
  source: string,
): Corpus {
  const most = Math.max(1, Math.ceil(plan.textTokens / plan.windowLength));
  const { windows, left } =
    typeof text === "string" ? textWindows(text, tokenizer, bos, plan, most) : idWindows(text, bos, plan, most);
  for (const window of windows) checkIds(window, config);
  if (windows.length === 0) {
    throw new InputError(
      "the text is one token, and the model begins with no BOS token: there is nothing to predict. Give a longer text.",
      {
        operation: OPERATION,
        argument: "text",
        expected: "at least 2 tokens",
        actual: 1,
      },
    );
  }
  const textOf = tokenTexts(tokenizer);
  const ids = windows.flatMap((window) => (bos === undefined ? window : window.slice(1)));
  return {
    facts: {
      source,
      hasTokenizer: tokenizer !== undefined,
      characters: typeof text === "string" ? text.length : null,
      tokens: ids.length,
      windows: windows.length,
      windowLength: Math.max(...windows.map((window) => window.length)),
      bos: bos ?? null,
    },
    bos,
    windows,
    ids,
    notes: left === undefined ? [] : [left],
    isReadable: (id) => isReadable(textOf(id)),
  };
}

interface Windows {
  readonly windows: readonly (readonly number[])[];
  /** What was left out, in words. */
  readonly left: string | undefined;
}

function idWindows(ids: readonly number[], bos: number | undefined, plan: Plan, most: number): Windows {
  if (ids.length === 0) throw empty("there are no token ids");
  const all = splitWindows(ids, { length: plan.windowLength, bos }).filter((window) => window.length > 1);
  if (all.length <= most) return { windows: all, left: undefined };
  return {
    windows: Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)] ?? []),
    left: `Of the ${all.length} windows that the text makes, ${most} ${most === 1 ? "was" : "were"} run, evenly spread over it.`,
  };
}

/** Characters of text that are surely enough for a token. */
const LONGEST_TOKEN = 16;

/** A long text is not encoded whole: a window is taken from each of so many places, at the beginning of a line. */
function textWindows(
  text: string,
  tokenizer: ReportTokenizer | undefined,
  bos: number | undefined,
  plan: Plan,
  most: number,
): Windows {
  if (text.trim() === "") throw empty("the text is empty");
  if (tokenizer === undefined) {
    throw new InputError(
      "a text was given, but the model has no tokenizer. Give token ids, or a folder with a tokenizer.json.",
      {
        operation: OPERATION,
        argument: "text",
        expected: "token ids",
        actual: "string",
      },
    );
  }
  const room = plan.windowLength * LONGEST_TOKEN;
  if (text.length <= most * room) return idWindows(tokenizer.encode(text), bos, plan, most);
  const windows = Array.from({ length: most }, (_, i) => {
    const at = Math.floor((i * text.length) / most);
    const line = i === 0 ? 0 : text.indexOf("\n", at) + 1;
    const start = line > 0 && line < at + room / 2 ? line : at;
    return splitWindows(tokenizer.encode(text.slice(start, start + room)), { length: plan.windowLength, bos })[0] ?? [];
  }).filter((window) => window.length > 1);
  return {
    windows,
    left: `Of a text of ${text.length.toLocaleString("en")} characters, ${windows.length} ${windows.length === 1 ? "passage" : "passages"} of ${plan.windowLength} tokens ${windows.length === 1 ? "was" : "were"} run, evenly spread over it.`,
  };
}

function empty(what: string): InputError {
  return new InputError(`${what}. Give at least a line of what the model was trained on.`, {
    operation: OPERATION,
    argument: "text",
    expected: "some text",
    actual: "",
  });
}

/** Refuses a BOS token that the model does not have. */
export function checkBos(bos: number | undefined, config: ModelConfig): void {
  if (bos !== undefined && !isId(bos, config)) throw noSuchToken("bos", bos, config);
}

function checkIds(ids: readonly number[], config: ModelConfig): void {
  for (const [i, id] of ids.entries()) if (!isId(id, config)) throw noSuchToken(`token ${i} of a window`, id, config);
}

function isId(id: number, { d_vocab }: ModelConfig): boolean {
  return Number.isInteger(id) && id >= 0 && id < d_vocab;
}

function noSuchToken(what: string, id: number, { d_vocab }: ModelConfig): InputError {
  return new InputError(
    `${what} is ${nameOf(id)}, which is not a token id; this model has d_vocab=${d_vocab}, ids 0 to ${d_vocab - 1}.`,
    {
      operation: OPERATION,
      argument: what === "bos" ? "bos" : "text",
      expected: [0, d_vocab - 1],
      actual: id,
    },
  );
}
