/**
 * The tokenizer in the header of a GGUF file, as the `tokenizer.json` that says the same: GPT-2's kind, BPE over bytes
 * with a way to split that `tokenizer.ggml.pre` names, and llama's, SentencePiece's BPE by scores.
 */
import { FormatError, requireKind } from "../../errors.ts";
import { describeValue } from "../bytes/bytes.ts";
import { CHECKPOINT } from "../checkpoint/checkpoint.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { PlainObject, PlainValue } from "../json/plain.ts";
import { loadTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

type Json = Readonly<Record<string, unknown>>;

/** What `tokenizer.ggml.token_type` says of a token. */
const [NORMAL, CONTROL, USER_DEFINED] = [1, 3, 4];
const MAX_TOKENS = 10_000_000;

const byBytes = (useRegex: boolean): Json => ({
  ...{ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: useRegex },
});
const bySplits = (regex: string): Json => ({
  type: "Sequence",
  pretokenizers: [{ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false }, byBytes(false)],
});
const words = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const GPT2: Json = { pre_tokenizer: byBytes(true) };
const LLAMA3: Json = { pre_tokenizer: bySplits(words("\\p{N}{1,3}")), ignore_merges: true };
const QWEN2: Json = { pre_tokenizer: bySplits(words("\\p{N}")), normalizer: { type: "NFC" } };

/** How text is split before its bytes are merged, by llama.cpp's names. */
const PRE: ReadonlyMap<string, Json> = new Map([
  ["gpt-2", GPT2],
  ["gpt2", GPT2],
  ["olmo", GPT2],
  [
    "smollm",
    {
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [{ type: "Digits", individual_digits: true }, byBytes(true)],
      },
    },
  ],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["qwen2", QWEN2],
]);

function wrong(name: string, actual: unknown, expected: string, operation: string): FormatError {
  return new FormatError(`the tokenizer of the GGUF file: "${name}" is ${describeValue(actual)}, not ${expected}.`, {
    operation,
    argument: name,
    expected,
    actual,
  });
}

/** The fields `tokenizer.ggml.…` of a header. */
class Ggml {
  readonly operation: string;
  readonly #values: PlainObject;

  constructor(values: PlainObject, operation: string) {
    this.#values = values;
    this.operation = operation;
  }

  get(name: string): PlainValue | undefined {
    return this.#values[`tokenizer.ggml.${name}`];
  }

  fault(name: string, expected: string): FormatError {
    return wrong(`tokenizer.ggml.${name}`, this.get(name), expected, this.operation);
  }

  texts(name: string): readonly string[] {
    const list = this.get(name);
    const isTexts = Array.isArray(list) && list.length <= MAX_TOKENS && list.every((x) => typeof x === "string");
    if (!isTexts) throw this.fault(name, "a list of texts");
    return list;
  }

  numbers(name: string, length: number): readonly number[] | undefined {
    const list = this.get(name);
    if (list === undefined) return undefined;
    if (!Array.isArray(list) || list.length !== length || !list.every((x) => typeof x === "number")) {
      throw this.fault(name, `a list of ${length} numbers`);
    }
    return list;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "boolean") throw this.fault(name, "true or false");
    return value;
  }

  id(name: string, count: number): number | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < count) return value;
    throw this.fault(name, `one of ${count} tokens`);
  }
}

/** Tokens with their ids, and those that are found in a text before it is split. */
function vocabularyOf(ggml: Ggml): {
  readonly tokens: readonly string[];
  readonly types: readonly number[] | undefined;
  readonly vocab: ReadonlyMap<string, number>;
  readonly added: readonly Json[];
} {
  const tokens = ggml.texts("tokens");
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  if (vocab.size !== tokens.length) throw ggml.fault("tokens", "a list in which each token is once");
  const types = ggml.numbers("token_type", tokens.length);
  const added = tokens.flatMap((content, id) => {
    const type = types?.[id];
    if ((type !== CONTROL && type !== USER_DEFINED) || content === "") return [];
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    return [{ id, content, special: type === CONTROL, ...flags }];
  });
  return { tokens, types, vocab, added };
}

/** GPT-2's kind. */
function byteLevelJson(ggml: Ggml, architecture: PlainValue | undefined): Json {
  const isOld = architecture === "gpt2" || architecture === "gptneox";
  const pre = ggml.get("pre") ?? (isOld ? "gpt-2" : undefined);
  const found = typeof pre === "string" ? PRE.get(pre) : undefined;
  if (found === undefined) throw ggml.fault("pre", `one of ${[...PRE.keys()].join(", ")}, which are read`);
  const { pre_tokenizer, normalizer = null, ignore_merges = false } = found;
  const { vocab, added } = vocabularyOf(ggml);
  const merges = ggml.texts("merges");
  return {
    model: { type: "BPE", vocab: Object.fromEntries(vocab), merges, ignore_merges },
    ...{ added_tokens: added, normalizer, pre_tokenizer, post_processor: null },
    decoder: byBytes(true),
  };
}

