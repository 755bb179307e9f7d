/** Text to token ids and back, over a Hugging Face `tokenizer.json`. */
import { InputError, requireKind, requireOptions } from "../../errors.ts";
import { Shown } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { plainIds } from "../../model/internal.ts";
import { describeValue, toJson } from "../bytes/bytes.ts";
import { checkTokenizer, findBos } from "./json.ts";
import type { Bos, CheckedTokenizer } from "./json.ts";
import { readEncoder } from "./pipeline/encoder.ts";
import type { Encoder } from "./pipeline/encoder.ts";
import type { Kind } from "../../errors.ts";

export const TOKENIZER: Kind = {
  member: "tokenStrings",
  what: "a Tokenizer",
  remedy: "Load one with loadTokenizer",
  holder: "tokenizer",
};

/**
 * How text is split into tokens, and tokens are shown. Any object of this shape serves where the library asks for a
 * tokenizer; {@link loadTokenizer} makes one of a `tokenizer.json`.
 * @category Tokens
 */
export interface Tokenizer {
  /**
   * The token ids of a text; no special tokens are added but the beginning-of-sequence one, where `bos` asks for it. A
   * special token that is spelled out in the text, `<|endoftext|>`, becomes its id. As in Hugging Face's, a BPE
   * tokenizer with neither bytes nor an unknown token leaves out the characters that it does not know.
   *
   * @throws {@link InputError} when the tokenizer has no tokens for a part of the text, or no `bos` to begin with.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The text of token ids, special tokens spelled out.
   * @throws {@link InputError} when an id is not a token.
   */
  decode(ids: ArrayLike<number | bigint>): string;
  /**
   * The text of one token by itself, spaces included: `" function"`. Bytes of a character that several tokens share
   * come as the replacement character U+FFFD, as in TransformerLens's `to_str_tokens`.
   * @throws {@link InputError} when the id is not a token.
   */
  tokenString(id: number): string;
  /**
   * The text of each token by itself: {@link Tokenizer.tokenString} of every id, or of every token of a text.
   * @throws {@link InputError} when an id is not a token.
   */
  tokenStrings(input: string | ArrayLike<number>, options?: EncodeOptions): string[];
  /**
   * The id of a text that is one token, such as `" function"`.
   * @throws {@link InputError} when it is none or several, naming them.
   */
  toSingleToken(text: string): number;
  /**
   * The position of a token, counted from 0, in a text or in token ids.
   *
   * @param token - the token's text or id.
   * @throws {@link InputError} when it does not occur.
   */
  tokenPosition(token: string | number, input: string | ArrayLike<number>, options?: TokenPositionOptions): number;
  /** One more than the largest id. A model's `d_vocab` may be larger, where its tables are padded. */
  readonly vocabSize: number;
  /** The id of the token that begins every sequence, where there is one. */
  readonly bos: number | undefined;
}

/**
 * How a text becomes token ids.
 * @category Tokens
 */
export interface EncodeOptions {
  /** Whether the beginning-of-sequence token is put first; `false` unless given. */
  readonly bos?: boolean;
}

/**
 * Where {@link Tokenizer.tokenPosition} looks.
 * @category Tokens
 */
export interface TokenPositionOptions extends EncodeOptions {
  /** Which occurrence; `first` unless given. */
  readonly mode?: "first" | "last";
}

/**
 * What {@link loadTokenizer} is told beside the tokenizer itself.
 * @category Tokens
 */
export interface LoadTokenizerOptions {
  /**
   * The content of `tokenizer_config.json`, whose `bos_token` is taken: parsed, as text or as bytes. A `bos_token` that
   * the vocabulary lacks is refused when a text is to begin with it.
   */
  readonly config?: unknown;
  /**
   * The beginning-of-sequence token, by text or id. Unless given, it is the `bos_token` of `config`, or else the first
   * of the special tokens `<|BOS|>`, `<|begin_of_text|>`, `<bos>`, `<s>`, `<|endoftext|>` that the tokenizer has.
   */
  readonly bos?: string | number;
}

const OPERATION = "loadTokenizer";

/**
 * Makes a tokenizer of a Hugging Face `tokenizer.json`. Ids and texts are those of Hugging Face's `tokenizers` where no
 * special tokens are added and no text is cut or padded; whatever of the file is not read is refused by name.
 *
 * @param json - the parsed content of `tokenizer.json`, its text or its bytes.
 * @throws {@link FormatError} when it is not a tokenizer that can be read, naming the part; {@link InputError} when
 * `bos` is not one of its tokens.
 * @category Tokens
 * @example
 * ```ts
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { tokenizer } = await openBundledModel();
 * const ids = tokenizer.encode("declare function", { bos: true });
 * console.log(tokenizer.tokenStrings(ids));
 * // [ '<|endoftext|>', 'declare', ' function' ]
 * console.log(tokenizer.decode(ids.slice(1)), tokenizer.vocabSize, tokenizer.bos);
 * // declare function 1024 0
 * console.log(tokenizer.tokenPosition(" function", ids));
 * // 2
 * ```
 */
export function loadTokenizer(json: unknown, options: LoadTokenizerOptions = {}): Tokenizer {
  requireOptions(options, "loadTokenizer", "config bos");
  const checked = checkTokenizer(toJson(json, OPERATION, "tokenizer.json"), OPERATION);
  const config = toJson(options.config ?? {}, OPERATION, "tokenizer_config.json");
  const bos = findBos(checked, config, options.bos, OPERATION);
  return new LoadedTokenizer(readEncoder(checked, OPERATION), checked, bos);
}

