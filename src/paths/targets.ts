/** Which logits to explain: those of the correct next tokens, of tokens given, or a difference of two. */
import { InputError, nameOf, ShapeError } from "../errors.ts";
import type { Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor, rawData } from "../tensor/internal.ts";
import type { Stream } from "./frozen/frozen-run.ts";

/**
 * Tokens whose logits are meant: the correct next token of every position (`"next"`, one position fewer than the
 * prompt), one token id for every position, or an id for each position of each prompt.
 * @category Attribution
 */
export type TokenTargets = "next" | number | readonly (readonly number[])[] | Tensor<"batch pos">;

/**
 * The logits to attribute: of some tokens, or of some less those of others (the logit difference).
 * @category Attribution
 */
export type Targets = TokenTargets | { readonly correct: TokenTargets; readonly incorrect: TokenTargets };

/** Directions in the normalised stream whose dot product with it is the logit wanted, less `constants`. */
export interface Readout {
  /** `[batch, pos, d_model]`, float64; `pos` may be one shorter than the prompt. */
  readonly directions: Stream;
  /** `[batch, pos]`: what $b_U$ gives. */
  readonly constants: Float64Array;
  /** The number of positions. */
  readonly positions: number;
  /** 1, or 2 where a difference is meant. */
  readonly sides: number;
  /** The part of the logits themselves that is meant, `[batch, pos]`. */
  logitsOf(logits: Tensor<"batch pos d_vocab">): Float64Array;
}

/** Token ids `[batch, positions]` of one side of a target. */
function idsOf(
  model: Transformer,
  tokens: Tensor<"batch pos">,
  targets: TokenTargets,
  positions: number,
  operation: string,
): Int32Array {
  const [batch = 0, pos = 0] = tokens.shape;
  const given = Array.isArray(targets) ? (targets as number[][]) : undefined;
  if (
    targets instanceof Tensor &&
    (targets.rank !== 2 || targets.names[0] === "pos" || targets.shape[0] !== batch || targets.shape[1] !== pos)
  ) {
    throw wrongShape(operation, batch, pos, describeTensor(targets));
  }
  if (
    given !== undefined &&
    (given.length !== batch || given.some((row) => (row as number[] | null)?.length !== pos))
  ) {
    throw wrongShape(
      operation,
      batch,
      pos,
      `[${given.length}, ${given.map((row) => (row as number[] | null)?.length).join(" or ")}]`,
    );
  }
  const out = new Int32Array(batch * positions);
  for (let b = 0; b < batch; b++) {
    for (let p = 0; p < positions; p++) {
      let id: number;
      if (targets === "next") id = tokens.at(b, p + 1);
      else if (typeof targets === "number") id = targets;
      else id = targets instanceof Tensor ? targets.at(b, p) : (given?.[b]?.[p] ?? NaN);
      out[b * positions + p] = checkedId(model, id, b, p, operation);
    }
  }
  return out;
}

/** Rejects what an untyped caller may hand in that is none of {@link Targets}. */
function requireTargets(targets: Targets, operation: string): void {
  const given: unknown = targets;
  const isKnown = given === "next" || typeof given === "number" || (typeof given === "object" && given !== null);
  if (isKnown) return;
  throw new InputError(
    `targets are ${nameOf(given)}. Give "next", a token id, an id for each position of each prompt, or { correct, incorrect } of these.`,
    { operation, argument: "targets", expected: '"next", ids or { correct, incorrect }', actual: given },
  );
}

function wrongShape(operation: string, batch: number, pos: number, actual: string): ShapeError {
  return new ShapeError(
    `targets are ${actual} but the tokens are [batch=${batch} pos=${pos}]; give an id for each position of each prompt.`,
    {
      operation,
      argument: "targets",
      expected: [batch, pos],
      actual,
    },
  );
}

function checkedId(model: Transformer, id: number, b: number, p: number, operation: string): number {
  const { d_vocab_out } = model.config;
  if (!Number.isInteger(id) || id < 0 || id >= d_vocab_out) {
    throw new InputError(
      `target ${String(id)} at position ${p} of prompt ${b} is not an output token; this model has d_vocab_out=${d_vocab_out}.`,
      { operation, argument: "targets", expected: [0, d_vocab_out - 1], actual: id },
    );
  }
  return id;
}

/**
 * Resolves targets against prompts.
 * @throws {@link InputError} when there is no next token or an id is no output token; {@link ShapeError} when ids do
 * not fit the prompts.
 */
export function readoutOf(
  model: Transformer,
  tokens: Tensor<"batch pos">,
  targets: Targets,
  operation: string,
): Readout {
  requireTargets(targets, operation);
  const isDifference = typeof targets === "object" && "correct" in targets;
  const sides: TokenTargets[] = isDifference ? [targets.correct, targets.incorrect] : [targets];
  const [batch = 0, pos = 0] = tokens.shape;
  const positions = sides.includes("next") ? pos - 1 : pos;
  if (positions < 1) {
    throw new InputError(`a prompt of one token has no next token to explain. Give more tokens, or targets.`, {
      operation,
      argument: "targets",
      expected: "at least 2 tokens",
      actual: pos,
    });
  }
  const ids = sides.map((side) => idsOf(model, tokens, side, positions, operation));
  const unembedding = model.weight("unembed.W_U");
  const W_U = rawData(unembedding);
  const [d = 0, d_vocab = 0] = unembedding.shape;
  const b_U = model.b_U.data;
  const rows = batch * positions;
  const columns = new Float64Array(rows * d);
  const constants = new Float64Array(rows);
  for (const [side, list] of ids.entries()) {
    const sign = side === 0 ? 1 : -1;
    for (const [row, id] of list.entries()) {
      for (let i = 0; i < d; i++)
        columns[row * d + i] = (columns[row * d + i] as number) + sign * (W_U[i * d_vocab + id] as number);
      constants[row] = (constants[row] as number) + sign * (b_U[id] as number);
    }
  }
  const logitsOf = (logits: Tensor<"batch pos d_vocab">): Float64Array =>
    Float64Array.from({ length: rows }, (_, row) => {
      const [b, p] = [Math.floor(row / positions), row % positions];
      return ids.reduce((s, list, side) => s + (side === 0 ? 1 : -1) * logits.at(b, p, list[row] as number), 0);
    });
  return {
    directions: Tensor.from("batch pos d_model", [batch, positions, d], columns),
    constants,
    positions,
    sides: sides.length,
    logitsOf,
  };
}

/** The dot product of a normalised stream with the readout at every position, `[batch, pos]` flat. */
export function readAlong(readout: Readout, normalized: Stream): Float64Array {
  const [batch = 0, positions = 0, d = 0] = readout.directions.shape;
  const x = rawData(normalized);
  const u = readout.directions.data;
  const pos = normalized.sizeOf("pos");
  const out = new Float64Array(batch * positions);
  for (let row = 0; row < out.length; row++) {
    const from = (Math.floor(row / positions) * pos + (row % positions)) * d;
    let s = 0;
    for (let i = 0; i < d; i++) s += (x[from + i] as number) * (u[row * d + i] as number);
    out[row] = s;
  }
  return out;
}
