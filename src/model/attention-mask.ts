/**
 * Which positions of a batch are text and which are padding, and the place of each within its text: TransformerLens's
 * `attention_mask`.
 */
import { InputError, nameOf, requireObject, ShapeError } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor, rawData } from "../tensor/internal.ts";
import { tokenRows } from "./tokens.ts";
import type { TokensLike } from "./tokens.ts";

/**
 * Which positions are text (1 or true) and which are padding (0 or false), for one prompt or for several.
 * @category Model
 */
export type AttentionMask =
  readonly (number | boolean)[] | readonly (readonly (number | boolean)[])[] | Tensor<"batch pos"> | Tensor<"pos">;

/**
 * Which positions of a run are padding, checked: what an {@link EditSource} is told of a padded run.
 * @category Model
 */
export interface PaddingMask {
  readonly batch: number;
  readonly pos: number;
  /** `[batch, pos]`: 1 for text. */
  readonly visible: Uint8Array;
  /** `[batch, pos]`: how many positions of text come before; 0 for padding before the text. */
  readonly places: Int32Array;
}

/** A checked mask of tokens of some shape; `undefined` where it hides nothing. */
export function paddingMask(
  given: AttentionMask | undefined,
  tokens: Tensor<"batch pos">,
  operation: string,
): PaddingMask | undefined {
  if (given === undefined) return undefined;
  const [batch = 0, pos = 0] = tokens.shape;
  const rows = tokenRows(withoutBooleans(given), operation);
  if (rows.length !== batch || rows.some(({ length }) => length !== pos)) {
    const shown = given instanceof Tensor ? describeTensor(given) : rows.map(({ length }) => length).join(", ");
    throw new ShapeError(`the attention mask is ${shown} but the tokens are ${describeTensor(tokens)}.`, {
      operation,
      argument: "attentionMask",
      expected: tokens.shape,
      actual: rows.map(({ length }) => length),
    });
  }
  const visible = new Uint8Array(batch * pos);
  const places = new Int32Array(batch * pos);
  for (const [b, row] of rows.entries()) {
    let count = 0;
    for (let p = 0; p < pos; p++) {
      const entry = row[p];
      if (entry !== 0 && entry !== 1) throw notAMask(entry, b, p, operation);
      visible[b * pos + p] = entry;
      count += entry;
      places[b * pos + p] = Math.max(0, count - 1);
    }
    if (count === 0) {
      throw new InputError(`the attention mask hides all of prompt ${b}. A prompt has at least one token of text.`, {
        operation,
        argument: "attentionMask",
        expected: "at least one 1 a prompt",
        actual: 0,
      });
    }
  }
  return visible.includes(0) ? { batch, pos, visible, places } : undefined;
}

/** A mask as rows of numbers are given. */
function withoutBooleans(given: AttentionMask): TokensLike {
  if (!Array.isArray(given)) return given as TokensLike;
  const plain = (entry: unknown): unknown => (typeof entry === "boolean" ? Number(entry) : entry);
  const rows: readonly unknown[] = given;
  return rows.map((row) => (Array.isArray(row) ? row.map(plain) : plain(row))) as TokensLike;
}

function notAMask(entry: unknown, b: number, p: number, operation: string): InputError {
  return new InputError(
    `the attention mask is ${nameOf(entry)} at position ${p} of prompt ${b}. Write 1 for text and 0 for padding.`,
    { operation, argument: "attentionMask", expected: "0 or 1", actual: entry },
  );
}

/** Scores with −Infinity, in place, where the key is padding. */
export function hidePaddedKeys(scores: Tensor<"batch head query_pos key_pos">, mask: PaddingMask): void {
  const [batch = 0, heads = 0, queries = 0, keys = 0] = scores.shape;
  const data = rawData(scores);
  for (let b = 0; b < batch; b++) {
    for (let j = 0; j < keys; j++) {
      if (mask.visible[b * mask.pos + j] === 1) continue;
      const end = (b + 1) * heads * queries * keys;
      for (let at = b * heads * queries * keys + j; at < end; at += keys) data[at] = -Infinity;
    }
  }
}

/** The first position of a prompt's text and the one after its last; undefined where padding lies between. */
export function textRange(
  mask: PaddingMask | undefined,
  prompt: number,
  pos: number,
): readonly [number, number] | undefined {
  if (mask === undefined) return [0, pos];
  const row = mask.visible.subarray(prompt * pos, (prompt + 1) * pos);
  const [from, to] = [row.indexOf(1), row.lastIndexOf(1) + 1];
  return row.subarray(from, to).includes(0) ? undefined : [from, to];
}

/** The last position of text of each prompt. */
export function lastVisible({ batch, pos, visible }: PaddingMask): number[] {
  return Array.from({ length: batch }, (_, b) => visible.lastIndexOf(1, (b + 1) * pos - 1) - b * pos);
}

/**
 * How {@link padPrompts} pads.
 * @category Model
 */
export interface PadOptions {
  /** The token that fills up; 0 unless given. What it is changes nothing that the mask lets be seen. */
  readonly pad?: number | undefined;
  /** On which side; `"left"` unless given, so that all prompts end at the last position. */
  readonly side?: "left" | "right" | undefined;
}

/**
 * Prompts of different lengths made equally long, with the mask that hides what was filled in.
 *
 * @param prompts - the ids of each.
 * @throws {@link InputError} for no prompt, an empty one, or an unknown side.
 * @category Model
 * @example
 * ```ts
 * import { padPrompts } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { tokens, attentionMask } = padPrompts([[0, 5, 6, 7], [0, 8]]);
 * console.log(tokens, attentionMask);
 * // [ [ 0, 5, 6, 7 ], [ 0, 0, 0, 8 ] ] [ [ 1, 1, 1, 1 ], [ 0, 0, 1, 1 ] ]
 * const { logits } = model.run(tokens, { attentionMask, unembed: "last", cache: [] });
 * const alone = model.forward([0, 8]);
 * console.log(Math.abs(logits.at(1, 0, 9) - alone.at(0, 1, 9)) < 1e-5);
 * // true
 * ```
 */
export function padPrompts(
  prompts: readonly (readonly number[])[],
  options: PadOptions = {},
): { readonly tokens: number[][]; readonly attentionMask: number[][] } {
  requireObject(options, "options", "padPrompts", "pad side");
  const { pad = 0, side = "left" } = options;
  if (!["left", "right"].includes(side)) {
    throw new InputError(`side is ${nameOf(side)}; the choices are left, right.`, {
      operation: "padPrompts",
      argument: "side",
      expected: ["left", "right"],
      actual: side,
    });
  }
  const rows = tokenRows(prompts, "padPrompts").map((row) => Array.from(row));
  const empty = rows.findIndex((row) => row.length === 0);
  if (empty >= 0) {
    throw new InputError(`prompt ${empty} is empty. A run needs at least one token.`, {
      operation: "padPrompts",
      argument: "prompts",
      expected: "at least 1 token",
      actual: 0,
    });
  }
  const length = Math.max(...rows.map((row) => row.length));
  const filled = (row: readonly number[], filler: number): number[] => {
    const padding = new Array<number>(length - row.length).fill(filler);
    return side === "left" ? [...padding, ...row] : [...row, ...padding];
  };
  return {
    tokens: rows.map((row) => filled(row, pad)),
    attentionMask: rows.map((row) =>
      filled(
        row.map(() => 1),
        0,
      ),
    ),
  };
}
