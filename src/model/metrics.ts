/**
 * The metrics that circuits are judged by, with their derivatives: $x_a - x_w$, $\ln p_a$, $p_a$, the mean loss
 * $-\ln p(t_{i+1})$, $D_{KL}(p_{ref} \| p)$.
 *
 * With $p = \mathrm{softmax}(x)$: $\partial \ln p_a / \partial x_j = [j = a] - p_j$; a cross entropy is minus that, and
 * $\partial D_{KL}(r \| p) / \partial x_j = p_j - r_j$. `metric.ts` says what a metric is.
 */
import { InputError, requireKind, requireObject, requireOptions, ShapeError } from "../errors.ts";
import { kernels } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../tensor/internal.ts";
import { paddingMask } from "./attention-mask.ts";
import type { AttentionMask, PaddingMask } from "./attention-mask.ts";
import { isPredicted, lossesOfRows } from "./loss.ts";
import { RowMetric, selectLogits } from "./metric.ts";
import type { LogitRows, Metric, MetricReads } from "./metric.ts";
import { tokenRows } from "./tokens.ts";
import type { TokensLike } from "./tokens.ts";

/**
 * Tokens that answer a prompt: one, or several of equal standing; for several prompts a list with an entry for each.
 * One token alone is that of every prompt.
 * @category Model
 */
export type Answers = number | readonly (number | readonly number[])[];

/**
 * Where a metric reads: a position of every prompt, or one for each; negative ones count from the end.
 * @inline
 */
type Pos = number | readonly number[];

/** Answers as a list for each prompt; a single list serves all prompts. */
function answerLists(answers: Answers, argument: string, operation: string): readonly (readonly number[])[] {
  const lists = typeof answers === "number" ? [[answers]] : answers;
  requireKind("list", lists, argument, operation);
  const found = Array.from(lists, (entry) => (typeof entry === "number" ? [entry] : [...entry]));
  for (const [prompt, list] of found.entries()) {
    const bad = list.find((id) => !Number.isSafeInteger(id) || id < 0);
    if (list.length > 0 && bad === undefined) continue;
    throw new InputError(
      bad === undefined
        ? `${argument} of prompt ${prompt} is empty. Name at least one token.`
        : `${String(bad)} in ${argument} of prompt ${prompt} is not a token id.`,
      { operation, argument, expected: "token ids", actual: bad ?? list },
    );
  }
  if (found.length > 0) return found;
  throw new InputError(`${argument} is an empty list. Name a token, or one for each prompt.`, {
    operation,
    argument,
    expected: "token ids",
    actual: answers,
  });
}

/** What a metric at one position of each prompt reads. */
function readsAt(pos: Pos | undefined, lists: readonly (readonly number[])[] | "all"): MetricReads {
  const positions = typeof pos === "number" ? [[pos]] : (pos?.map((p) => [p]) ?? [[-1]]);
  const tokens = lists === "all" ? "all" : [...new Set(lists.flat())].sort((a, b) => a - b);
  return { positions, tokens };
}

/** How many prompts lists are of, where one list is not of all; lists of different lengths are refused. */
function promptCount(operation: string, ...lists: readonly (readonly unknown[] | undefined)[]): { prompts?: number } {
  const counts = new Set(lists.flatMap((list) => (list === undefined || list.length === 1 ? [] : [list.length])));
  const [prompts] = counts;
  if (counts.size < 2) return prompts === undefined ? {} : { prompts };
  throw new InputError(`its lists are of ${[...counts].join(" and ")} prompts. Give one entry for each prompt.`, {
    operation,
    argument: "answer",
    expected: "lists of one length",
    actual: [...counts],
  });
}

const entryOf = <T>(list: readonly T[], prompt: number): T => (list.length === 1 ? list[0] : list[prompt]) as T;
const posList = (pos: Pos | undefined): readonly number[] | undefined => (typeof pos === "object" ? pos : undefined);

/**
 * The logit of the answer less that of a wrong one, at one position of each prompt; of several answers the mean.
 *
 * @param options - `answer` and `wrong`, a token for all prompts or an entry for each, itself a token or a list of
 * them; `pos`, the position, the last unless given.
 * @throws {@link InputError} when an answer is empty or no token id, or lists are of different numbers of prompts.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { logitDifference } from "transformer-circuits/model";
 *
 * const logits = Tensor.fromNested("batch pos d_vocab", [[[0, 0, 0, 0], [5, 1, 3, 2]]]);
 * console.log(logitDifference({ answer: 0, wrong: 3 }).values(logits));
 * // Float64Array(1) [ 3 ]
 * console.log(logitDifference({ answer: [[0, 2]], wrong: [[1, 3]] }).values(logits));
 * // Float64Array(1) [ 2.5 ]
 * ```
 */
