/** Where a side of a score is read: positions of a run with coefficients, and a user's own directions. */
import { InputError, nameOf, requireObject } from "../../errors.ts";
import { rotate } from "../../model/index.ts";
import type { HeadId, ModelConfig, Transformer } from "../../model/index.ts";
import { foldedReader } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";

/**
 * A vector of one's own in place of a query or a key, without biases: in the head's space (`d_head`), in the space that
 * the layer reads (`d_model`, through the norm's weights and $W_Q$ or $W_K$, not divided by a norm's scale), or the
 * embedding of a token as if it stood in the stream alone (`token`).
 * @category Attention scores
 */
export type ScoreDirection = (
  | { readonly d_head: ArrayLike<number> | Tensor }
  | { readonly d_model: ArrayLike<number> | Tensor }
  | { readonly token: number }
) & {
  /** The position that a rotary model rotates it to; unrotated without. */
  readonly at?: number | undefined;
};

/** A position of a run that a side reads. */
export interface Place {
  /** Its row of the stream, `[batch, pos]` counted through. */
  readonly row: number;
  readonly at: number;
  /** The position that queries and keys there are rotated to. */
  readonly turn: number;
  readonly weight: number;
}

/** A position of a prompt as a place. */
export function placeOf(frozen: FrozenRun, prompt: number, at: number, weight: number): Place {
  const row = prompt * frozen.run.tokens.sizeOf("pos") + at;
  return { row, at, turn: frozen.trace?.mask?.places[row] ?? at, weight };
}

/** Rows `[d_head]` rotated to a position, where the model rotates queries and keys. */
export function turned(config: ModelConfig, rows: Float64Array, to: number): Float64Array {
  if (config.positional_embedding_type !== "rotary") return rows;
  const one = Tensor.from("batch pos head d_head", [1, 1, rows.length / config.d_head, config.d_head], rows);
  return rotate(one, config, to).data as Float64Array;
}

/** A direction of one's own as a query or key of a head, `[d_head]`, rotated. */
export function directionVector(
  model: Transformer,
  { layer, head }: HeadId,
  name: "Q" | "K",
  direction: ScoreDirection,
  operation: string,
): Float64Array {
  const argument = name === "Q" ? "query" : "key";
  requireObject(direction, argument, operation, "d_head d_model token at");
  const { config } = model;
  const given = ["d_head", "d_model", "token"].filter(
    (key) => (direction as Record<string, unknown>)[key] !== undefined,
  );
  const { at = 0 } = direction;
  if (given.length !== 1 || !Number.isSafeInteger(at)) {
    throw new InputError(
      given.length === 1
        ? `${argument}.at is ${nameOf(at)}; give the whole number of a position.`
        : `${argument} has ${given.length === 0 ? "no direction" : given.join(" and ")}. Give a position, or one of { d_head }, { d_model } and { token }.`,
      { operation, argument, expected: "d_head, d_model or token", actual: given.length === 1 ? at : given },
    );
  }
  if ("d_head" in direction && direction.d_head !== undefined) {
    return turned(config, numbersOf(direction.d_head, config.d_head, `${argument}.d_head`, operation), at);
  }
  const read =
    "d_model" in direction && direction.d_model !== undefined
      ? numbersOf(direction.d_model, config.d_model, `${argument}.d_model`, operation)
      : embeddingOf(model, layer, (direction as { readonly token: number }).token, `${argument}.token`, operation);
  const W = foldedReader(model.layer(layer), `W_${name}`).select("head", head).data;
  const out = new Float64Array(config.d_head);
  for (const [i, x] of read.entries()) {
    for (let e = 0; e < out.length; e++) out[e] = (out[e] as number) + x * (W[i * out.length + e] as number);
  }
  return turned(config, out, at);
}

/** A token's embedding, divided by the scale that the layer's norm has of it alone. */
function embeddingOf(
  model: Transformer,
  layer: number,
  token: number,
  argument: string,
  operation: string,
): Float64Array {
  const { d_vocab, d_model } = model.config;
  if (!Number.isInteger(token) || token < 0 || token >= d_vocab) {
    throw new InputError(`${argument} is ${nameOf(token)}; ids of tokens go from 0 to ${d_vocab - 1}.`, {
      operation,
      argument,
      expected: [0, d_vocab - 1],
      actual: token,
    });
  }
  const table = rawData(model.weight("embed.W_E"));
  const row = Float64Array.from(table.subarray(token * d_model, (token + 1) * d_model));
  const { ln1 } = model.layer(layer);
  const scale = ln1?.scaleOf(Tensor.from("batch pos d_model", [1, 1, d_model], row)).at(0, 0, 0) ?? 1;
  return row.map((x) => x / scale);
}

function numbersOf(
  values: ArrayLike<number> | Tensor,
  length: number,
  argument: string,
  operation: string,
): Float64Array {
  const data = values instanceof Object && "data" in values ? values.data : values;
  const numbers = Float64Array.from(data);
  if (numbers.length !== length || !numbers.every(Number.isFinite)) {
    throw new InputError(`${argument} holds ${numbers.length} numbers; give ${length} finite ones.`, {
      operation,
      argument,
      expected: length,
      actual: numbers.length,
    });
  }
  return numbers;
}
