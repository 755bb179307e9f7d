/** The loss of next-token prediction, in nats. */
import { InputError, requireOptions, ShapeError } from "../errors.ts";
import { kernels } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { meanAll, Tensor } from "../tensor/index.ts";
import { allocateData, describeTensor, rawData, requireAxes } from "../tensor/internal.ts";
import { paddingMask } from "./attention-mask.ts";
import type { AttentionMask, PaddingMask } from "./attention-mask.ts";
import { tokenRows } from "./tokens.ts";
import type { TokensLike } from "./tokens.ts";

/**
 * What losses count.
 * @category Model
 */
export interface LossOptions {
  /** Which positions are text (1) and which are padding (0), as a run takes it. */
  readonly attentionMask?: AttentionMask | undefined;
}

/**
 * The loss of each prediction, $-\ln p(t_{i+1} \mid t_{\le i})$ in nats: entry i is the loss of predicting token i + 1.
 *
 * @param logits - `[batch, pos, d_vocab]`.
 * @param tokens - the tokens that the logits came from, as the model was given them.
 * @param options - `attentionMask`: predictions of padding, or from it, have the loss 0.
 * @returns `[batch, pos]` with one position fewer; empty for prompts of one token.
 * @throws {@link ShapeError} when batch or positions differ; {@link InputError} when a token is not a column of the
 * logits.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { lossPerToken } from "transformer-circuits/model";
 *
 * const logits = Tensor.zeros("batch pos d_vocab", [1, 3, 8]);
 * const tokens = Tensor.from("batch pos", [1, 3], [0, 5, 2], "int32");
 * const loss = lossPerToken(logits, tokens);
 * console.log(loss.at(0, 0).toFixed(4), Math.log(8).toFixed(4));
 * // 2.0794 2.0794
 * ```
 */
export function lossPerToken(
  logits: Tensor<"batch pos d_vocab">,
  tokens: TokensLike,
  options: LossOptions = {},
): Tensor<"batch pos"> {
  requireOptions(options, "lossPerToken", "attentionMask");
  requireAxes(logits, "batch pos d_vocab", "logits", "lossPerToken");
  const [batch = 0, pos = 0, d_vocab = 0] = logits.shape;
  const rows = tokenRows(tokens, "lossPerToken");
  if (rows.length !== batch || rows.some(({ length }) => length !== pos)) {
    const lengths = rows.map(({ length }) => length);
    const given = tokens instanceof Tensor ? describeTensor(tokens) : `prompts of ${lengths.join(", ")} tokens`;
    throw new ShapeError(`logits are ${describeTensor(logits)} but tokens are ${given}.`, {
      operation: "lossPerToken",
      argument: "tokens",
      expected: [batch, pos],
      actual: tokens instanceof Tensor ? tokens.shape : lengths,
    });
  }
  const count = Math.max(0, pos - 1);
  const out = allocateData("float32", batch * count) as FloatArray;
  const input = rawData(logits) as FloatArray;
  const targets = new Int32Array(count);
  const output = new Float64Array(count);
  for (const [b, ids] of rows.entries()) {
    for (let p = 0; p < count; p++) targets[p] = targetOf(ids, p + 1, d_vocab);
    lossesOfRows({ rows: count, cols: d_vocab, logits: input, start: b * pos * d_vocab, targets, output });
    out.set(output, b * count);
  }
  const mask = maskOf(logits, options, "lossPerToken");
  if (mask !== undefined) for (let t = 0; t < out.length; t++) if (!isPredicted(mask, t)) out[t] = 0;
  return Tensor.from("batch pos", [batch, count], out);
}

function maskOf({ shape }: Tensor, { attentionMask }: LossOptions, operation: string): PaddingMask | undefined {
  return paddingMask(attentionMask, Tensor.zeros("batch pos", [shape[0] ?? 0, shape[1] ?? 0]), operation);
}

function predictionsCounted(mask: PaddingMask, size: number): number {
  let count = 0;
  for (let t = 0; t < size; t++) count += isPredicted(mask, t) ? 1 : 0;
  return count;
}

/** Whether a prediction, counted over prompts, is one of text from text. */
export function isPredicted({ pos, visible }: PaddingMask, prediction: number): boolean {
  const at = prediction + Math.floor(prediction / (pos - 1));
  return visible[at] === 1 && visible[at + 1] === 1;
}

/** Logits whose losses are asked for, and where they go. */
interface RowLosses {
  readonly rows: number;
  readonly cols: number;
  readonly logits: FloatArray;
  /** The first of them; 0 unless given. */
  readonly start?: number;
  /** `[rows]`: a column for each row. */
  readonly targets: Int32Array;
  readonly output: FloatArray;
}

/** The loss of one target in each row of logits, in nats. */
export function lossesOfRows({ rows, cols, logits, start = 0, targets, output }: RowLosses): void {
  kernels().crossEntropy({ rows, cols, logits, logitsOffset: start, targets, output });
}

/** The token that a prediction is of, which the logits have a column for. */
export function targetOf(ids: ArrayLike<number>, index: number, d_vocab: number): number {
  const id = ids[index] as number;
  if (!Number.isInteger(id) || id < 0 || id >= d_vocab) {
    throw new InputError(`token ${id} is not a column of the logits, which have d_vocab=${d_vocab}.`, {
      operation: "lossPerToken",
      argument: "tokens",
      expected: [0, d_vocab - 1],
      actual: id,
    });
  }
  return id;
}

/**
 * The mean loss over all predictions, in nats.
 *
 * @param logits - `[batch, pos, d_vocab]`.
 * @param tokens - the tokens that the logits came from, as the model was given them.
 * @param options - `attentionMask`: predictions of padding, or from it, do not count.
 * @throws {@link ShapeError} and {@link InputError} as {@link lossPerToken}; {@link InputError} where nothing is
 * predicted, as where prompts have one token.
 * @category Model
 * @example
 * ```ts
 * import { meanLoss } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const { logits, tokens } = model.run(
 *   tokenizer.encode("interface Array<T> { readonly length: number; }", { bos: true }),
 * );
 * console.log(meanLoss(logits, tokens).toFixed(2));
 * // 2.62
 * ```
 */
export function meanLoss(logits: Tensor<"batch pos d_vocab">, tokens: TokensLike, options: LossOptions = {}): number {
  requireOptions(options, "meanLoss", "attentionMask");
  requireAxes(logits, "batch pos d_vocab", "logits", "meanLoss");
  const losses = lossPerToken(logits, tokens, options);
  const mask = maskOf(logits, options, "meanLoss");
  const counted = mask === undefined ? losses.size : predictionsCounted(mask, losses.size);
  if (counted > 0) return (meanAll(losses) * losses.size) / counted;
  const [batch = 0, pos = 0] = logits.shape;
  if (mask !== undefined) {
    throw new InputError(
      "the attention mask leaves no prediction of text from text, and there is no loss to average.",
      {
        operation: "meanLoss",
        argument: "attentionMask",
        expected: "two neighbours of text",
        actual: options.attentionMask,
      },
    );
  }
  throw new InputError(
    `${batch} ${batch === 1 ? "prompt" : "prompts"} of ${pos} ${pos === 1 ? "token" : "tokens"} ask for no prediction, and there is no loss to average. Give prompts of at least 2 tokens.`,
    { operation: "meanLoss", argument: "tokens", expected: "at least 2 tokens", actual: pos },
  );
}
