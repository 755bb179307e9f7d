/** Where batches come from: data by step, so that a run can be taken up anywhere. */
import { InputError, nameOf, requireObject } from "../errors.ts";
import type { ModelConfig } from "../model/index.ts";
import type { TrainingBatch } from "./batch.ts";

/**
 * Data of which each step has its own batch: the same step gives the same batch, so that a run can be taken up
 * anywhere.
 * @category Training
 */
export interface TrainingData {
  /** What it is, in a few words. */
  readonly name: string;
  /** Its token ids are below this. */
  readonly d_vocab: number;
  /** Its prompts are no longer than this. */
  readonly n_ctx: number;
  /** The batch of a step, counted from 0. */
  batch(step: number): TrainingBatch | Promise<TrainingBatch>;
}

/**
 * Where {@link train} takes its batches: data, a function of the step, or a list or another iterable, which begins
 * again when it ends. A generator ends once.
 * @category Training
 */
export type Batches =
  | TrainingData
  | ((step: number) => TrainingBatch | Promise<TrainingBatch>)
  | Iterable<TrainingBatch>
  | AsyncIterable<TrainingBatch>;

/** The batch of each step, asked for in ascending order. */
export type BatchReader = (step: number) => TrainingBatch | Promise<TrainingBatch>;

const OPERATION = "train";

/** Reads batches from a step on. */
export function readerOf(data: Batches, config: ModelConfig): BatchReader {
  const given: unknown = data;
  if (typeof given === "function") return data as BatchReader;
  const isObject = typeof given === "object" && given !== null;
  if (isObject && "batch" in given && typeof given.batch === "function") {
    requireFitting(data as TrainingData, config);
    return (step) => (data as TrainingData).batch(step);
  }
  if (Array.isArray(given) && given.length > 0) return (step) => given[step % given.length] as TrainingBatch;
  if (isObject && (Symbol.iterator in given || Symbol.asyncIterator in given)) {
    return iterableReader(data as Iterable<TrainingBatch> | AsyncIterable<TrainingBatch>);
  }
  const isBatch = isObject && "tokens" in given;
  const mend = isBatch ? "It is one batch: write [batch] to take it at every step" : "Give a function of the step";
  throw new InputError(`data is ${nameOf(given)}, not a source of batches. ${mend}.`, {
    operation: OPERATION,
    argument: "data",
    expected: "data, a function of the step, or an iterable of batches",
    actual: data,
  });
}

/** Refuses data of more tokens or longer prompts than a model has. */
function requireFitting(data: TrainingData, config: ModelConfig): void {
  requireObject(data, "data", OPERATION);
  for (const name of ["d_vocab", "n_ctx"] as const) {
    if (data[name] <= config[name]) continue;
    throw new InputError(
      `the data (${data.name}) have ${name}=${data[name]} but the model has ${name}=${config[name]}. Make one that is large enough: { ${name}: ${data[name]} }.`,
      { operation: OPERATION, argument: "data", expected: `at most ${config[name]}`, actual: data[name] },
    );
  }
}

type BatchIterator = Iterator<TrainingBatch> | AsyncIterator<TrainingBatch>;

/** How many batches were taken of iterators that are given out once, as generators are. */
const taken = new WeakMap<object, number>();

/** Batches of an iterable, those before the first step asked for passed over. */
function iterableReader(data: Iterable<TrainingBatch> | AsyncIterable<TrainingBatch>): BatchReader {
  const begin = (): BatchIterator =>
    Symbol.asyncIterator in data ? data[Symbol.asyncIterator]() : data[Symbol.iterator]();
  let iterator = begin();
  const isOnce = (iterator as unknown) === data;
  let next = (isOnce ? taken.get(data) : undefined) ?? 0;
  let isFresh = true;
  return async (step) => {
    if (step < next) {
      throw new InputError(
        `the data were taken to batch ${next} already, and step ${step} is before. Give an iterable that begins anew, or a function of the step.`,
        { operation: OPERATION, argument: "data", expected: step, actual: next },
      );
    }
    for (;;) {
      const result = await iterator.next();
      if (result.done !== true) {
        isFresh = false;
        next++;
        if (isOnce) taken.set(data, next);
        if (next > step) return result.value;
      } else {
        if (isOnce || isFresh) throw ended(next, step, isOnce);
        iterator = begin();
        isFresh = true;
      }
    }
  };
}

function ended(count: number, step: number, isOnce: boolean): InputError {
  const mend = isOnce ? "A generator ends once: give more batches, or an iterable that begins anew" : "Give a batch";
  return new InputError(`the data end after ${count} batches, and step ${step} has none. ${mend}.`, {
    operation: OPERATION,
    argument: "data",
    expected: step + 1,
    actual: count,
  });
}
