/** The tokenizer that lies beside a model, which never stands in the way of the model. */
import { CircuitsError, ConfigError, requireKind, requireOptions } from "../../errors.ts";
import { readFrom, take, toByteSource } from "../bytes/reading.ts";
import type { FileInput } from "../bytes/reading.ts";
import { checkJsonSize } from "../json/plain-json.ts";
import { loadGpt2Tokenizer } from "./gpt2.ts";
import { LoadedTokenizer, loadTokenizer } from "./tokenizer.ts";
import type { LoadTokenizerOptions, Tokenizer } from "./tokenizer.ts";
import type { Kind } from "../../errors.ts";

const NAMED_FILES: Kind = {
  member: "get",
  what: "a Map of files by name",
  remedy: "Make one with new Map([[name, bytes]])",
};

/** A tokenizer, and what is wrong with it where it cannot be used. */
export interface TokenizerBeside {
  /**
   * `undefined` where there is none. One that cannot be used says why when it is asked for anything: it throws
   * `tokenizerFault`.
   */
  readonly tokenizer: Tokenizer | undefined;
  /**
   * Why the tokenizer cannot be used: it cannot be read, or belongs to another model. `undefined` where nothing is
   * wrong.
   */
  readonly tokenizerFault: CircuitsError | undefined;
}

/** Files that a tokenizer is made of. */
export const TOKENIZER_FILES: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
];

type ReadFile = (name: string) => Promise<Uint8Array | undefined>;

/** Makes a tokenizer of the files of a folder. */
async function tokenizerAmong(
  read: ReadFile,
  { bos }: Pick<LoadTokenizerOptions, "bos"> = {},
): Promise<Tokenizer | undefined> {
  const json = await read("tokenizer.json");
  const vocab = json === undefined ? await read("vocab.json") : undefined;
  const merges = vocab === undefined ? undefined : await read("merges.txt");
  if (json === undefined && (vocab === undefined || merges === undefined)) return undefined;
  const config = await read("tokenizer_config.json");
  const options = { ...(config !== undefined && { config }), ...(bos !== undefined && { bos }) };
  if (vocab === undefined || merges === undefined) return loadTokenizer(json, options);
  const addedTokens = await read("added_tokens.json");
  const specialTokens = await read("special_tokens_map.json");
  return loadGpt2Tokenizer({ vocab, merges, addedTokens, specialTokens }, options);
}

/**
 * Makes a tokenizer of the files of a folder, such as those dropped on a page: `tokenizer.json`, or else GPT-2's
 * `vocab.json` and `merges.txt`; `tokenizer_config.json` for the beginning-of-sequence token.
 *
 * @param files - by name, as `openCheckpoint` takes them; others are passed over.
 * @returns `undefined` where they hold no tokenizer.
 * @throws {@link FormatError} and {@link InputError} for whatever {@link loadTokenizer} and {@link loadGpt2Tokenizer}
 * refuse, and when a file cannot be read.
 * @category Tokens
 * @example
 * ```ts
 * import { tokenizerFromFiles } from "transformer-circuits/io";
 *
 * const text = new TextEncoder();
 * const vocab = text.encode(JSON.stringify({ h: 0, i: 1, hi: 2 }));
 * const files = new Map([["vocab.json", vocab], ["merges.txt", text.encode("h i")]]);
 * const tokenizer = await tokenizerFromFiles(files);
 * console.log(tokenizer?.encode("hi"), tokenizer?.vocabSize);
 * // [ 2 ] 4
 * ```
 */
export async function tokenizerFromFiles(
  files: ReadonlyMap<string, FileInput>,
  options: Pick<LoadTokenizerOptions, "bos"> = {},
): Promise<Tokenizer | undefined> {
  const operation = "tokenizerFromFiles";
  requireOptions(options, operation, "bos");
  requireKind(NAMED_FILES, files, "files", operation);
  return tokenizerAmong(async (name) => {
    const file = files.get(name);
    if (file === undefined) return undefined;
    const input = toByteSource(file, operation);
    const source = { operation, name };
    checkJsonSize(input.size, source);
    return readFrom(input, take(0, input.size), source, undefined);
  }, options);
}

/**
 * The tokenizer for a model: the one given, as a tokenizer or as the content of a `tokenizer.json`, the one in the file
 * of the weights, or the one among the files.
 *
 * @param given - `null` for none.
 */
export async function readTokenizerBeside(
  given: unknown,
  read: ReadFile,
  within: () => Tokenizer | undefined = () => undefined,
): Promise<TokenizerBeside> {
  if (given === null) return { tokenizer: undefined, tokenizerFault: undefined };
  if (isTokenizer(given)) return { tokenizer: given, tokenizerFault: undefined };
  if (given !== undefined) return { tokenizer: loadTokenizer(given), tokenizerFault: undefined };
  try {
    return { tokenizer: within() ?? (await tokenizerAmong(read)), tokenizerFault: undefined };
  } catch (error) {
    return unusable(error);
  }
}

/** The same for a model of `d_vocab` tokens. Added tokens beyond them may be: a run refuses their ids. */
export function fitted(beside: TokenizerBeside, d_vocab: number, operation: string, where: string): TokenizerBeside {
  const { tokenizer } = beside;
  const size = tokenizer instanceof LoadedTokenizer ? LoadedTokenizer.ownSize(tokenizer) : 0;
  if (size <= d_vocab) return beside;
  return unusable(
    new ConfigError(
      `the tokenizer of ${where} has ${size} tokens but the model's d_vocab is ${d_vocab}. One of the two belongs to another model.`,
      { operation, argument: "tokenizer.json", expected: d_vocab, actual: size },
    ),
  );
}

function isTokenizer(value: unknown): value is Tokenizer {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "encode") === "function";
}

function unusable(fault: unknown): TokenizerBeside {
  if (!(fault instanceof CircuitsError)) throw fault;
  return { tokenizer: new UnusableTokenizer(fault), tokenizerFault: fault };
}

/** A tokenizer that says why it cannot be used. */
class UnusableTokenizer implements Tokenizer {
  readonly vocabSize = 0;
  readonly bos = undefined;
  readonly #fault: CircuitsError;

  constructor(fault: CircuitsError) {
    this.#fault = fault;
  }

  encode(): never {
    throw this.#fault;
  }

  decode(): never {
    throw this.#fault;
  }

  tokenString(): never {
    throw this.#fault;
  }

  tokenStrings(): never {
    throw this.#fault;
  }

  toSingleToken(): never {
    throw this.#fault;
  }

  tokenPosition(): never {
    throw this.#fault;
  }
}
