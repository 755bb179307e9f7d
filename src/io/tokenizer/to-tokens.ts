/** Texts to what a model runs, as TransformerLens's users expect it: with a BOS token first unless told otherwise. */
import { InputError, nameOf, requireKind } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { TOKENIZER } from "./tokenizer.ts";

/**
 * How {@link toTokens} makes a batch of texts.
 * @category Tokens
 */
export interface ToTokensOptions {
  /** Whether each text begins with `tokenizer.bos`; true unless given, as in TransformerLens. */
  readonly prependBos?: boolean | undefined;
  /**
   * The most tokens of a text, BOS included; longer ones are cut at the end. Not cut unless given; `n_ctx` is the most
   * that a model runs.
   */
  readonly maxLength?: number | undefined;
  /**
   * The id that fills shorter texts up at the end. With causal attention it changes nothing at the positions before it;
   * what a model says at padded positions means nothing. Texts of different lengths are refused unless given.
   */
  readonly padToken?: number | undefined;
}

/**
 * The token ids of one text or several as a batch, `[batch, pos]`: TransformerLens's `to_tokens`. By default each
 * begins with the BOS token.
 *
 * A special token that is spelled out in a text becomes its id too; a text that already begins with it gets another, as
 * in TransformerLens.
 *
 * @throws {@link InputError} when there is no text, a text has no tokens, the tokenizer has no BOS token, or texts have
 * different lengths and no `padToken` is given.
 * @category Tokens
 * @example
 * ```ts
 * import { toTokens } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const tokens = toTokens(tokenizer, ["declare function", "interface"], { padToken: 0 });
 * console.log(String(tokens), tokens.at(0, 0) === tokenizer.bos);
 * // Tensor[batch=2 pos=3] int32 true
 * console.log(String(model.forward(tokens)));
 * // Tensor[batch=2 pos=3 d_vocab=1024] float32
 * ```
 */
export function toTokens(
  tokenizer: Tokenizer,
  input: string | readonly string[],
  options: ToTokensOptions = {},
): Tensor<"batch pos"> {
  if (typeof tokenizer === "string") {
    throw refuse(
      "tokenizer",
      `the tokenizer is missing; the first argument is ${nameOf(tokenizer)}. Write toTokens(tokenizer, text), with a tokenizer of loadTokenizer.`,
      tokenizer,
    );
  }
  requireKind(TOKENIZER, tokenizer, "tokenizer", "toTokens", options, "prependBos maxLength padToken");
  if (typeof input !== "string") requireKind("list", input, "input", "toTokens");
  const { prependBos = true, maxLength = Infinity, padToken } = options;
  const texts = typeof input === "string" ? [input] : input;
  if (maxLength !== Infinity && (!Number.isInteger(maxLength) || maxLength < 1)) {
    throw refuse(
      "maxLength",
      `maxLength is ${maxLength}; it is how many tokens a text may have, at least 1.`,
      maxLength,
    );
  }
  if (texts.length === 0) throw refuse("input", "there is no text. Give one, or a list of them.", texts);
  const rows = texts.map((text, b) => {
    const ids = tokenizer.encode(text, { bos: prependBos }).slice(0, maxLength);
    if (ids.length === 0) throw refuse("input", `text ${b} has no tokens. A run needs at least one.`, text);
    return ids;
  });
  const pos = Math.max(...rows.map((row) => row.length));
  const data = new Int32Array(rows.length * pos);
  for (const [b, row] of rows.entries()) {
    if (row.length < pos && padToken === undefined) {
      throw refuse(
        "input",
        `text ${b} has ${row.length} tokens and another has ${pos}. Texts of one run have equal length: pass padToken, or cut them with maxLength.`,
        rows.map(({ length }) => length),
      );
    }
    data.fill(padToken ?? 0, b * pos, (b + 1) * pos);
    data.set(row, b * pos);
  }
  return Tensor.from("batch pos", [rows.length, pos], data);
}

/**
 * Whether a text is one token, its leading space included; `tokenizer.toSingleToken` gives its id, or says what it is
 * instead.
 *
 * @category Tokens
 * @example
 * ```ts
 * import { isSingleToken } from "transformer-circuits/io";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { tokenizer } = await openBundledModel();
 * console.log(isSingleToken(tokenizer, " function"), isSingleToken(tokenizer, " function declaration"));
 * // true false
 * ```
 */
export function isSingleToken(tokenizer: Tokenizer, text: string): boolean {
  requireKind(TOKENIZER, tokenizer, "tokenizer", "isSingleToken");
  return tokenizer.encode(text).length === 1;
}

function refuse(argument: string, message: string, actual: unknown): InputError {
  return new InputError(message, { operation: "toTokens", argument, actual });
}
