/**
 * The parts of a `tokenizer.json` that must be right for ids to mean one thing, checked before anything is built of it.
 */
import { FormatError, InputError } from "../../errors.ts";
import { describeValue } from "../bytes/bytes.ts";
import { isFields } from "../json/plain.ts";
import { Part } from "./pipeline/part.ts";

/** A token that is found in a text before it is split. */
export interface AddedTokenEntry {
  readonly id: number;
  readonly content: string;
  readonly singleWord: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}

/** A checked `tokenizer.json`. */
export interface CheckedTokenizer {
  readonly json: Fields;
  /** The part `model`, its type named. */
  readonly model: Fields;
  /** Ids of the model's own tokens. */
  readonly modelIds: ReadonlyMap<string, number>;
  /** Ids by token, added tokens included. */
  readonly ids: ReadonlyMap<string, number>;
  /** Tokens by id, added tokens included. */
  readonly tokens: ReadonlyMap<number, string>;
  readonly added: readonly AddedTokenEntry[];
  /** The added tokens that are marked special. */
  readonly special: ReadonlySet<string>;
  readonly vocabSize: number;
}

/** Ids index arrays; no tokenizer comes near this many. */
const MAX_ID = 10_000_000;
const BOS_NAMES = ["<|BOS|>", "<|begin_of_text|>", "<bos>", "<s>", "<|endoftext|>"];

type Fields = Readonly<Record<string, unknown>>;

function wrong(operation: string, message: string, actual?: unknown): FormatError {
  return new FormatError(`tokenizer.json: ${message}`, { operation, argument: "tokenizer.json", actual });
}

/** Checks vocabulary and added tokens: ids are non-negative integers, each of one token. */
export function checkTokenizer(json: unknown, operation: string): CheckedTokenizer {
  if (!isFields(json)) throw wrong(operation, `it is ${describeValue(json)}, not an object with a "model".`, json);
  const model = json["model"];
  if (!isFields(model))
    throw wrong(operation, `"model" is ${describeValue(model)}, not an object with a "vocab".`, model);
  const entries = json["added_tokens"] ?? [];
  if (!Array.isArray(entries)) {
    throw wrong(operation, `"added_tokens" is ${describeValue(entries)}, not a list.`, entries);
  }
  const ids = new Map<string, number>();
  const tokens = new Map<number, string>();
  const add = (token: string, id: unknown): number => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > MAX_ID) {
      throw wrong(
        operation,
        `token ${JSON.stringify(token)} has id ${describeValue(id)}; ids are integers from 0.`,
        id,
      );
    }
    const other = tokens.get(id);
    if (other !== undefined && other !== token) {
      throw wrong(
        operation,
        `tokens ${JSON.stringify(other)} and ${JSON.stringify(token)} have the same id ${id}.`,
        id,
      );
    }
    ids.set(token, id);
    tokens.set(id, token);
    return id;
  };
  for (const [token, id] of vocabulary(model["vocab"], operation)) add(token, id);
  const modelIds = new Map(ids);
  const listed = new Map<string, AddedTokenEntry>();
  const special = new Set<string>();
  for (const entry of entries as readonly unknown[]) {
    if (!isFields(entry) || typeof entry["content"] !== "string" || entry["content"] === "") {
      throw wrong(operation, `an added token is ${describeValue(entry)} without "content".`, entry);
    }
    const { content } = entry;
    const before = ids.get(content);
    const expected = before ?? nextId(modelIds, listed);
    const id = add(content, entry["id"]);
    if (id !== expected) {
      throw wrong(
        operation,
        `the added token ${JSON.stringify(content)} has id ${id}, but Hugging Face's tokenizers gives it ${expected}, ${before === undefined ? "the next that is free" : "as the vocabulary does"}. Give it that id.`,
        id,
      );
    }
    const flag = (name: string, fallback = false): boolean =>
      new Part(entry, `the added token ${JSON.stringify(content)}`, operation).flag(name, fallback);
    if (flag("special")) special.add(content);
    listed.set(content, {
      id,
      content,
      singleWord: flag("single_word"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
      normalized: flag("normalized", !flag("special")),
    });
  }
  if (ids.size === 0) throw wrong(operation, "it has no tokens.");
  let vocabSize = 0;
  for (const id of tokens.keys()) vocabSize = Math.max(vocabSize, id + 1);
  const typed = { ...model, type: model["type"] ?? typeOf(model) };
  return { json, model: typed, modelIds, ids, tokens, added: [...listed.values()], special, vocabSize };
}

/** The id that Hugging Face's library gives the next token that is added: ids in the file do not count there. */
function nextId(modelIds: ReadonlyMap<string, number>, listed: ReadonlyMap<string, AddedTokenEntry>): number {
  let next = modelIds.size;
  for (const { id } of listed.values()) next = Math.max(next, id + 1);
  return next;
}

/** Older files do not name the type of a model; what it has tells. */
function typeOf(model: Fields): string {
  if (Array.isArray(model["merges"])) return "BPE";
  if (Array.isArray(model["vocab"])) return "Unigram";
  return "max_input_chars_per_word" in model ? "WordPiece" : "WordLevel";
}

/** BPE and WordPiece map tokens to ids; Unigram lists pairs of token and score, whose place is the id. */
function vocabulary(vocab: unknown, operation: string): Iterable<readonly [string, unknown]> {
  if (isFields(vocab)) return Object.entries(vocab);
  const isPairs = Array.isArray(vocab) && vocab.every((pair) => Array.isArray(pair) && typeof pair[0] === "string");
  if (!isPairs) throw wrong(operation, `"model.vocab" is ${describeValue(vocab)}, not tokens with their ids.`, vocab);
  return (vocab as readonly (readonly [string, unknown])[]).map(([token], id) => [token, id] as const);
}

/** The beginning-of-sequence token, or the text of one that `tokenizer_config.json` names and the vocabulary lacks. */
export interface Bos {
  readonly id: number | undefined;
  readonly missing?: string;
}

/** The beginning-of-sequence token: as told, as `tokenizer_config.json` says, or by its usual names. */
export function findBos(
  { ids, special, vocabSize }: CheckedTokenizer,
  config: unknown,
  told: string | number | undefined,
  operation: string,
): Bos {
  if (typeof told === "number") {
    if (Number.isInteger(told) && told >= 0 && told < vocabSize) return { id: told };
    throw new InputError(`bos ${told} is not a token id; they are 0 to ${vocabSize - 1}.`, {
      operation,
      argument: "bos",
      expected: [0, vocabSize - 1],
      actual: told,
    });
  }
  const configured = bosOf(config, operation);
  if (told === undefined && configured === undefined) {
    const usual = BOS_NAMES.find((name) => special.has(name));
    return { id: usual === undefined ? undefined : ids.get(usual) };
  }
  const id = ids.get(told ?? configured ?? "");
  if (id !== undefined) return { id };
  if (told === undefined) return { id, missing: configured ?? "" };
  throw new InputError(`bos ${JSON.stringify(told)} is not a token of the tokenizer.`, {
    operation,
    argument: "bos",
    actual: told,
  });
}

/** `bos_token` is a text or, in older files, an added token with `content`. */
function bosOf(config: unknown, operation: string): string | undefined {
  if (!isFields(config)) {
    throw new FormatError(`tokenizer_config.json is ${describeValue(config)}, not an object.`, {
      operation,
      argument: "config",
      actual: config,
    });
  }
  const token = config["bos_token"];
  const text = isFields(token) ? token["content"] : token;
  return typeof text === "string" ? text : undefined;
}