export function logitDifference(options: {
  readonly answer: Answers;
  readonly wrong: Answers;
  readonly pos?: number | readonly number[];
}): Metric {
  const operation = "logitDifference";
  requireObject(options, "options", operation, "answer wrong pos");
  const answer = answerLists(options.answer, "answer", operation);
  const wrong = answerLists(options.wrong, "wrong", operation);
  return new RowMetric("logit difference", readsAt(options.pos, [...answer, ...wrong]), {
    ...promptCount(operation, answer, wrong, posList(options.pos)),
    value(rows, prompt) {
      return meanLogit(rows, entryOf(answer, prompt)) - meanLogit(rows, entryOf(wrong, prompt));
    },
    writeGradient(rows, prompt, out, factor) {
      const start = rows.starts[0] as number;
      out.fill(0, start, start + rows.width);
      for (const [list, sign] of [
        [entryOf(answer, prompt), factor] as const,
        [entryOf(wrong, prompt), -factor] as const,
      ])
        for (const id of list) addTo(out, start + rows.column(id), sign / list.length);
    },
  });
}

function addTo(out: FloatArray, at: number, amount: number): void {
  out[at] = (out[at] as number) + amount;
}

function meanLogit({ data, starts, column }: LogitRows, ids: readonly number[]): number {
  let sum = 0;
  for (const id of ids) sum += data[(starts[0] as number) + column(id)] as number;
  return sum / ids.length;
}

/** $\ln \sum_j e^{x_j}$ of a row. */
function logSumExp(rows: LogitRows, start: number): number {
  const output = new Float64Array(1);
  lossesOfRows({ rows: 1, cols: rows.width, logits: rows.data, start, targets: new Int32Array(1), output });
  return (output[0] as number) + (rows.data[start] as number);
}

/** Writes the softmax of each row. */
function writeSoftmax({ data, starts, width }: LogitRows, out: FloatArray): void {
  for (let r = 0; r < starts.length;) {
    const first = r;
    const start = starts[first] as number;
    while (r < starts.length && starts[r] === start + (r - first) * width) r++;
    const place = { input: data, inputOffset: start, output: out, outputOffset: start };
    kernels().softmax({ rows: r - first, cols: width, ...place });
  }
}

function scaleRow(out: FloatArray, start: number, width: number, factor: number): void {
  for (let j = start; j < start + width; j++) out[j] = (out[j] as number) * factor;
}

/**
 * $\ln p$ of the answer at one position of each prompt, in nats; of several answers that of any of them.
 *
 * @param options - `answer`, a token for all prompts or an entry for each, itself a token or a list of them; `pos`, the
 * position, the last unless given.
 * @throws {@link InputError} as {@link logitDifference}.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { logProbability } from "transformer-circuits/model";
 *
 * const logits = Tensor.zeros("batch pos d_vocab", [1, 3, 8]);
 * console.log(logProbability({ answer: 5 }).values(logits)[0]?.toFixed(4), Math.log(1 / 8).toFixed(4));
 * // -2.0794 -2.0794
 * ```
 */
export function logProbability(options: {
  readonly answer: Answers;
  readonly pos?: number | readonly number[];
}): Metric {
  const operation = "logProbability";
  requireObject(options, "options", operation, "answer pos");
  const answer = answerLists(options.answer, "answer", operation);
  return new RowMetric("log probability", readsAt(options.pos, "all"), {
    ...promptCount(operation, answer, posList(options.pos)),
    value: (rows, prompt) => logShare(rows, entryOf(answer, prompt)),
    writeGradient(rows, prompt, out, factor) {
      const start = rows.starts[0] as number;
      const ids = entryOf(answer, prompt);
      // Each answer's share of their sum: e^x by the largest of them, which is exact where all their p vanish.
      const logits = ids.map((id) => rows.data[start + rows.column(id)] as number);
      const top = Math.max(...logits);
      const shares = logits.map((x) => Math.exp(x - top));
      const total = shares.reduce((a, b) => a + b, 0);
      writeSoftmax(rows, out);
      scaleRow(out, start, rows.width, -factor);
      for (const [i, id] of ids.entries())
        addTo(out, start + rows.column(id), (factor * (shares[i] as number)) / total);
    },
  });
}

