/**
 * What a metric is: a number for each prompt, made of its logits.
 *
 * A metric says in `reads` which positions and which entries of the vocabulary it looks at, so that a run need not
 * compute the others. It takes all logits of a run, or, with `selected`, those alone that it reads, in that order.
 * Several runs of the same prompts may go through in one batch: `prompts` says which entry is a run of which prompt.
 * Prompts are independent of one another, so `gradient` is at once the derivative of each prompt's value by its own
 * logits and that of the sum of all values.
 */
import { InputError, nameOf, requireKind, requireObject, ShapeError } from "../errors.ts";
import type { FloatArray } from "../kernels/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { PaddingMask } from "./attention-mask.ts";
import { allocateData, dataForResult, describeTensor, rawData, requireAxes, tensorOf } from "../tensor/internal.ts";

/** @inline */
type Logits = Tensor<"batch pos d_vocab">;

/**
 * Which logits a metric reads.
 * @category Model
 */
export interface MetricReads {
  /** One list for each prompt, or a single one for all, all of one length; negative positions count from the end. */
  readonly positions: "all" | readonly (readonly number[])[];
  /** Ids of tokens, ascending, the same for all prompts. */
  readonly tokens: "all" | readonly number[];
}

/**
 * What logits a metric is given.
 * @category Model
 */
export interface MetricInput {
  /** The prompt of which each entry of the batch is a run; entry i is of prompt i unless given. */
  readonly prompts?: readonly number[];
  /** Whether these are the logits that `reads` names alone, in its order; false unless given: all of a run. */
  readonly selected?: boolean;
}

/**
 * A number for each prompt, made of its logits: what patching restores, ablation takes away and a gradient is of.
 * {@link logitDifference}, {@link logProbability}, {@link probability}, {@link crossEntropy} and {@link klDivergence}
 * make the usual ones, {@link customMetric} one of a function.
 * @category Model
 */
export interface Metric {
  /** What it is, in a word or two. */
  readonly name: string;
  /** Which logits it reads; a run may leave the others out. */
  readonly reads: MetricReads;
  /** How many prompts it is of, where it knows. */
  readonly prompts?: number | undefined;
  /** Whether it has to see all prompts of a run together, in their order, as a function may. */
  readonly together?: boolean;
  /** The positions of a prompt that its value depends on, by logits or as tokens; those that it reads unless given. */
  needs?(prompt: number): readonly number[];
  /** One value for each entry of the batch, from logits `[batch, pos, d_vocab]`. */
  values(logits: Tensor<"batch pos d_vocab">, input?: MetricInput): Float64Array;
  /** The derivative of each value by the logits of its own entry, as the logits. */
  gradient?(logits: Tensor<"batch pos d_vocab">, input?: MetricInput): Tensor<"batch pos d_vocab">;
}

/**
 * A metric as a plain function of all logits of a run: one number for all prompts, or one for each.
 * @category Model
 */
export type MetricFunction = (
  logits: Tensor<"batch pos d_vocab">,
) => number | readonly number[] | Float64Array | Tensor<"batch">;

/**
 * A metric, or a plain function that is one.
 * @category Model
 */
export type MetricLike = Metric | MetricFunction;

/** The logits that a metric reads of one entry of a batch. */
export interface LogitRows {
  readonly data: FloatArray;
  /** Where the row of each position that is read begins. */
  readonly starts: readonly number[];
  /** Entries of a row. */
  readonly width: number;
  /** Where in a row the logit of a token lies. */
  readonly column: (token: number) => number;
}

/**
 * Of a metric that is made of the losses of one token in each row that it reads: it can be had without logits, by
 * `productCrossEntropy` of the kernels.
 */
interface LossFunctions {
  /** The token of each position read. */
  readonly targets: (prompt: number) => readonly number[];
  /** The value, of the loss of each. */
  readonly value: (losses: Float64Array, prompt: number) => number;
  /** Where the value is their weighted sum, what each weighs. */
  readonly weights?: (prompt: number) => readonly number[];
}

/** How the built-in metrics are computed. */
export interface RowFunctions {
  /** How many prompts it is of, where it knows. */
  readonly prompts?: number | undefined;
  /** Where it is made of losses alone; `value` gives the same. */
  readonly losses?: LossFunctions | undefined;
  /** The positions of a prompt that its value depends on, where they are not those that it reads. */
  needs?(prompt: number): readonly number[];
  value(rows: LogitRows, prompt: number): number;
  /** Writes the derivative times a factor over all entries of the rows, which lie in `out` as in `rows.data`. */
  writeGradient(rows: LogitRows, prompt: number, out: FloatArray, factor: number): void;
}

/** A metric made of functions of the rows that it reads. */
export class RowMetric implements Metric {
  readonly name: string;
  readonly reads: MetricReads;
  readonly needs?: (prompt: number) => readonly number[];
  readonly #functions: RowFunctions;

