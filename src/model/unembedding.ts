/** Logits, of all positions and tokens or of some. */
import { InputError, nameOf } from "../errors.ts";
import { matmul, Tensor } from "../tensor/index.ts";
import { dataForResult, rawData } from "../tensor/internal.ts";
import { lastVisible } from "./attention-mask.ts";
import type { PaddingMask } from "./attention-mask.ts";
import { withBias } from "./bias.ts";
import type { ModelParts } from "./embedding.ts";
import type { Stream } from "./head-products.ts";
import type { ModelConfig } from "./model-config.ts";
import { copyRows, rowsOfAll } from "./rows.ts";
import type { RunOptions } from "./run.ts";

/** Which logits to compute; all where nothing is said. */
export interface LogitSelection {
  /** `[batch][...]`: positions of each prompt, as many for each. */
  readonly positions?: readonly (readonly number[])[] | undefined;
  /** Output tokens. */
  readonly directions?: readonly number[] | undefined;
}

/** Checks which logits are asked for. */
export function logitSelection(
  config: ModelConfig,
  tokens: Tensor<"batch pos">,
  mask: PaddingMask | undefined,
  { unembed = "all", directions }: Pick<RunOptions, "unembed" | "directions">,
): LogitSelection {
  const [batch = 0, pos = 0] = tokens.shape;
  if (directions !== undefined) requireDirections(directions, config.d_vocab_out);
  if (unembed === "all") return { directions };
  if (unembed === "last") {
    const last = mask === undefined ? Array.from({ length: batch }, () => pos - 1) : lastVisible(mask);
    return { positions: last.map((p) => [p]), directions };
  }
  const given: unknown = unembed;
  if (!Array.isArray(given)) throw wrongPositions(nameOf(given), given);
  const rows: readonly unknown[] = Array.isArray(given[0])
    ? (given as unknown[])
    : Array.from({ length: batch }, () => given as unknown);
  if (rows.length !== batch) throw wrongPositions(`a list for ${rows.length} prompts, of ${batch}`, given);
  const positions = rows.map((row) => {
    if (!Array.isArray(row)) throw wrongPositions(`a list that holds ${nameOf(row)} beside lists`, given);
    const isPlain = row.every((p: unknown) => typeof p === "number" && Number.isInteger(p) && p >= 0 && p < pos);
    return isPlain ? (row as number[]) : row.map((p: unknown) => positionOf(p, pos));
  });
  const count = positions[0]?.length ?? 0;
  const other = positions.find((row) => row.length !== count);
  if (other !== undefined)
    throw wrongPositions(`${count} positions of one prompt and ${other.length} of another`, given);
  return { positions, directions };
}

function wrongPositions(what: string, actual: unknown): InputError {
  return new InputError(
    `unembed is ${what}. Give "all", "last", "none", positions, or a list of as many positions for each prompt.`,
    { operation: "run", argument: "unembed", expected: '"all", "last", "none" or positions', actual },
  );
}

function positionOf(given: unknown, pos: number): number {
  const p = typeof given === "number" && given < 0 ? given + pos : given;
  if (typeof p === "number" && Number.isSafeInteger(p) && p >= 0 && p < pos) return p;
  throw new InputError(`unembed asks for position ${nameOf(given)} of prompts of ${pos} tokens.`, {
    operation: "run",
    argument: "unembed",
    expected: [-pos, pos - 1],
    actual: given,
  });
}

function requireDirections(directions: readonly number[], size: number): void {
  const list: unknown = directions;
  const wrong: unknown = Array.isArray(list)
    ? (list as unknown[]).find((id) => typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= size)
    : list;
  if (Array.isArray(list) && wrong === undefined) return;
  throw new InputError(`directions has ${nameOf(wrong)}; it is a list of output tokens, 0 to ${size - 1}.`, {
    operation: "run",
    argument: "directions",
    expected: [0, size - 1],
    actual: wrong,
  });
}

/** $x W_U + b_U$, of the rows and columns that are asked for. */
export function unembedded(
  model: ModelParts,
  final: Stream,
  { positions, directions }: LogitSelection = {},
): Tensor<"batch pos d_vocab"> {
  const rows = positions === undefined ? final : rowsAt(final, positions);
  const W_U = model.weight("unembed.W_U") as Tensor<"d_model d_vocab">;
  if (directions === undefined) return withBias(matmul(rows, W_U), model.b_U);
  const columns = columnsAt(W_U, directions);
  const bias = rawData(model.b_U);
  const b_U = Tensor.from(
    "d_vocab",
    [directions.length],
    Float32Array.from(directions, (id) => bias[id] as number),
  );
  return withBias(matmul(rows, columns), b_U);
}

function rowsAt(x: Stream, positions: readonly (readonly number[])[]): Stream {
  const [batch = 0, pos = 0, d = 0] = x.shape;
  const count = positions[0]?.length ?? 0;
  const data = rawData(x);
  const out = dataForResult(x.dtype === "float64" ? "float64" : "float32", batch * count * d);
  copyRows(data, rowsOfAll(positions, pos), d, out);
  return Tensor.from("batch pos d_model", [batch, count, d], out);
}

/** Some columns of the unembedding. */
export function columnsAt(W_U: Tensor<"d_model d_vocab">, directions: readonly number[]): Tensor<"d_model d_vocab"> {
  const [d = 0, size = 0] = W_U.shape;
  const data = rawData(W_U);
  const n = directions.length;
  const out = dataForResult("float32", d * n);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < n; j++) out[i * n + j] = data[i * size + (directions[j] as number)] as number;
  return Tensor.from("d_model d_vocab", [d, n], out);
}
