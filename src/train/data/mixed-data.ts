/** Data of several kinds in one batch. */
import { requireKinds } from "../../errors.ts";
import type { Kind } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { refusal, rowTensor } from "./at-step.ts";
import type { DrawnBatch, DrawnData } from "./training-data.ts";

const OPERATION = "mixedData";
const DATA: Kind = { member: "batch", what: "data for training", remedy: "Make them with textData or its like" };

/**
 * Batches that hold the prompts of several data, one after another: the prompts of text and of repeated tokens, say.
 * How many there are of each, each of the data says by its own `batch`.
 *
 * @param parts - data whose prompts are equally long.
 * @throws {@link InputError} for no data, or data of different `n_ctx`.
 * @category Training
 * @example
 * ```ts
 * import { markovChainData, mixedData, repeatedTokenData } from "transformer-circuits/train";
 *
 * const data = mixedData([
 *   markovChainData({ d_vocab: 8, n_ctx: 32, batch: 6 }),
 *   repeatedTokenData({ d_vocab: 8, n_ctx: 32, batch: 2 }),
 * ]);
 * console.log(String(data.batch(0).tokens));
 * // Tensor[batch=8 pos=32] int32
 * ```
 */
export function mixedData(parts: readonly DrawnData[]): DrawnData {
  requireKinds(DATA, parts, "parts", OPERATION);
  const [first] = parts;
  if (first === undefined) throw refusal(OPERATION, "parts", parts, "there are no data to mix; give at least one.");
  const odd = parts.find(({ n_ctx }) => n_ctx !== first.n_ctx);
  if (odd !== undefined) {
    const message = `${first.name} have n_ctx=${first.n_ctx} but ${odd.name} n_ctx=${odd.n_ctx}; prompts of one batch are equally long.`;
    throw refusal(OPERATION, "parts", odd.n_ctx, message);
  }
  return {
    name: parts.map(({ name }) => name).join(" and "),
    d_vocab: Math.max(...parts.map(({ d_vocab }) => d_vocab)),
    n_ctx: first.n_ctx,
    batch: (step) => {
      const batches = parts.map((part) => part.batch(step));
      const tokens = joined(batches.map((batch) => batch.tokens));
      const isPlain = batches.every(({ targets, lossMask }) => targets === undefined && lossMask === undefined);
      if (isPlain) return { tokens };
      return { tokens, targets: joined(batches.map(targetsOf)), lossMask: joined(batches.map(weightsOf)) };
    },
  };
}

/** Prompts of several tensors in one. */
function joined(tensors: readonly Tensor<"batch pos">[]): Tensor<"batch pos"> {
  const rows = tensors.flatMap((tensor) => {
    const [batch = 0, pos = 0] = tensor.shape;
    const data = rawData(tensor);
    return Array.from({ length: batch }, (_, b) => data.subarray(b * pos, (b + 1) * pos));
  });
  return rowTensor(rows, rawData(tensors[0] as Tensor<"batch pos">) instanceof Int32Array ? "int32" : "float64");
}

/** The targets of a batch: its next tokens, and any at the last position, unless it brings its own. */
function targetsOf({ tokens, targets }: DrawnBatch): Tensor<"batch pos"> {
  if (targets !== undefined) return targets;
  const ids = rawData(tokens);
  return Tensor.from("batch pos", tokens.shape, Int32Array.from(ids, (id, i) => ids[i + 1] ?? id));
}

/** What the predictions of a batch count: nothing at the last position, where it has no targets of its own. */
function weightsOf({ tokens, targets, lossMask }: DrawnBatch): Tensor<"batch pos"> {
  if (lossMask !== undefined) return lossMask;
  const [batch = 0, pos = 0] = tokens.shape;
  const weight = (i: number): number => (targets === undefined && i % pos === pos - 1 ? 0 : 1);
  return Tensor.from("batch pos", tokens.shape, Float64Array.from({ length: batch * pos }, (_, i) => weight(i)));
}