/** SentencePiece's kind: two pieces are joined that make the piece of the highest score. */
function sentencePieceJson(ggml: Ggml): Json {
  const { tokens, types, vocab, added } = vocabularyOf(ggml);
  const scores = ggml.numbers("scores", tokens.length);
  if (scores === undefined) throw ggml.fault("scores", `a list of ${tokens.length} numbers`);
  const joins: { readonly left: string; readonly right: string; readonly score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if ((types?.[id] ?? NORMAL) !== NORMAL) continue;
    const characters = [...token];
    for (let cut = 1; cut < characters.length; cut++) {
      const [left, right] = [characters.slice(0, cut).join(""), characters.slice(cut).join("")];
      if (vocab.has(left) && vocab.has(right)) joins.push({ left, right, score: scores[id] as number });
    }
  }
  joins.sort((a, b) => b.score - a.score || b.left.length - a.left.length);
  const unknown = ggml.id("unknown_token_id", tokens.length);
  const hasPrefix = ggml.flag("add_space_prefix", true);
  const space = "▁";
  const toSpaces = { type: "Replace", pattern: { String: space }, content: " " };
  const toMarks = { type: "Replace", pattern: { String: " " }, content: space };
  return {
    model: {
      ...{ type: "BPE", vocab: Object.fromEntries(vocab), merges: joins.map(({ left, right }) => [left, right]) },
      ...{ unk_token: unknown === undefined ? null : tokens[unknown], fuse_unk: true, byte_fallback: true },
    },
    added_tokens: added,
    normalizer: {
      type: "Sequence",
      normalizers: [...(hasPrefix ? [{ type: "Prepend", prepend: space }] : []), toMarks],
    },
    ...{ pre_tokenizer: null, post_processor: null },
    decoder: {
      type: "Sequence",
      decoders: [
        ...[toSpaces, { type: "ByteFallback" }, { type: "Fuse" }],
        ...(hasPrefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
  };
}

/**
 * The tokenizer that lies in a checkpoint itself: GGUF files hold one in their header. Read are GPT-2's kind, with the
 * ways to split of GPT-2, SmolLM, llama 3 and Qwen2, and llama's, which is SentencePiece's BPE.
 *
 * @returns `undefined` where the checkpoint holds none, as files of other formats do not.
 * @throws {@link FormatError} when it is of another kind, naming the field, or cannot be read.
 * @category Tokens
 * @example
 * ```ts
 * import { Tensor, openCheckpoint, writeSafetensors } from "transformer-circuits";
 * import { tokenizerFromCheckpoint } from "transformer-circuits/io";
 *
 * // What the header of a GGUF file says, which await openCheckpoint(file) gives as its values.
 * const values = {
 *   "tokenizer.ggml.model": "gpt2",
 *   "tokenizer.ggml.pre": "gpt-2",
 *   "tokenizer.ggml.tokens": ["h", "i", "hi"],
 *   "tokenizer.ggml.merges": ["h i"],
 * };
 * const other = await openCheckpoint(writeSafetensors(new Map([["b_U", Tensor.zeros("d_vocab", [3])]])));
 * console.log(tokenizerFromCheckpoint(other));
 * // undefined
 * console.log(tokenizerFromCheckpoint({ ...other, format: "gguf", values })?.encode("hi"));
 * // [ 2 ]
 * ```
 */
export function tokenizerFromCheckpoint(checkpoint: Checkpoint): Tokenizer | undefined {
  const operation = "tokenizerFromCheckpoint";
  requireKind(CHECKPOINT, checkpoint, "checkpoint", operation);
  if (checkpoint.format !== "gguf") return undefined;
  const { values } = checkpoint;
  const ggml = new Ggml(values, operation);
  const model = ggml.get("model");
  if (model === undefined) return undefined;
  if (model !== "gpt2" && model !== "llama") throw ggml.fault("model", "gpt2 or llama, which are read");
  const json = model === "gpt2" ? byteLevelJson(ggml, values["general.architecture"]) : sentencePieceJson(ggml);
  const bos = ggml.id("bos_token_id", ggml.texts("tokens").length);
  return loadTokenizer(json, bos === undefined ? {} : { bos });
}