/** $\ln \sum_{a} p_a$. */
function logShare(rows: LogitRows, ids: readonly number[]): number {
  const start = rows.starts[0] as number;
  const all = logSumExp(rows, start);
  const logs = ids.map((id) => (rows.data[start + rows.column(id)] as number) - all);
  if (logs.length === 1) return logs[0] as number;
  const top = Math.max(...logs);
  return top === -Infinity ? top : top + Math.log(logs.reduce((sum, x) => sum + Math.exp(x - top), 0));
}

/**
 * The probability of the answer at one position of each prompt; of several answers the sum. With `wrong`, less that of
 * the wrong ones.
 *
 * @param options - `answer` and `wrong`, a token for all prompts or an entry for each, itself a token or a list of
 * them; `pos`, the position, the last unless given.
 * @throws {@link InputError} as {@link logitDifference}.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { probability } from "transformer-circuits/model";
 *
 * const logits = Tensor.zeros("batch pos d_vocab", [1, 3, 8]);
 * console.log(probability({ answer: [[1, 2, 3]], wrong: 0 }).values(logits)[0]?.toFixed(4));
 * // 0.2500
 * ```
 */
export function probability(options: {
  readonly answer: Answers;
  readonly wrong?: Answers;
  readonly pos?: number | readonly number[];
}): Metric {
  const operation = "probability";
  requireObject(options, "options", operation, "answer wrong pos");
  const answer = answerLists(options.answer, "answer", operation);
  const wrong = options.wrong === undefined ? undefined : answerLists(options.wrong, "wrong", operation);
  return new RowMetric(wrong === undefined ? "probability" : "probability difference", readsAt(options.pos, "all"), {
    ...promptCount(operation, answer, wrong, posList(options.pos)),
    value(rows, prompt) {
      const less = wrong === undefined ? 0 : Math.exp(logShare(rows, entryOf(wrong, prompt)));
      return Math.exp(logShare(rows, entryOf(answer, prompt))) - less;
    },
    writeGradient(rows, prompt, out, factor) {
      const start = rows.starts[0] as number;
      writeSoftmax(rows, out);
      const sides = [
        [entryOf(answer, prompt), 1] as const,
        [wrong === undefined ? [] : entryOf(wrong, prompt), -1] as const,
      ];
      const signed = sides.flatMap(([ids, sign]) => ids.map((id) => [start + rows.column(id), sign] as const));
      const own = signed.map(([at, sign]) => [at, sign * (out[at] as number)] as const);
      scaleRow(out, start, rows.width, -factor * own.reduce((sum, [, p]) => sum + p, 0));
      for (const [at, p] of own) addTo(out, at, factor * p);
    },
  });
}

/**
 * The mean loss of each prompt's predictions, $-\ln p(t_{i+1} \mid t_{\le i})$ in nats, as a metric; the mean over
 * prompts of equal weight is {@link meanLoss}.
 *
 * @param tokens - the prompts, as the model is given them.
 * @param options - `mask`, a weight for each prediction, `[batch, pos]` with one position fewer than the prompts, as
 * {@link lossPerToken} gives losses: each prompt's value is its weighted mean. `attentionMask`, as for a run:
 * predictions of padding, or from it, weigh nothing.
 * @throws {@link InputError} for prompts of one token or of different lengths, or when a prompt's weights sum to 0 or
 * are not finite; {@link ShapeError} for a mask of other sizes.
 * @category Model
 * @example
 * ```ts
 * import { meanLoss } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 5, 6, 7, 5, 6];
 * const logits = model.forward(tokens);
 * console.log(crossEntropy(tokens).values(logits)[0]?.toFixed(4), meanLoss(logits, tokens).toFixed(4));
 * // 6.1882 6.1882
 * const mask = [[0, 0, 0, 0, 1]];
 * console.log(crossEntropy(tokens, { mask }).reads.positions);
 * // [ [ 4 ] ]
 * ```
 */
export function crossEntropy(
  tokens: TokensLike,
  options: {
    readonly mask?: readonly (readonly number[])[] | Tensor<"batch pos"> | undefined;
    readonly attentionMask?: AttentionMask | undefined;
  } = {},
): Metric {
  const operation = "crossEntropy";
  requireOptions(options, operation, "mask attentionMask");
  const prompts = tokenRows(tokens, operation).map((row) => Array.from(row));
  const pos = prompts[0]?.length ?? 0;
  if (pos < 2 || prompts.some(({ length }) => length !== pos)) {
    throw new InputError(
      `prompts of ${prompts.map(({ length }) => length).join(", ")} tokens: give prompts of equal length, of at least 2 tokens.`,
      { operation, argument: "tokens", expected: "at least 2 tokens", actual: pos },
    );
  }
  const padding = paddingMask(options.attentionMask, Tensor.zeros("batch pos", [prompts.length, pos]), operation);
  const weights = lossWeights(options.mask, padding, prompts.length, pos - 1, operation);
  const targets = prompts.flatMap((row) => [...row.slice(1), 0]);
  const all = Float64Array.from(weights.flatMap((row) => [...row, 0]));
  return predictionLoss({ batch: prompts.length, pos, targets, weights: all });
}

