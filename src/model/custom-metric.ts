/** Metrics that are functions of one's own. */
import { InputError, nameOf, requireKind, requireObject, ShapeError } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor, rawData, requireAxes, tensorOf } from "../tensor/internal.ts";
import { selectLogits, spreadGradient } from "./metric.ts";
import type { Metric, MetricFunction, MetricInput, MetricLike, MetricReads } from "./metric.ts";

/** @inline */
type Logits = Tensor<"batch pos d_vocab">;

/**
 * A metric of any function of the logits: it returns one number for all prompts, or one for each.
 *
 * A function that returns one number for several prompts gives each of them that number. Where several runs go through
 * in one batch, the function is called for each run by itself.
 *
 * @param compute - takes logits `[batch, pos, d_vocab]`, of what `reads` names alone where that is given.
 * @param options - `name`; `reads`, which logits the function takes, all unless given; `gradient`, takes the same
 * logits and returns the derivative of the function's number by them, or of the sum of its numbers: without it the
 * metric has no gradient.
 * @throws {@link InputError} when the function returns something else; {@link AxisError} or {@link ShapeError} when its
 * gradient is not as the logits.
 * @category Model
 * @example
 * ```ts
 * import { max, Tensor } from "transformer-circuits";
 * import { customMetric } from "transformer-circuits/model";
 *
 * const reads = { positions: [[-1]], tokens: "all" } as const;
 * const confidence = customMetric((logits) => max(logits, "d_vocab").select("pos", 0), { name: "largest", reads });
 * const logits = Tensor.fromNested("batch pos d_vocab", [[[9, 0, 0], [5, 1, 3]]]);
 * console.log(confidence.name, confidence.values(logits)[0]);
 * // largest 5
 * ```
 */
export function customMetric(
  compute: MetricFunction,
  options: {
    readonly name?: string;
    readonly reads?: MetricReads;
    readonly gradient?: (logits: Tensor<"batch pos d_vocab">) => Tensor<"batch pos d_vocab">;
  } = {},
): Metric {
  requireKind("function", compute, "compute", "customMetric", options, "name reads gradient");
  const { name = "custom metric", reads = { positions: "all", tokens: "all" }, gradient } = options;
  const metric: Metric = {
    name,
    reads,
    together: true,
    values(logits, input = {}) {
      const out = new Float64Array(logits.sizeOf("batch"));
      eachRun(metric, logits, input, (own, start) => {
        out.set(numbersOf(name, compute(own), own.sizeOf("batch")), start);
      });
      return out;
    },
  };
  if (gradient === undefined) return Object.freeze(metric);
  return Object.freeze({
    ...metric,
    gradient(logits: Logits, input: MetricInput = {}) {
      const parts: Logits[] = [];
      eachRun(metric, logits, input, (own) => {
        const found = requireGradient(name, gradient(own), own);
        const batch = own.sizeOf("batch");
        // A single number is the value of every prompt.
        const copies = batch > 1 && typeof compute(own) === "number" ? batch : 1;
        const data = Float32Array.from(rawData(found), (x) => copies * x);
        parts.push(tensorOf("batch pos d_vocab", found.shape, data));
      });
      const shape = input.selected === true ? logits.shape : selectedShape(parts, logits);
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      let at = 0;
      for (const own of parts) {
        data.set(rawData(own), at);
        at += own.size;
      }
      const all = tensorOf("batch pos d_vocab", shape, data);
      return input.selected === true ? all : spreadGradient(metric, all, logits.shape, input.prompts);
    },
  });
}

/** Any metric as what it is: a plain function becomes one by {@link customMetric}. */
export function metricOf(metric: MetricLike, operation: string): Metric {
  if (typeof metric === "function") return customMetric(metric);
  const given: unknown = metric;
  if (typeof given === "object" && given !== null && "values" in given && "reads" in given) return metric;
  throw new InputError(
    `metric is ${nameOf(given)}, not a metric. Make one, as with logitDifference({ answer, wrong }), or give a function of the logits.`,
    { operation, argument: "metric", expected: "a metric", actual: given },
  );
}

const selectedShape = (parts: readonly Logits[], logits: Logits): readonly number[] => [
  logits.sizeOf("batch"),
  ...(parts[0]?.shape.slice(1) ?? [0, 0]),
];

/** Calls a function with the logits of each run in a batch, as the metric reads them; prompts ascend within a run. */
function eachRun(metric: Metric, logits: Logits, input: MetricInput, run: (own: Logits, start: number) => void): void {
  requireKind("tensor", logits, "logits", metric.name);
  requireAxes(logits, "batch pos d_vocab", "logits", metric.name);
  requireObject(input, "input", metric.name, "prompts selected");
  const { prompts, selected } = input;
  const read = selected === true ? logits : selectLogits(metric, logits, prompts);
  const batch = logits.sizeOf("batch");
  const starts = prompts?.flatMap((p, b) => (b === 0 || p <= (prompts[b - 1] as number) ? [b] : [])) ?? [0];
  for (const [i, start] of starts.entries()) {
    run(read.slice("batch", start, starts[i + 1] ?? batch), start);
  }
}

/** What a function returned, as a number for each prompt. */
function numbersOf(name: string, given: unknown, batch: number): ArrayLike<number> {
  if (typeof given === "number") return new Float64Array(batch).fill(given);
  const list = given instanceof Tensor ? given.data : given;
  const isList = typeof list === "object" && list !== null && "length" in list;
  if (isList && list.length === batch) return list as ArrayLike<number>;
  throw new InputError(
    `the function returned ${isList ? `${String(list.length)} numbers` : nameOf(given)} for ${batch} ${batch === 1 ? "prompt" : "prompts"}. Return one number, or one for each prompt.`,
    { operation: name, argument: "compute", expected: batch, actual: given },
  );
}

function requireGradient(name: string, found: Logits, own: Logits): Logits {
  requireKind("tensor", found, "the gradient", name);
  requireAxes(found, "batch pos d_vocab", "the gradient", name);
  if (found.shape.every((n, a) => n === own.shape[a])) return found;
  throw new ShapeError(`its gradient is ${describeTensor(found)} for logits ${describeTensor(own)}.`, {
    operation: name,
    argument: "gradient",
    expected: own.shape,
    actual: found.shape,
  });
}
