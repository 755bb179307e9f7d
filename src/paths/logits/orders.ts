/**
 * How much paths of each length matter ("term importance", *A Mathematical Framework for Transformer Circuits*).
 *
 * The paper runs the model once to save its patterns, then again and again with patterns forced, heads reading what the
 * run before wrote; run $m$ then holds all paths through at most $m - 1$ heads. The same sums come here from one pass
 * that carries a stream per order. Norm scales are frozen with the patterns, and so is what MLPs write: it belongs to
 * order 0, and to the orders of the heads that it goes through later.
 */
import { InputError } from "../../errors.ts";
import type { Run, TokensLike, Transformer } from "../../model/index.ts";
import { lossesOfRows } from "../../model/internal.ts";
import { add, Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import { finalConstants } from "../frozen/frozen-layers.ts";
import { frozenOf, requireNoPadding, throughFinalNorm, unembed } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { streamsByOrder } from "../frozen/order-streams.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * The logits of all paths of each order, summed: entry 0 is the direct path with everything that begins in a bias,
 * entry p all paths through exactly p heads. They sum to the model's logits, and the first $p + 1$ of them are the
 * logits of the model cut to paths of at most $p$ heads (*A Mathematical Framework for Transformer Circuits*, "Term
 * importance analysis").
 *
 * @param tokens - a prompt, or several of equal length.
 * @returns `[order, batch, pos, d_vocab]`, float32, orders 0 to `n_layers`.
 * @throws {@link InputError} for tokens the model cannot run.
 * @category Path expansion
 * @example
 * ```ts
 * import { maxAbsDifference, sum } from "transformer-circuits";
 * import { logitsByOrder } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const byOrder = logitsByOrder(model, [0, 300, 301]);
 * console.log(String(byOrder));
 * // Tensor[order=3 batch=1 pos=3 d_vocab=1024] float32
 * console.log(maxAbsDifference(sum(byOrder, "order"), model.forward([0, 300, 301])) < 1e-4);
 * // true
 * ```
 */
export function logitsByOrder(
  model: Transformer,
  tokens: TokensLike,
  options?: ProgressOptions,
): Tensor<"order batch pos d_vocab">;
/** As above, of a run that was made before, edits and all. */
export function logitsByOrder(run: Run, options?: ProgressOptions): Tensor<"order batch pos d_vocab">;
export function logitsByOrder(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | ProgressOptions,
  given?: ProgressOptions,
): Tensor<"order batch pos d_vocab"> {
  const operation = "logitsByOrder";
  const { frozen, options } = frozenOf(subject, tokensOrOptions, given, operation, "signal onProgress");
  const { model } = frozen;
  const streams = streamsByOrder(frozen, options).map((stream) => throughFinalNorm(frozen, stream));
  const shape = [streams.length, ...frozen.run.tokens.shape, model.config.d_vocab_out];
  const size = frozen.run.tokens.size * model.config.d_vocab_out;
  const out = new Float32Array(streams.length * size);
  for (const [order, stream] of streams.entries()) {
    const logits =
      order === 0 ? add(unembed(model, add(stream, finalConstants(frozen))), model.b_U) : unembed(model, stream);
    out.set(rawData(logits), order * size);
  }
  return Tensor.from("order batch pos d_vocab", shape, out);
}

/**
 * What {@link lossByMaxOrder} returns.
 * @category Path expansion
 */
export interface LossByMaxOrder {
  /**
   * `[order]`: mean loss in nats when only paths of at most that many heads are kept; the last entry is the model's own
   * loss.
   */
  readonly loss: Tensor<"order">;
  /** `[order]`: by how many nats the paths of each order lower the loss, given all shorter ones; may be negative. */
  readonly marginalGain: Tensor<"order">;
  /** The loss of uniform prediction, $\ln V$ nats, which the gain of order 0 is counted from. */
  readonly uniformLoss: number;
}

/**
 * The mean loss of a model cut to its short paths, with patterns and norm scales frozen, and what each order gains:
 * $\Delta_p = \text{Loss}_{p-1} - \text{Loss}_p$ nats, $\text{Loss}_{-1} = \ln V$ (*A Mathematical Framework for
 * Transformer Circuits*, "Term importance analysis"; biases are kept throughout). The gains sum to $\ln V$ less the
 * model's loss.
 *
 * As patterns are frozen, this measures V-composition alone: what heads gain from where others make them look is in
 * every order.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @throws {@link InputError} for tokens the model cannot run, or that have no next token.
 * @category Path expansion
 * @example
 * ```ts
 * import { lossByMaxOrder } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { loss, marginalGain, uniformLoss } = lossByMaxOrder(model, [0, 300, 301, 302, 303, 300, 301, 302, 303]);
 * const gains = [...marginalGain.data].reduce((a, b) => a + b);
 * console.log(Math.abs(gains - (uniformLoss - loss.at(2))) < 1e-9);
 * // true
 * ```
 */
export function lossByMaxOrder(model: Transformer, tokens: TokensLike, options?: ProgressOptions): LossByMaxOrder;
/** As above, of a run that was made before, edits and all. */
export function lossByMaxOrder(run: Run, options?: ProgressOptions): LossByMaxOrder;
export function lossByMaxOrder(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | ProgressOptions,
  given?: ProgressOptions,
): LossByMaxOrder {
  const operation = "lossByMaxOrder";
  const { frozen, options } = frozenOf(subject, tokensOrOptions, given, operation, "signal onProgress");
  const { model } = frozen;
  requireNextTokens(frozen, "lossByMaxOrder");
  const streams = streamsByOrder(frozen, options);
  const uniformLoss = Math.log(model.config.d_vocab_out);
  const loss = new Float64Array(streams.length);
  const marginalGain = new Float64Array(streams.length);
  const bias = finalConstants(frozen);
  let kept: Stream | undefined;
  for (const [order, stream] of streams.entries()) {
    kept = kept === undefined ? stream : add(kept, stream);
    loss[order] = lossOfStream(frozen, add(throughFinalNorm(frozen, kept), bias));
    marginalGain[order] = (order === 0 ? uniformLoss : (loss[order - 1] as number)) - loss[order];
  }
  return {
    loss: Tensor.from("order", [loss.length], loss),
    marginalGain: Tensor.from("order", [loss.length], marginalGain),
    uniformLoss,
  };
}

/** Rejects prompts of one token, and those with a next token that the model cannot predict. */
export function requireNextTokens(frozen: FrozenRun, operation: string): void {
  const { model, run } = frozen;
  requireNoPadding(frozen, operation);
  const [batch = 0, pos = 0] = run.tokens.shape;
  if (pos < 2) {
    throw new InputError("a prompt of one token has no next token, so there is no loss. Give at least two tokens.", {
      operation,
      argument: "tokens",
      expected: "at least 2 tokens",
      actual: pos,
    });
  }
  const { d_vocab_out } = model.config;
  for (let b = 0; b < batch; b++) {
    for (let p = 1; p < pos; p++) {
      const id = run.tokens.at(b, p);
      if (id < d_vocab_out) continue;
      throw new InputError(
        `token ${id} at position ${p} of prompt ${b} is not an output token, so there is no loss of predicting it; this model has d_vocab_out=${d_vocab_out}.`,
        { operation, argument: "tokens", expected: [0, d_vocab_out - 1], actual: id },
      );
    }
  }
}

/** The mean loss in nats when the unembedding reads a given stream. */
export function lossOfStream(frozen: FrozenRun, normalized: Stream): number {
  const losses = lossesOfStream(frozen, normalized);
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/** Logits that are held at once. */
const MOST_LOGITS = 2 ** 18;

/** The mean loss of each prompt, in nats, when the unembedding reads a given stream; few prompts at a time, float64. */
export function lossesOfStream({ model, run }: FrozenRun, normalized: Stream): Float64Array {
  const [batch = 0, pos = 0] = run.tokens.shape;
  const cols = model.config.d_vocab_out;
  const together = Math.max(1, Math.floor(MOST_LOGITS / (pos * cols)));
  const losses = new Float64Array(batch);
  for (let first = 0; first < batch; first += together) {
    const end = Math.min(batch, first + together);
    const some = together < batch ? normalized.slice("batch", first, end) : normalized;
    const logits = rawData(add(unembed(model, some), model.b_U)) as FloatArray;
    for (let prompt = first; prompt < end; prompt++)
      losses[prompt] = promptLoss({ model, run }, prompt, logits, (prompt - first) * pos * cols);
  }
  return losses;
}

/** What a stream gives the logits of one prompt at all positions but the last, without the unembedding's bias. */
export function promptLogits({ model, run }: FrozenRun, normalized: Stream, prompt: number): Tensor {
  const rows = run.tokens.sizeOf("pos") - 1;
  return unembed(model, normalized.slice("batch", prompt, prompt + 1).slice("pos", 0, rows));
}

/** The mean loss in nats of a prompt with such logits, from `start` on, the bias included. */
export function promptLoss({ model, run }: FrozenRun, prompt: number, logits: FloatArray, start = 0): number {
  const rows = run.tokens.sizeOf("pos") - 1;
  const output = new Float64Array(rows);
  const targets = Int32Array.from({ length: rows }, (_, p) => run.tokens.at(prompt, p + 1));
  lossesOfRows({ rows, cols: model.config.d_vocab_out, logits, start, targets, output });
  return output.reduce((sum, loss) => sum + loss, 0) / rows;
}