/** Predictions made at the positions of prompts, flat, `[batch, pos]`. */
interface Predictions {
  readonly batch: number;
  readonly pos: number;
  /** The token that each is of; it is read where the weight is not 0. */
  readonly targets: ArrayLike<number>;
  readonly weights: Float64Array;
  /** Whether they are of the tokens that come next, which a prompt's value then depends on. */
  readonly isNext?: boolean;
}

/** The weighted sum of the losses of each prompt's predictions as a metric. */
export function predictionLoss({ batch, pos, targets, weights, isNext = true }: Predictions): RowMetric {
  const isRead = new Uint8Array(pos);
  for (let i = 0; i < weights.length; i++) if (weights[i] !== 0) isRead[i % pos] = 1;
  // Where no prompt has a weight nothing is read.
  const read = Array.from({ length: pos }, (_, p) => p).filter((p) => isRead[p] === 1);
  const weightOf = (prompt: number, p: number): number => weights[prompt * pos + p] as number;
  // What counts nothing may be of any token.
  const targetsOf = (prompt: number): number[] =>
    read.map((p) => (weightOf(prompt, p) === 0 ? 0 : (targets[prompt * pos + p] as number)));
  const total = (losses: Float64Array, prompt: number): number =>
    read.reduce((sum, p, r) => {
      const weight = weightOf(prompt, p);
      return weight === 0 ? sum : sum + weight * (losses[r] as number);
    }, 0);
  return new RowMetric(
    "loss",
    { positions: Array.from({ length: batch }, () => read), tokens: "all" },
    {
      prompts: batch,
      needs: (prompt) => read.flatMap((p) => (weightOf(prompt, p) === 0 ? [] : isNext ? [p, p + 1] : [p])),
      losses: { targets: targetsOf, value: total, weights: (prompt) => read.map((p) => weightOf(prompt, p)) },
      value: (rows, prompt) => total(rowLosses(rows, targetsOf(prompt)), prompt),
      writeGradient(rows, prompt, out, factor) {
        writeSoftmax(rows, out);
        for (const [r, p] of read.entries()) {
          const start = rows.starts[r] as number;
          const weight = factor * weightOf(prompt, p);
          scaleRow(out, start, rows.width, weight);
          if (weight !== 0) addTo(out, start + rows.column(targets[prompt * pos + p] as number), -weight);
        }
      },
    },
  );
}

/** The loss of one target in each row. */
export function rowLosses({ data, starts, width, column }: LogitRows, tokens: readonly number[]): Float64Array {
  const targets = Int32Array.from(tokens, column);
  const out = new Float64Array(starts.length);
  for (let r = 0; r < starts.length;) {
    const first = r;
    const start = starts[first] as number;
    while (r < starts.length && starts[r] === start + (r - first) * width) r++;
    const some = { targets: targets.subarray(first, r), output: out.subarray(first, r) };
    lossesOfRows({ rows: r - first, cols: width, logits: data, start, ...some });
  }
  return out;
}

/** What each prediction counts in its prompt's mean: weights that sum to 1. */
function lossWeights(
  mask: readonly (readonly number[])[] | Tensor<"batch pos"> | undefined,
  padding: PaddingMask | undefined,
  batch: number,
  count: number,
  operation: string,
): number[][] {
  const all = Array.from({ length: batch }, () => new Array<number>(count).fill(1));
  const rows: readonly (readonly number[])[] = mask instanceof Tensor ? (mask.toNested() as number[][]) : (mask ?? all);
  requireKind("list", rows, "mask", operation);
  if (rows.length !== batch || rows.some((row) => row.length !== count)) {
    throw new ShapeError(
      `the mask has lists of ${Array.from(rows, (row) => row.length).join(", ")} weights, but ${batch} prompts of ${count + 1} tokens make ${count} predictions each.`,
      { operation, argument: "mask", expected: [batch, count], actual: Array.from(rows, (row) => row.length) },
    );
  }
  return rows.map((given, prompt) => {
    const row = given.map((w, p) => (padding === undefined || isPredicted(padding, prompt * count + p) ? w : 0));
    const total = row.reduce((sum, w) => sum + w, 0);
    if (Number.isFinite(total) && total > 0) return row.map((w) => w / total);
    throw new InputError(`the weights of prompt ${prompt} sum to ${total}. Weigh at least one of its predictions.`, {
      operation,
      argument: "mask",
      expected: "a sum above 0",
      actual: total,
    });
  });
}

