/**
 * What a backward pass begins with: the gradient of a metric by the logits that it reads, or gradients put in at hooks.
 */
import { InputError, requireKind, ShapeError } from "../../errors.ts";
import { gradientKernels } from "../../kernels/index.ts";
import type { FloatArray } from "../../kernels/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import type { PaddingMask } from "../attention-mask.ts";
import { metricOf } from "../custom-metric.ts";
import { noSuchHook } from "../hooks.ts";
import type { AxesOfHook, HookName } from "../hooks.ts";
import { readPositions, requireMetricOf, requireNoPadding, RowMetric, selectLogits } from "../metric.ts";
import type { Metric, MetricLike } from "../metric.ts";
import { rowsOfAll } from "../rows.ts";
import type { AnyRun, RunOptions } from "../run.ts";
import type { Run, Transformer } from "../transformer.ts";
import type { LogitGradient } from "./unembedding.ts";

/**
 * Gradients put in at hooks instead of a metric: the scalar is then $\sum s \cdot x$ over the activations x there. A
 * map takes names known at run time.
 * @category Model
 */
export type GradientSeeds = { readonly [N in HookName]?: Tensor<AxesOfHook<N>> } | ReadonlyMap<HookName, Tensor>;

/** Refuses what is no hook of real numbers. */
export function requireHook(order: ReadonlyMap<string, number>, name: HookName): void {
  if (!order.has(name)) throw noSuchHook(name, [...order.keys()], "gradients");
  if (name !== "hook_tokens") return;
  throw new InputError('tokens are no real numbers, and "hook_tokens" has no gradient. Ask for "hook_embed".', {
    operation: "gradients",
    argument: "at",
    expected: "a hook of real numbers",
    actual: name,
  });
}

/** What a backward pass begins with. */
interface Start {
  readonly value: number;
  readonly values: Float64Array;
  readonly seeds: ReadonlyMap<HookName, Tensor>;
  readonly atLogits: LogitGradient | undefined;
}

/** What is differentiated: a metric of the logits, or gradients put in at hooks. */
export interface Scalar {
  /** Hooks whose activations its value reads. */
  readonly hooks: readonly HookName[];
  /** A run with the logits that it reads, or all of them. */
  run(model: Transformer, tokens: Tensor<"batch pos">, options: RunOptions, isWhole: boolean): AnyRun;
  start(run: AnyRun): Start;
}

const total = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0);

/** Whether something is put in at hooks; a metric says what it reads. */
function isSeeds(given: MetricLike | GradientSeeds): given is GradientSeeds {
  const value: unknown = given;
  return typeof value === "object" && value !== null && !("reads" in value);
}

/** What is differentiated, of what a caller gave. */
export function scalarOf(
  given: MetricLike | GradientSeeds,
  order: ReadonlyMap<string, number>,
  tokens: Tensor<"batch pos">,
  mask: PaddingMask | undefined,
): Scalar {
  const batch = tokens.sizeOf("batch");
  if (!isSeeds(given)) {
    const metric = differentiable(metricOf(given, "gradients"), batch);
    requireNoPadding(metric, mask, "gradients");
    return metricScalar(metric, batch);
  }
  const isMap = given instanceof Map;
  const entries = isMap ? [...(given as Map<HookName, Tensor>)] : (Object.entries(given) as [HookName, Tensor][]);
  const seeds = new Map(entries);
  for (const name of seeds.keys()) requireHook(order, name);
  return {
    hooks: [...seeds.keys()],
    run: (model, ids, options) => model.run(ids, options),
    start({ cache }) {
      const values = new Float64Array(batch);
      for (const [name, seed] of seeds) addSeedValues(values, name, seed, cache.get(name));
      return { value: total(values), values, seeds, atLogits: undefined };
    },
  };
}