/** What {@link loadTokenizer} makes. */
export class LoadedTokenizer extends Shown implements Tokenizer {
  readonly vocabSize: number;
  readonly bos: number | undefined;
  readonly #encoder: Encoder;
  readonly #tokens: ReadonlyMap<number, string>;
  readonly #ownSize: number;
  readonly #missingBos: string | undefined;

  constructor(encoder: Encoder, { modelIds, tokens, vocabSize }: CheckedTokenizer, bos: Bos) {
    super();
    this.#encoder = encoder;
    this.#tokens = tokens;
    this.#ownSize = [...modelIds.values()].reduce((size, id) => Math.max(size, id + 1), 0);
    this.#missingBos = bos.missing;
    this.vocabSize = vocabSize;
    this.bos = bos.id;
  }

  /** One more than the largest id of the model's own tokens, those that were added left out. */
  static ownSize(tokenizer: LoadedTokenizer): number {
    return tokenizer.#ownSize;
  }

  /** @internal */
  override showing(): Showing {
    const bos = this.bos === undefined ? "" : `, bos ${this.bos} ${JSON.stringify(this.#tokens.get(this.bos))}`;
    return { title: `Tokenizer of ${this.vocabSize} tokens${bos}` };
  }

  /** What it is, not its tokens; `tokenizer.json` is the file that has them. */
  override toJSON(): object {
    return { type: "Tokenizer", vocabSize: this.vocabSize, ...(this.bos === undefined ? {} : { bos: this.bos }) };
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encode(text, options, "encode");
  }

  decode(ids: ArrayLike<number | bigint>): string {
    requireKind("list", ids, "ids", "decode");
    return this.#decode(Array.from(plainIds(ids)), "decode");
  }

  tokenString(id: number): string {
    return this.#decode(Array.from(plainIds([id])), "tokenString");
  }

  tokenStrings(input: string | ArrayLike<number>, options: EncodeOptions = {}): string[] {
    return this.#ids(input, options, "tokenStrings").map((id) => this.#decode([id], "tokenStrings"));
  }

  toSingleToken(text: string): number {
    return this.#single(text, "toSingleToken");
  }

  tokenPosition(token: string | number, input: string | ArrayLike<number>, options: TokenPositionOptions = {}): number {
    const operation = "tokenPosition";
    const id = typeof token === "string" ? this.#single(token, operation) : Number(token);
    const shown = JSON.stringify(this.#decode([id], operation));
    const ids = this.#ids(input, options, operation);
    const position = options.mode === "last" ? ids.lastIndexOf(id) : ids.indexOf(id);
    if (position < 0) {
      throw new InputError(`token ${id} ${shown} does not occur among the ${ids.length} tokens of the input.`, {
        operation,
        argument: "token",
        actual: token,
      });
    }
    return position;
  }

  #ids(input: string | ArrayLike<number>, options: EncodeOptions, operation: string): number[] {
    if (typeof input === "string") return this.#encode(input, options, operation);
    if (options.bos === true) {
      throw new InputError(
        "bos is for texts; token ids are taken as they are. Put tokenizer.bos before them yourself.",
        {
          operation,
          argument: "options",
        },
      );
    }
    requireKind("list", input, "input", operation);
    return Array.from(plainIds(input));
  }

  #single(text: string, operation: string): number {
    const ids = this.#encode(text, {}, operation);
    const [id] = ids;
    if (id === undefined || ids.length !== 1) {
      const parts = ids.map((part) => JSON.stringify(this.#decode([part], operation))).join(", ");
      throw new InputError(
        `${JSON.stringify(text)} is not one token but ${ids.length}${ids.length === 0 ? "" : `: ${parts}`}. Mind the space: " the" and "the" are two tokens.`,
        { operation, argument: "text", expected: 1, actual: ids.length },
      );
    }
    return id;
  }

  #encode(text: string, options: EncodeOptions, operation: string): number[] {
    if (typeof text !== "string") {
      throw new InputError(`the text must be a string, not ${describeValue(text)}.`, {
        operation,
        argument: "text",
        actual: text,
      });
    }
    const ids = this.#encoder.encode(text, (part, before) => {
      throw new InputError(
        `the tokenizer has no token for ${JSON.stringify(part)}, at position ${before} of the text's tokens.`,
        { operation, argument: "text", actual: part },
      );
    });
    if (options.bos !== true) return ids;
    if (this.bos === undefined) {
      const why =
        this.#missingBos === undefined
          ? "the tokenizer has no beginning-of-sequence token"
          : `the beginning-of-sequence token ${JSON.stringify(this.#missingBos)} that tokenizer_config.json names is not in the vocabulary`;
      throw new InputError(`${why}. Name it when loading: loadTokenizer(json, { bos }).`, {
        operation,
        argument: "options",
      });
    }
    return [this.bos, ...ids];
  }

  #decode(ids: number[], operation: string): string {
    for (const [i, id] of ids.entries()) {
      if (Number.isInteger(id) && this.#tokens.has(id)) continue;
      const place = ids.length === 1 ? "" : ` at position ${i}`;
      throw new InputError(`${describeValue(id)}${place} is not a token id; they are 0 to ${this.vocabSize - 1}.`, {
        operation,
        argument: "ids",
        expected: [0, this.vocabSize - 1],
        actual: id,
      });
    }
    if (ids.length === 0) return "";
    return this.#encoder.decode(ids);
  }
}