/**
 * How far predictions are from those of another run, $D_{KL}(p_{ref} \| p) = \sum_j r_j \ln (r_j / p_j)$ in nats, the
 * mean over positions.
 *
 * @param reference - the logits of the other run, `[batch, pos, d_vocab]`.
 * @param options - `pos`, one position of every prompt or one for each; all unless given. `attentionMask`, as for a
 * run: the mean is over positions of text.
 * @throws {@link AxisError} when the reference has other axes; {@link ShapeError} when logits are of other sizes.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { klDivergence } from "transformer-circuits/model";
 *
 * const reference = Tensor.fromNested("batch pos d_vocab", [[[Math.log(3), 0]]]);
 * const logits = Tensor.fromNested("batch pos d_vocab", [[[0, 0]]]);
 * const nats = 0.75 * Math.log(0.75 / 0.5) + 0.25 * Math.log(0.25 / 0.5);
 * console.log(klDivergence(reference).values(logits)[0]?.toFixed(4), nats.toFixed(4));
 * // 0.1308 0.1308
 * ```
 */
export function klDivergence(
  reference: Tensor<"batch pos d_vocab">,
  options: {
    readonly pos?: number | readonly number[] | undefined;
    readonly attentionMask?: AttentionMask | undefined;
  } = {},
): Metric {
  const operation = "klDivergence";
  requireOptions(options, operation, "pos attentionMask");
  requireKind("tensor", reference, "reference", operation);
  requireAxes(reference, "batch pos d_vocab", "reference", operation);
  const { pos } = options;
  const reads: MetricReads = pos === undefined ? { positions: "all", tokens: "all" } : readsAt(pos, "all");
  const [batch = 0, , width = 0] = reference.shape;
  const own = new RowMetric(operation, reads, { value: () => 0, writeGradient: () => undefined });
  // A copy: storage in the kernels' memory is not to be kept.
  const selected = Float32Array.from(rawData(selectLogits(own, reference)));
  const rowsEach = selected.length / Math.max(1, batch * width);
  const ofAll = Tensor.zeros("batch pos", reference.shape.slice(0, 2));
  const padding = pos === undefined ? paddingMask(options.attentionMask, ofAll, operation) : undefined;
  const text = Array.from({ length: batch }, (_, prompt) =>
    Array.from({ length: rowsEach }, (_, r) => r).filter((r) => padding?.visible[prompt * rowsEach + r] !== 0),
  );
  const place = { input: selected, inputOffset: 0, outputOffset: 0 };
  const shares = new Float32Array(selected.length);
  kernels().softmax({ rows: batch * rowsEach, cols: width, ...place, output: shares });
  const check = (rows: LogitRows): void => {
    if (rows.width === width && rows.starts.length === rowsEach) return;
    throw new ShapeError(
      `the reference is ${describeTensor(reference)}, but the logits have ${rows.starts.length} positions read and d_vocab=${rows.width}.`,
      { operation, argument: "logits", expected: reference.shape, actual: [rows.starts.length, rows.width] },
    );
  };
  return new RowMetric("KL divergence", reads, {
    prompts: batch,
    ...(padding && { needs: (prompt: number) => text[prompt] ?? [] }),
    value(rows, prompt) {
      check(rows);
      const counted = text[prompt] as number[];
      let sum = 0;
      for (const r of counted) {
        const start = rows.starts[r] as number;
        const from = (prompt * rowsEach + r) * width;
        const other: LogitRows = { data: selected, starts: [from], width, column: (id) => id };
        sum += logSumExp(rows, start) - logSumExp(other, from);
        for (let j = 0; j < width; j++) {
          const share = shares[from + j] as number;
          // What has no probability adds nothing, be its logit -Infinity.
          if (share > 0) sum += share * ((selected[from + j] as number) - (rows.data[start + j] as number));
        }
      }
      return sum / counted.length;
    },
    writeGradient(rows, prompt, out, factor) {
      check(rows);
      writeSoftmax(rows, out);
      for (const [r, start] of rows.starts.entries()) {
        const isCounted = padding?.visible[prompt * rowsEach + r] !== 0;
        const each = isCounted ? factor / (text[prompt] as number[]).length : 0;
        const from = (prompt * rowsEach + r) * width;
        for (let j = 0; j < width; j++) {
          out[start + j] = each * ((out[start + j] as number) - (shares[from + j] as number));
        }
      }
    },
  });
}