/** A metric as what is differentiated: the mean of its values. */
function metricScalar(metric: Metric, batch: number): Scalar {
  const { positions, tokens } = metric.reads;
  const columns = tokens === "all" ? undefined : tokens;
  const rowsOf = (pos: number): (readonly number[])[] | undefined =>
    positions === "all" ? undefined : Array.from({ length: batch }, (_, b) => readPositions(metric, b, pos));
  let isWhole = true;
  return {
    hooks: [],
    run(model, ids, options, isAsked) {
      isWhole = isAsked;
      const pos = ids.sizeOf("pos");
      if (isWhole) return model.run(ids, options);
      return model.run(ids, { ...options, unembed: rowsOf(pos), directions: columns });
    },
    start(run) {
      const { logits } = run as Run;
      const pos = run.tokens.sizeOf("pos");
      const selected = isWhole ? selectLogits(metric, logits) : logits;
      const isFree = !(isWhole && selected === logits);
      const inOnePass = lossGradient(metric, selected, 1 / batch, isFree);
      const values = inOnePass?.values ?? metric.values(selected, { selected: true });
      const positionsRead = rowsOf(pos);
      const rows = positionsRead && rowsOfAll(positionsRead, pos);
      // The logits have been read: their gradient takes their place where nobody else has them.
      const data = inOnePass?.data ?? logitGradient(metric, selected, 1 / batch, isFree);
      return { value: total(values) / batch, values, seeds: new Map(), atLogits: { data, rows, columns } };
    },
  };
}

function differentiable(metric: Metric, batch: number): Metric {
  if (metric.gradient === undefined) {
    throw new InputError(
      `${metric.name} has no gradient. Give it one: customMetric(compute, { gradient }), or take a metric that has, as logitDifference.`,
      { operation: "gradients", argument: "metric", expected: "a metric with a gradient", actual: metric.name },
    );
  }
  requireMetricOf(metric, batch, "gradients");
  return metric;
}

/**
 * The values of a metric that is a weighted sum of losses, and its gradient times a factor, in one pass over logits:
 * loss and softmax one after the other take 2 exponentials a logit, and five passes.
 */
function lossGradient(
  metric: Metric,
  selected: Tensor<"batch pos d_vocab">,
  factor: number,
  isFree: boolean,
): { readonly values: Float64Array; readonly data: Float32Array } | undefined {
  const [batch = 0, pos = 0, cols = 0] = selected.shape;
  const own = rawData(selected);
  const kernel = gradientKernels();
  if (!(metric instanceof RowMetric) || !(own instanceof Float32Array) || kernel === undefined) return undefined;
  if (metric.reads.tokens !== "all" || metric.lossWeights(0) === undefined) return undefined;
  const [targets, weights] = [new Int32Array(batch * pos), new Float32Array(batch * pos)];
  for (let b = 0; b < batch; b++) {
    targets.set(metric.lossTargets(b, batch, cols), b * pos);
    for (const [p, weight] of metric.lossWeights(b)?.entries() ?? []) weights[b * pos + p] = weight * factor;
  }
  const data = isFree ? own : new Float32Array(own);
  const losses = new Float64Array(batch * pos);
  kernel.loss({ rows: batch * pos, cols, logits: data, targets, weights, losses });
  const values = Float64Array.from({ length: batch }, (_, b) =>
    metric.lossValue(losses.subarray(b * pos, (b + 1) * pos), b),
  );
  return { values, data };
}

/** The gradient of a metric by the logits that it reads, times a factor. */
function logitGradient(
  metric: Metric,
  selected: Tensor<"batch pos d_vocab">,
  factor: number,
  isFree: boolean,
): Float32Array {
  const own = rawData(selected) as FloatArray;
  if (metric instanceof RowMetric) {
    const data = isFree && own instanceof Float32Array ? own : new Float32Array(own.length);
    metric.writeGradient(selected, { selected: true }, data, factor);
    return data;
  }
  const found = metric.gradient?.(selected, { selected: true }) as Tensor;
  requireLike(found, selected, `the gradient of ${metric.name}`, "metric");
  return Float32Array.from(rawData(found), (x) => x * factor);
}

function requireLike(given: Tensor, expected: Tensor, what: string, argument: string): void {
  requireKind("tensor", given, what, "gradients");
  requireAxes(given, expected.axes, what, "gradients");
  if (given.shape.every((n, a) => n === expected.shape[a])) return;
  throw new ShapeError(`${what} is ${describeTensor(given)} for ${describeTensor(expected)}.`, {
    operation: "gradients",
    argument,
    expected: expected.shape,
    actual: given.shape,
  });
}

/** Adds what a gradient put in makes of each prompt's activation. */
function addSeedValues(values: Float64Array, name: HookName, seed: Tensor, activation: Tensor): void {
  requireLike(seed, activation, `the gradient put in at "${name}"`, name);
  const weights = rawData(seed);
  const numbers = rawData(activation);
  const each = weights.length / values.length;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] as number;
    const b = Math.floor(i / each);
    // Masked scores are -Infinity and weigh nothing.
    if (weight !== 0) values[b] = (values[b] as number) + weight * (numbers[i] as number);
  }
}
