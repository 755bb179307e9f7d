/** Text of one's own as data for training: windows at random places. */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { Kind } from "../../errors.ts";
import { requireFinite } from "../../model/internal.ts";
import { randomAt, refusal, requireCounts, rowTensor } from "./at-step.ts";
import type { DrawnData } from "./training-data.ts";

const OPERATION = "textData";

/**
 * What makes token ids of a text: a `Tokenizer` of `transformer-circuits/io`, or anything of this shape.
 * @category Training
 */
export interface TextEncoding {
  /** The token ids of a text. */
  encode(text: string): ArrayLike<number>;
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The token that begins every prompt, where there is one. */
  readonly bos?: number | undefined;
}

/**
 * What {@link textData} draws.
 * @category Training
 */
export interface TextDataOptions {
  /** The number of tokens in a prompt, that at its start included. */
  readonly n_ctx: number;
  /** Prompts in a batch; 32 by default. */
  readonly batch?: number | undefined;
  /** The token that begins each prompt, `null` for none; that of the tokenizer by default. */
  readonly bos?: number | null | undefined;
  /** The share of the text, at its end, that is kept for `heldOut`; 0.1 by default. */
  readonly heldOut?: number | undefined;
  /** The seed; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * What {@link textData} gives.
 * @category Training
 */
export interface TextData extends DrawnData {
  /** How many tokens the text has of which windows are cut. */
  readonly length: number;
  /** The same of the text that was kept apart: how well the model does on what it never saw. Absent where none was. */
  readonly heldOut?: TextData;
}

const ENCODING: Kind = {
  member: "encode",
  what: "a tokenizer",
  remedy: "Make one of the text: loadTokenizer(trainTokenizer(text))",
  holder: "tokenizer",
};

/**
 * Windows of a text at random places, as data for training; the end of the text is kept apart.
 *
 * @param text - the text, or several, which follow one another.
 * @param tokenizer - that of a model, or one trained on the text: `loadTokenizer(trainTokenizer(text))`.
 * @throws {@link InputError} when the text, or what is kept apart, is shorter than a prompt, or a number is not usable.
 * @category Training
 * @example
 * ```ts
 * import { loadTokenizer, trainTokenizer } from "transformer-circuits/io";
 * import { textData } from "transformer-circuits/train";
 *
 * const text = "the cat sat on the mat. the dog sat on the log. ".repeat(20);
 * const tokenizer = loadTokenizer(trainTokenizer(text, { vocabSize: 280 }));
 * const data = textData(text, tokenizer, { n_ctx: 16, batch: 4 });
 * console.log(data.d_vocab, String(data.batch(0).tokens), data.heldOut !== undefined);
 * // 274 Tensor[batch=4 pos=16] int32 true
 * ```
 */
export function textData(
  text: string | readonly string[],
  tokenizer: TextEncoding,
  options: TextDataOptions,
): TextData {
  requireObject(options, "options", OPERATION, "n_ctx batch bos heldOut seed");
  requireKind(ENCODING, tokenizer, "tokenizer", OPERATION);
  const { n_ctx, batch = 32, heldOut = 0.1, seed = 0, bos = tokenizer.bos ?? null } = options;
  requireCounts(OPERATION, seed, { n_ctx, batch });
  requireFinite(heldOut, "heldOut", OPERATION);
  if (heldOut < 0 || heldOut >= 1) {
    throw refusal(OPERATION, "heldOut", heldOut, `heldOut is ${heldOut}; give a share from 0, and below 1.`);
  }
  const ids = Int32Array.from([text].flat().flatMap((part) => Array.from(tokenizer.encode(part))));
  const kept = Math.floor(ids.length * (1 - heldOut));
  const windows = (part: Int32Array, what: string): TextData => {
    const head = bos === null ? 0 : 1;
    const places = part.length - (n_ctx - head) + 1;
    if (places < 1) {
      throw new InputError(
        `${what} has ${part.length} tokens, fewer than a prompt of n_ctx=${n_ctx}. Give more text, or a smaller n_ctx or heldOut.`,
        { operation: OPERATION, argument: "text", expected: n_ctx, actual: part.length },
      );
    }
    return {
      name: "text",
      d_vocab: tokenizer.vocabSize,
      n_ctx,
      length: part.length,
      batch: (step) => {
        const random = randomAt(seed, step, OPERATION);
        const rows = Array.from({ length: batch }, () => {
          const place = random.int(places);
          const row = new Int32Array(n_ctx).fill(bos ?? 0);
          row.set(part.subarray(place, place + n_ctx - head), head);
          return row;
        });
        return { tokens: rowTensor(rows, "int32") };
      },
    };
  };
  const data = windows(ids.subarray(0, kept), "the text");
  if (heldOut === 0) return data;
  return { ...data, heldOut: windows(ids.subarray(kept), "the text kept apart") };
}
