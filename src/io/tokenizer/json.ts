/** The parts of a `tokenizer.json` that must be right for ids to mean one thing, checked before anything is built of it. */
import { FormatError, InputError } from "../../errors.ts";
import { describeValue } from "../bytes/bytes.ts";

/** A checked `tokenizer.json`. */
export interface TokenizerJson {
  /** With `null` for the optional parts that it leaves out. */
  readonly json: object;
  /** Ids by token, added tokens included. */
  readonly ids: ReadonlyMap<string, number>;
  /** The added tokens that are marked special. */
  readonly special: ReadonlySet<string>;
  readonly vocabSize: number;
}

/** Ids index arrays; no tokenizer comes near this many. */
const MAX_ID = 10_000_000;
const OPTIONAL_PARTS = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
const BOS_NAMES = ["<|BOS|>", "<|begin_of_text|>", "<bos>", "<s>", "<|endoftext|>"];

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(operation: string, message: string, actual?: unknown): FormatError {
  return new FormatError(`tokenizer.json: ${message}`, { operation, argument: "tokenizer.json", actual });
}

/** Checks vocabulary and added tokens: ids are non-negative integers, each of one token. */
export function readTokenizerJson(json: unknown, operation: string): TokenizerJson {
  if (!isObject(json)) throw wrong(operation, `it is ${describeValue(json)}, not an object with a "model".`, json);
  const model = json["model"];
  if (!isObject(model))
    throw wrong(operation, `"model" is ${describeValue(model)}, not an object with a "vocab".`, model);
  const added = json["added_tokens"] ?? [];
  if (!Array.isArray(added)) throw wrong(operation, `"added_tokens" is ${describeValue(added)}, not a list.`, added);
  const ids = new Map<string, number>();
  const tokens = new Map<number, string>();
  const add = (token: string, id: unknown): void => {
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
  };
  for (const [token, id] of vocabulary(model["vocab"], operation)) add(token, id);
  const special = new Set<string>();
  for (const entry of added as readonly unknown[]) {
    if (!isObject(entry) || typeof entry["content"] !== "string" || entry["content"] === "") {
      throw wrong(operation, `an added token is ${describeValue(entry)} without "content".`, entry);
    }
    add(entry["content"], entry["id"]);
    if (entry["special"] === true) special.add(entry["content"]);
  }
  if (ids.size === 0) throw wrong(operation, "it has no tokens.");
  let vocabSize = 0;
  for (const id of tokens.keys()) vocabSize = Math.max(vocabSize, id + 1);
  // Older files do not name the type; merges make it BPE.
  const type = model["type"] ?? (Array.isArray(model["merges"]) ? "BPE" : undefined);
  const whole = { ...OPTIONAL_PARTS, ...json, added_tokens: added, model: { ...model, type } };
  return { json: whole, ids, special, vocabSize };
}

/** BPE and WordPiece map tokens to ids; Unigram lists pairs of token and score, whose place is the id. */
function vocabulary(vocab: unknown, operation: string): Iterable<readonly [string, unknown]> {
  if (isObject(vocab)) return Object.entries(vocab);
  const isPairs = Array.isArray(vocab) && vocab.every((pair) => Array.isArray(pair) && typeof pair[0] === "string");
  if (!isPairs) throw wrong(operation, `"model.vocab" is ${describeValue(vocab)}, not tokens with their ids.`, vocab);
  return (vocab as readonly (readonly [string, unknown])[]).map(([token], id) => [token, id] as const);
}

/** The beginning-of-sequence token: as told, as `tokenizer_config.json` says, or by its usual names. */
export function findBos(
  { ids, special, vocabSize }: TokenizerJson,
  config: unknown,
  told: string | number | undefined,
  operation: string,
): number | undefined {
  if (typeof told === "number") {
    if (Number.isInteger(told) && told >= 0 && told < vocabSize) return told;
    throw new InputError(`bos ${told} is not a token id; they are 0 to ${vocabSize - 1}.`, {
      operation,
      argument: "bos",
      expected: [0, vocabSize - 1],
      actual: told,
    });
  }
  const configured = told ?? bosOf(config, operation);
  if (configured === undefined) {
    const usual = BOS_NAMES.find((name) => special.has(name));
    return usual === undefined ? undefined : ids.get(usual);
  }
  const id = ids.get(configured);
  if (id === undefined) {
    throw new InputError(`bos ${JSON.stringify(configured)} is not a token of the tokenizer.`, {
      operation,
      argument: "bos",
      actual: configured,
    });
  }
  return id;
}

/** `bos_token` is a text or, in older files, an added token with `content`. */
function bosOf(config: unknown, operation: string): string | undefined {
  if (!isObject(config)) {
    throw new FormatError(`tokenizer_config.json is ${describeValue(config)}, not an object.`, {
      operation,
      argument: "config",
      actual: config,
    });
  }
  const token = config["bos_token"];
  const text = isObject(token) ? token["content"] : token;
  return typeof text === "string" ? text : undefined;
}
