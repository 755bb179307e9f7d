/** Token ids in: checked once, at the door. */
import { InputError, isPromise, nameOf, requireKind, requireObject } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor } from "../tensor/internal.ts";
import type { ModelConfig } from "./model-config.ts";

/**
 * Token ids of one prompt, or of several of the same length. A `BigInt64Array` is what transformers.js gives.
 * @category Model
 */
export type TokensLike =
  readonly number[] | readonly (readonly number[])[] | Int32Array | BigInt64Array | Tensor<"pos"> | Tensor<"batch pos">;

function refuse(operation: string, message: string, expected: unknown, actual: unknown): InputError {
  return new InputError(message, { operation, argument: "tokens", expected, actual });
}

/** Whether a value from an untyped caller can be read as a list. */
function isListLike(value: unknown): value is ArrayLike<unknown> {
  return typeof value === "object" && value !== null && "length" in value && Number.isSafeInteger(value.length);
}

/** Ids as numbers: bigints of an untyped caller or of a `BigInt64Array` become the numbers that they are. */
export function plainIds(ids: ArrayLike<number | bigint>): ArrayLike<number> {
  const isPlain = ids instanceof Int32Array || !Array.prototype.some.call(ids, (id) => typeof id === "bigint");
  if (isPlain) return ids as ArrayLike<number>;
  return Array.from(ids, (id) => (typeof id === "bigint" ? Number(id) : id));
}

/** The prompts' ids, one row each; their lengths and the ids unchecked. */
export function tokenRows(tokens: TokensLike, operation: string): ArrayLike<number>[] {
  if (tokens instanceof Tensor) {
    // Swapped axes: positions would be taken for prompts.
    if ((tokens.rank !== 1 && tokens.rank !== 2) || (tokens.rank === 2 && tokens.names[0] === "pos")) {
      throw refuse(
        operation,
        `tokens are ${describeTensor(tokens)}. Give [pos], one prompt, or [batch, pos].`,
        "1 or 2 axes",
        tokens.shape,
      );
    }
    const length = tokens.shape[tokens.rank - 1] ?? 0;
    const data = tokens.data;
    if (tokens.rank === 1) return [data];
    return Array.from({ length: tokens.shape[0] ?? 0 }, (_, b) => data.subarray(b * length, (b + 1) * length));
  }
  if (tokens instanceof Int32Array) return [tokens];
  const given: unknown = tokens;
  if (!isListLike(given)) {
    const mend = isPromise(given)
      ? "Write await before the call that gave them"
      : typeof given === "string"
        ? "Make ids of a text first: toTokens(tokenizer, text)"
        : "Give a list of token ids, several of equal length, or a tensor";
    throw refuse(operation, `tokens are ${nameOf(given)}. ${mend}.`, "a list of token ids", given);
  }
  const first: unknown = given[0];
  if (typeof first === "number" || typeof first === "bigint" || first === undefined) {
    return [plainIds(given as ArrayLike<number | bigint>)];
  }
  return Array.from(given, (row, b) => {
    if (!isListLike(row)) {
      const mend = typeof row === "string" ? " Make ids of texts first: toTokens(tokenizer, texts)." : "";
      throw refuse(
        operation,
        `prompt ${b} is ${nameOf(row)}, not a list of token ids.${mend}`,
        "a list of token ids",
        row,
      );
    }
    if (isListLike(row[0])) {
      throw refuse(
        operation,
        `token 0 of prompt ${b} is a list itself: tokens are nested three deep. Give one prompt, as [5, 7], or several, as [[5, 7], [5, 8]].`,
        "token ids",
        row,
      );
    }
    return plainIds(row as ArrayLike<number | bigint>);
  });
}

/**
 * Token ids as a tensor `[batch, pos]`, checked against a model's configuration.
 *
 * @param config - whose `d_vocab` and `n_ctx` bound ids and length.
 * @param tokens - one prompt or several of equal length.
 * @throws {@link InputError} for no prompt, an empty or too long one, prompts of different lengths, an id out of range,
 * or what is no list of ids; the text names the prompt and the position.
 * @category Model
 * @example
 * ```ts
 * import { toTokenTensor } from "transformer-circuits/model";
 *
 * const tokens = toTokenTensor({ d_vocab: 10, n_ctx: 8 }, [[0, 3, 9], [0, 1, 2]]);
 * console.log(String(tokens));
 * // Tensor[batch=2 pos=3] int32
 * ```
 */
export function toTokenTensor(
  config: Pick<ModelConfig, "d_vocab" | "n_ctx">,
  tokens: TokensLike,
  operation = "toTokenTensor",
): Tensor<"batch pos"> {
  requireObject(config, "config", operation);
  const rows = tokenRows(tokens, operation);
  const length = rows[0]?.length ?? 0;
  if (length === 0) {
    throw refuse(
      operation,
      "the prompt is empty. A run needs at least one token; models usually begin with their BOS token.",
      "at least 1",
      0,
    );
  }
  if (length > config.n_ctx) {
    throw refuse(
      operation,
      `the prompt has ${length} tokens but the model has n_ctx=${config.n_ctx} positions. Cut it, or use splitWindows.`,
      config.n_ctx,
      length,
    );
  }
  const out = new Int32Array(rows.length * length);
  for (const [b, row] of rows.entries()) {
    if (row.length !== length) {
      throw refuse(
        operation,
        `prompt ${b} has ${row.length} tokens but prompt 0 has ${length}. Prompts of one run have equal length.`,
        length,
        row.length,
      );
    }
    for (let p = 0; p < length; p++) {
      const id = row[p] as number;
      if (!Number.isInteger(id) || id < 0 || id >= config.d_vocab) {
        throw refuse(
          operation,
          `token ${nameOf(id)} at position ${p} of prompt ${b} is not a token id; this model has d_vocab=${config.d_vocab}, ids 0 to ${config.d_vocab - 1}.`,
          [0, config.d_vocab - 1],
          id,
        );
      }
      out[b * length + p] = id;
    }
  }
  return Tensor.from("batch pos", [rows.length, length], out);
}

/**
 * A long text in windows that fit a model, each begun with the BOS token where there is one. Consecutive windows do not
 * overlap; the last may be shorter.
 *
 * @param tokens - the ids of the text, without BOS.
 * @param options - `length`, the most tokens in a window, BOS included; `bos`, the id that begins each.
 * @throws {@link InputError} when a window has no room for a token beside its BOS.
 * @category Model
 * @example
 * ```ts
 * import { splitWindows } from "transformer-circuits/model";
 *
 * console.log(splitWindows([5, 6, 7, 8, 9], { length: 4, bos: 0 }));
 * // [ [ 0, 5, 6, 7 ], [ 0, 8, 9 ] ]
 * ```
 */
export function splitWindows(
  tokens: readonly number[] | Int32Array | BigInt64Array,
  options: { readonly length: number; readonly bos?: number | undefined },
): number[][] {
  requireObject(options, "options", "splitWindows", "length bos");
  requireKind("list", tokens, "tokens", "splitWindows", options);
  const ids = Array.from(plainIds(tokens));
  const head = options.bos === undefined ? [] : [options.bos];
  const room = options.length - head.length;
  if (!Number.isInteger(room) || room < 1) {
    throw new InputError(`a window of ${options.length} tokens has no room for text beside its BOS token.`, {
      operation: "splitWindows",
      argument: "length",
      expected: `at least ${head.length + 1}`,
      actual: options.length,
    });
  }
  const windows: number[][] = [];
  for (let start = 0; start < ids.length; start += room) windows.push([...head, ...ids.slice(start, start + room)]);
  return windows;
}