  constructor(name: string, reads: MetricReads, functions: RowFunctions) {
    this.name = name;
    this.reads = reads;
    this.#functions = functions;
    if (functions.needs !== undefined) this.needs = functions.needs.bind(functions);
    Object.freeze(this);
  }

  get prompts(): number | undefined {
    return this.#functions.prompts;
  }

  /** Whether it is made of losses alone, so that {@link lossTargets} and {@link lossValue} serve. */
  get isOfLosses(): boolean {
    return this.#functions.losses !== undefined;
  }

  /** The token whose loss is asked for at each position that is read of a prompt. */
  lossTargets(prompt: number, prompts: number, d_vocab: number): readonly number[] {
    requirePrompt(this, prompt, prompts);
    const targets = this.#functions.losses?.targets(prompt) ?? [];
    for (const token of targets) columnOf(this.name, token, d_vocab);
    return targets;
  }

  /** What each loss weighs in a prompt's value, where that is their weighted sum. */
  lossWeights(prompt: number): readonly number[] | undefined {
    return this.#functions.losses?.weights?.(prompt);
  }

  /** The value of a prompt, of its losses. */
  lossValue(losses: Float64Array, prompt: number): number {
    return this.#functions.losses?.value(losses, prompt) ?? NaN;
  }

  values(logits: Logits, input: MetricInput = {}): Float64Array {
    const out = new Float64Array(logits.shape[0] ?? 0);
    eachEntry(this, logits, input, (rows, prompt, b) => {
      out[b] = this.#functions.value(rows, prompt);
    });
    return out;
  }

  gradient(logits: Logits, input: MetricInput = {}): Logits {
    const out = allocateData("float32", logits.size) as FloatArray;
    this.writeGradient(logits, input, out, 1);
    return tensorOf("batch pos d_vocab", logits.shape, out);
  }

  /** The gradient times a factor, written where it is read; `out` may be the storage of the logits themselves. */
  writeGradient(logits: Logits, input: MetricInput, out: FloatArray, factor: number): void {
    eachEntry(this, logits, input, (rows, prompt) => {
      this.#functions.writeGradient(rows, prompt, out, factor);
    });
  }
}

/** The positions of a prompt that a metric reads, counted from the start. */
export function readPositions({ name, reads }: Metric, prompt: number, pos: number): readonly number[] {
  const { positions } = reads;
  if (positions === "all") return Array.from({ length: pos }, (_, p) => p);
  const list = positions.length === 1 ? positions[0] : positions[prompt];
  if (list === undefined) throw noSuchPrompt(name, prompt, positions.length);
  if (list.every((p) => Number.isInteger(p) && p >= 0 && p < pos)) return list;
  return list.map((p) => {
    const found = p < 0 ? p + pos : p;
    if (Number.isInteger(found) && found >= 0 && found < pos) return found;
    throw new InputError(`it reads position ${p}, but there are ${pos} positions.`, {
      operation: name,
      argument: "pos",
      expected: [-pos, pos - 1],
      actual: p,
    });
  });
}

/** Refuses a prompt that a metric is not of; `all` are run. */
function requirePrompt({ name, prompts }: Metric, prompt: number, all: number): void {
  if (!(prompt >= 0) || (prompts !== undefined && prompt >= prompts)) throw noSuchPrompt(name, prompt, prompts ?? all);
}

function noSuchPrompt(name: string, prompt: number, count: number): InputError {
  return new InputError(
    `it is of ${count} ${count === 1 ? "prompt" : "prompts"}, and there is no prompt ${prompt}. Run as many prompts as the metric was made for, or say in prompts which each is.`,
    { operation: name, argument: "prompts", expected: count, actual: prompt },
  );
}

/** The logits that a metric reads, `[batch, positions read, tokens read]`, of all logits of a run. */
export function selectLogits(metric: Metric, logits: Logits, prompts?: readonly number[]): Logits {
  const { positions, tokens } = metric.reads;
  if (positions === "all" && tokens === "all") return logits;
  requireAxes(logits, "batch pos d_vocab", "logits", metric.name);
  const [batch = 0, pos = 0, d_vocab = 0] = logits.shape;
  const input = rawData(logits) as FloatArray;
  const rows = Array.from({ length: batch }, (_, b) => readPositions(metric, prompts?.[b] ?? b, pos));
  const count = rows[0]?.length ?? 0;
  const columns = tokens === "all" ? undefined : tokens.map((token) => columnOf(metric.name, token, d_vocab));
  const width = columns?.length ?? d_vocab;
  const out = dataForResult(logits.dtype === "float64" ? "float64" : "float32", batch * count * width) as FloatArray;
  for (const [i, [b, p]] of rows.flatMap((list, b) => list.map((p) => [b, p] as const)).entries()) {
    const start = (b * pos + p) * d_vocab;
    if (columns === undefined) out.set(input.subarray(start, start + d_vocab), i * width);
    else for (let j = 0; j < width; j++) out[i * width + j] = input[start + (columns[j] as number)] as number;
  }
  return tensorOf("batch pos d_vocab", [batch, count, width], out);
}

