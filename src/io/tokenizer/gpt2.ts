/** GPT-2's own files, `vocab.json` and `merges.txt`, as a tokenizer. */
import { FormatError, requireObject, requireOptions } from "../../errors.ts";
import { describeValue, isBytes, toBytes, toJson, utf8Text } from "../bytes/bytes.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { isFields } from "../json/plain.ts";
import { loadTokenizer } from "./tokenizer.ts";
import type { LoadTokenizerOptions, Tokenizer } from "./tokenizer.ts";

/**
 * The files of GPT-2's tokenizer.
 * @category Tokens
 */
export interface Gpt2TokenizerFiles {
  /** `vocab.json` (`encoder.json` with OpenAI): ids by token; parsed, as text or as bytes. */
  readonly vocab: unknown;
  /** `merges.txt` (`vocab.bpe` with OpenAI): its text, its bytes, or its lines. */
  readonly merges: string | Bytes | readonly string[];
  /** `added_tokens.json`: ids of tokens that were added later; parsed, as text or as bytes. */
  readonly addedTokens?: unknown;
  /** `special_tokens_map.json`, whose `bos_token` and the like are taken where `tokenizer_config.json` has none. */
  readonly specialTokens?: unknown;
}

const OPERATION = "loadGpt2Tokenizer";
const END_OF_TEXT = "<|endoftext|>";
/**
 * The special tokens of `tokenizer_config.json`, in the order in which transformers adds them; the first three have a
 * default.
 */
const SPECIAL = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const DEFAULTS = { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT };
const BYTE_LEVEL = { type: "ByteLevel", trim_offsets: true, use_regex: true };

/**
 * Makes a tokenizer of GPT-2's own two files, with the ids of transformers' `GPT2Tokenizer`. The beginning-of-sequence
 * token is `<|endoftext|>` unless `tokenizer_config.json` or `bos` names another.
 *
 * @throws {@link FormatError} when a file cannot be read, naming it; {@link InputError} when `bos` is not one of the
 * tokens.
 * @category Tokens
 * @example
 * ```ts
 * import { loadGpt2Tokenizer } from "transformer-circuits/io";
 *
 * const vocab = { h: 0, i: 1, "Ġ": 2, hi: 3, "Ġhi": 4, "<|endoftext|>": 5 };
 * const tokenizer = loadGpt2Tokenizer({ vocab, merges: "#version: 0.2\nh i\nĠ hi\n" });
 * console.log(tokenizer.encode("hi hi", { bos: true }), tokenizer.bos);
 * // [ 5, 3, 4 ] 5
 * ```
 */
export function loadGpt2Tokenizer(files: Gpt2TokenizerFiles, options: LoadTokenizerOptions = {}): Tokenizer {
  requireOptions(options, OPERATION, "config bos");
  requireObject(files, "files", OPERATION);
  const vocab = toJson(files.vocab, OPERATION, "vocab.json");
  const config = toJson(options.config ?? {}, OPERATION, "tokenizer_config.json");
  if (!isFields(vocab)) {
    throw refuse("vocab.json", `it is ${describeValue(vocab)}, not an object of ids by token.`, vocab);
  }
  const named = toJson(files.specialTokens ?? {}, OPERATION, "special_tokens_map.json");
  const fields = { ...DEFAULTS, ...(isFields(named) && named), ...(isFields(config) && config) };
  const model = { type: "BPE", vocab, merges: mergesOf(files.merges) };
  const json = {
    added_tokens: addedTokens(vocab, fields, files.addedTokens),
    pre_tokenizer: { ...BYTE_LEVEL, add_prefix_space: isFields(config) && config["add_prefix_space"] === true },
    decoder: { ...BYTE_LEVEL, add_prefix_space: true },
    model,
  };
  const bos = options.bos ?? contentOf(fields.bos_token);
  return loadTokenizer(json, bos === undefined ? {} : { bos });
}

function mergesOf(merges: unknown): unknown[] {
  const bytes = isBytes(merges) ? utf8Text(toBytes(merges, OPERATION, "merges")) : merges;
  const lines: unknown = typeof bytes === "string" ? bytes.split(/\r?\n/) : bytes;
  if (!Array.isArray(lines)) throw refuse("merges.txt", `it is ${describeValue(merges)}, not lines of text.`, merges);
  return lines.filter((line) => line !== "");
}

/**
 * The added tokens as a `tokenizer.json` lists them: those that config or file number, then special ones that are
 * nowhere.
 */
function addedTokens(vocab: Fields, config: Fields, file: unknown): Fields[] {
  const listed = new Map<string, Fields>();
  const decoder = config["added_tokens_decoder"];
  for (const [id, token] of Object.entries(isFields(decoder) ? decoder : {})) {
    const content = contentOf(token);
    if (content !== undefined && isFields(token)) listed.set(content, { ...token, id: Number(id) });
  }
  const added = toJson(file ?? {}, OPERATION, "added_tokens.json");
  if (!isFields(added)) throw refuse("added_tokens.json", `it is ${describeValue(added)}, not ids by token.`, added);
  for (const [content, id] of Object.entries(added)) {
    if (!listed.has(content)) listed.set(content, { content, id, normalized: false });
  }
  const special = SPECIAL.map((name) => contentOf(config[name])).filter((content) => content !== undefined);
  let next = Math.max(Object.keys(vocab).length, ...[...listed.values()].map(({ id }) => Number(id) + 1));
  for (const content of special) {
    if (listed.has(content)) listed.set(content, { ...listed.get(content), special: true });
    else listed.set(content, { content, id: vocab[content] ?? next++, special: true, normalized: false });
  }
  return [...listed.values()].sort((a, b) => Number(a["id"]) - Number(b["id"]));
}

type Fields = Readonly<Record<string, unknown>>;

/** A token is a text or, in older files, an added token with `content`. */
function contentOf(token: unknown): string | undefined {
  const text = isFields(token) ? token["content"] : token;
  return typeof text === "string" ? text : undefined;
}

function refuse(file: string, message: string, actual: unknown): FormatError {
  return new FormatError(`${file}: ${message}`, { operation: OPERATION, argument: file, actual });
}
