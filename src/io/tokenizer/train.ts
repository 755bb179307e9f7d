/**
 * A tokenizer made of a text: byte-level byte-pair encoding, as Hugging Face's `BpeTrainer` makes it.
 *
 * From the 256 bytes on, the pair of neighbours that is most frequent within words becomes a token, again and again; of
 * pairs equally frequent the one of the smaller ids. Sources: Sennrich et al. 2016, "Neural Machine Translation of Rare
 * Words with Subword Units"; Radford et al. 2019 for bytes and words. No library that runs in a page trains one.
 */
import { InputError, nameOf, requireOptions } from "../../errors.ts";
import { requireCount } from "../../model/internal.ts";
import { BYTE_CHARACTERS } from "./pipeline/byte-characters.ts";
import { Part } from "./pipeline/part.ts";
import { readPreTokenizer } from "./pipeline/pre-tokenizers.ts";

const OPERATION = "trainTokenizer";

/**
 * What {@link trainTokenizer} makes.
 * @category Tokens
 */
export interface TrainTokenizerOptions {
  /** The most tokens: special ones, 256 bytes and merges; 1024 by default. A short text may give fewer. */
  readonly vocabSize?: number | undefined;
  /** Special tokens, which have the first ids; `["<|endoftext|>"]` by default, which is then the BOS token. */
  readonly special?: readonly string[] | undefined;
  /** How often a pair must occur in the text to become a token; 2 by default. */
  readonly minFrequency?: number | undefined;
}

/** A word of the text: its tokens so far and how often it occurs. */
interface Word {
  ids: number[];
  readonly count: number;
}

/** Two ids as one exact number. */
const PACK = 2 ** 24;
const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

/**
 * Makes a tokenizer of a text: byte-level byte-pair encoding with GPT-2's words, in the format of Hugging Face's
 * `tokenizer.json`. Its vocabulary and merges are those of Hugging Face's `BpeTrainer` with the bytes as its alphabet.
 *
 * @param text - the text, or several.
 * @returns what {@link loadTokenizer} reads, and `JSON.stringify` writes.
 * @throws {@link InputError} when the text is none or a number is not usable.
 * @category Tokens
 * @example
 * ```ts
 * import { loadTokenizer, trainTokenizer } from "transformer-circuits/io";
 *
 * const tokenizer = loadTokenizer(trainTokenizer("low lower lowest, slow slower", { vocabSize: 262 }));
 * console.log(tokenizer.tokenStrings("lower slowly"), tokenizer.vocabSize);
 * // [ 'lowe', 'r', ' s', 'low', 'l', 'y' ] 262
 * ```
 */
export function trainTokenizer(
  text: string | readonly string[],
  options: TrainTokenizerOptions = {},
): Readonly<Record<string, unknown>> {
  requireOptions(options, OPERATION, "vocabSize special minFrequency");
  const { vocabSize = 1024, special = ["<|endoftext|>"], minFrequency = 2 } = options;
  requireCount(vocabSize, "vocabSize", OPERATION);
  requireCount(minFrequency, "minFrequency", OPERATION);
  const texts: readonly unknown[] = [text].flat();
  const odd = texts.find((part) => typeof part !== "string");
  if (odd !== undefined || texts.length === 0) {
    throw new InputError(`text is ${nameOf(texts.length === 0 ? text : odd)}; give a text, or a list of texts.`, {
      operation: OPERATION,
      argument: "text",
      expected: "text",
      actual: text,
    });
  }
  const alphabet = [...BYTE_CHARACTERS].sort((a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0));
  const tokens = [...special, ...alphabet];
  const first = special.length;
  if (vocabSize < tokens.length || new Set(tokens).size < tokens.length) {
    throw new InputError(
      `the tokens before any merge are ${first} special ones and 256 bytes, all different, and vocabSize is ${vocabSize}. Raise it to ${tokens.length} at least.`,
      { operation: OPERATION, argument: "vocabSize", expected: `at least ${tokens.length}`, actual: vocabSize },
    );
  }
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = countWords(texts as string[], ids);
  const merges = mergePairs(words, tokens, ids, { vocabSize, minFrequency });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: BYTE_LEVEL,
    post_processor: null,
    decoder: BYTE_LEVEL,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

function countWords(texts: readonly string[], ids: ReadonlyMap<string, number>): Word[] {
  const split = readPreTokenizer(new Part(BYTE_LEVEL, "pre_tokenizer", OPERATION));
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const { text: word } of split([{ text: text.replace(/\p{Surrogate}/gu, "\ufffd"), isFirst: true }])) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return Array.from(counts, ([word, count]) => ({ ids: Array.from(word, (byte) => ids.get(byte) as number), count }));
}

/** Merges pairs, appending their tokens, and gives the list of merges. */
function mergePairs(
  words: readonly Word[],
  tokens: string[],
  ids: Map<string, number>,
  { vocabSize, minFrequency }: { readonly vocabSize: number; readonly minFrequency: number },
): [string, string][] {
  const merges: [string, string][] = [];
  const counts = new Map<number, number>();
  const places = new Map<number, Set<Word>>();
  const countPairs = (word: Word, sign: 1 | -1): void => {
    for (let i = 0; i + 1 < word.ids.length; i++) {
      const pair = (word.ids[i] as number) * PACK + (word.ids[i + 1] as number);
      counts.set(pair, (counts.get(pair) ?? 0) + sign * word.count);
      if (sign < 0) continue;
      const at = places.get(pair);
      if (at === undefined) places.set(pair, new Set([word]));
      else at.add(word);
    }
  };
  for (const word of words) countPairs(word, 1);
  while (tokens.length < vocabSize) {
    let best = -1;
    let most = minFrequency - 1;
    for (const [pair, count] of counts) {
      if (count > most || (count === most && best >= 0 && pair < best)) [best, most] = [pair, count];
    }
    if (best < 0) break;
    const [left, right] = [Math.floor(best / PACK), best % PACK];
    const token = `${tokens[left]}${tokens[right]}`;
    // The same text may come of two pairs: "a" + "bc" and "ab" + "c".
    const id = ids.get(token) ?? tokens.push(token) - 1;
    ids.set(token, id);
    merges.push([tokens[left] as string, tokens[right] as string]);
    for (const word of places.get(best) ?? []) {
      countPairs(word, -1);
      word.ids = mergeWord(word.ids, left, right, id);
      countPairs(word, 1);
    }
    counts.delete(best);
    places.delete(best);
  }
  return merges;
}

/** The ids of a word, a pair of neighbours replaced by its token, from the left. */
function mergeWord(ids: readonly number[], left: number, right: number, merged: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const isPair = ids[i] === left && ids[i + 1] === right;
    out.push(isPair ? merged : (ids[i] as number));
    if (isPair) i++;
  }
  return out;
}