function columnOf(name: string, token: number, d_vocab: number): number {
  if (Number.isInteger(token) && token >= 0 && token < d_vocab) return token;
  throw new InputError(`token ${nameOf(token)} is not a column of the logits, which have d_vocab=${d_vocab}.`, {
    operation: name,
    argument: "tokens",
    expected: [0, d_vocab - 1],
    actual: token,
  });
}

/** Calls a function with the rows that a metric reads of each entry of a batch. */
function eachEntry(
  metric: Metric,
  logits: Logits,
  input: MetricInput,
  run: (rows: LogitRows, prompt: number, entry: number) => void,
): void {
  const { name, reads } = metric;
  requireKind("tensor", logits, "logits", name);
  requireAxes(logits, "batch pos d_vocab", "logits", name);
  requireObject(input, "input", name, "prompts selected");
  const [batch = 0, pos = 0, width = 0] = logits.shape;
  const data = rawData(logits) as FloatArray;
  const isSelected = input.selected === true;
  if (isSelected) requireSelected(metric, logits);
  const places = isSelected && reads.tokens !== "all" ? new Map(reads.tokens.map((id, j) => [id, j])) : undefined;
  const column =
    places === undefined
      ? (token: number) => columnOf(name, token, width)
      : (token: number) => places.get(token) as number;
  for (let b = 0; b < batch; b++) {
    const prompt = input.prompts === undefined ? b : (input.prompts[b] ?? -1);
    requirePrompt(metric, prompt, batch);
    const positions = isSelected ? Array.from({ length: pos }, (_, p) => p) : readPositions(metric, prompt, pos);
    run({ data, width, starts: positions.map((p) => (b * pos + p) * width), column }, prompt, b);
  }
}

function requireSelected({ name, reads }: Metric, logits: Logits): void {
  const rows = reads.positions === "all" ? logits.shape[1] : (reads.positions[0]?.length ?? 0);
  const columns = reads.tokens === "all" ? logits.shape[2] : reads.tokens.length;
  if (logits.shape[1] === rows && logits.shape[2] === columns) return;
  throw new ShapeError(
    `it reads ${rows} positions and ${columns} tokens of each prompt, but the logits are ${describeTensor(logits)}. Give the selected ones, or leave selected out and give all.`,
    { operation: name, argument: "logits", expected: [logits.shape[0], rows, columns], actual: logits.shape },
  );
}

/** The gradient by the logits that a metric reads as one by all logits of a run: zero where it reads nothing. */
export function spreadGradient(
  metric: Metric,
  selected: Logits,
  shape: readonly number[],
  prompts?: readonly number[],
): Logits {
  const { tokens } = metric.reads;
  const [batch = 0, pos = 0, d_vocab = 0] = shape;
  const from = rawData(selected);
  const width = selected.shape[2] ?? 0;
  const out = allocateData("float32", batch * pos * d_vocab);
  let start = 0;
  for (let b = 0; b < batch; b++) {
    for (const p of readPositions(metric, prompts?.[b] ?? b, pos)) {
      const to = (b * pos + p) * d_vocab;
      for (let j = 0; j < width; j++) {
        const at = to + (tokens === "all" ? j : (tokens[j] as number));
        out[at] = (out[at] as number) + (from[start + j] as number);
      }
      start += width;
    }
  }
  return tensorOf("batch pos d_vocab", shape, out);
}

/** Refuses a metric that was made for another number of prompts. */
export function requireMetricOf({ name, prompts }: Metric, batch: number, operation: string): void {
  if (prompts === undefined || prompts === batch) return;
  throw new InputError(`the metric (${name}) is of ${prompts} prompts, but ${batch} are run.`, {
    operation,
    argument: "metric",
    expected: batch,
    actual: prompts,
  });
}

/** Refuses a metric whose values would depend on padding; a function of all logits is trusted to leave it out. */
export function requireNoPadding(metric: Metric, mask: PaddingMask | undefined, operation: string): void {
  if (mask === undefined || (metric.together === true && metric.reads.positions === "all")) return;
  for (let prompt = 0; prompt < mask.batch; prompt++) {
    const needed = metric.needs?.(prompt) ?? readPositions(metric, prompt, mask.pos);
    const padding = needed.find((p) => mask.visible[prompt * mask.pos + p] === 0);
    if (padding === undefined) continue;
    throw new InputError(
      `the metric (${metric.name}) reads position ${padding} of prompt ${prompt}, which is padding. Pad on the left, so that the last position is text, say pos for each prompt, or give the metric the mask, as crossEntropy(tokens, { attentionMask }).`,
      { operation, argument: "metric", expected: "positions of text", actual: padding },
    );
  }
}
