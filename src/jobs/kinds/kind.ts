/** What a kind of job is: which settings it takes, which columns its results have, and how one is done. */
import { InputError, nameOf } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";

/**
 * A value of a result: a number that is not finite is written as null.
 * @category Jobs
 */
export type JobValue = string | number | boolean | null;

/**
 * What a column of results holds: `"whole"` whole numbers, `"number"` any, always written with a point or an exponent,
 * so that readers which guess types find the same one in every file.
 * @category Jobs
 */
export type ColumnType = "text" | "whole" | "number" | "boolean";

/**
 * A model with its tokenizer, where it has one.
 * @category Jobs
 */
export interface OpenedModel {
  readonly model: Transformer;
  /** For prompts and answers that are given as text. */
  readonly tokenizer?: JobTokenizer | undefined;
}

/**
 * What jobs need of a tokenizer; a `Tokenizer` of the root entry has it.
 * @category Jobs
 */
export interface JobTokenizer {
  /** The token ids of a text, begun with the beginning-of-sequence token where asked for. */
  encode(text: string, options?: { readonly bos?: boolean }): number[];
  /** The id of a text that is one token. */
  toSingleToken(text: string): number;
  /** The text of one token, for reports; shown as `#123` without. */
  tokenString?(id: number): string;
  /** The token that begins every sequence, where there is one. */
  readonly bos?: number | undefined;
}

/**
 * The files of a plan, by their paths from where it lies.
 * @category Jobs
 */
export interface JobFiles {
  /** The bytes of a file. */
  read(path: string): Promise<Uint8Array>;
  /** Keeps a file, whole or not at all, in place of one that is there; makes its folders on the way. */
  write(path: string, content: string | Uint8Array): Promise<void>;
}

/**
 * What one job is given.
 * @category Jobs
 */
export interface JobTask {
  /** The name of its task. */
  readonly task: string;
  /** The task's settings, as they stand in the plan. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** All that a job draws at random follows from it. */
  readonly seed: number;
  /** Opens the job's model. */
  readonly model: () => Promise<OpenedModel>;
  /** What the plan calls that model; `undefined` where there is none. */
  readonly modelName?: string | undefined;
  /** Where texts are read and what is saved goes; `undefined` where the runner was given no files. */
  readonly files?: JobFiles | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Tells how many steps of the job are done, and of how many; call it as often as there is something to tell. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * A kind of job. It draws nothing but by its seed and keeps nothing from one job to the next: the same job gives the
 * same results wherever it runs.
 * @category Jobs
 */
export interface JobKind {
  /** The names of its results' columns, in the order in which they are written. */
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Whether it runs on a model; true unless said. */
  readonly hasModel?: boolean;
  /** Whether its results depend on the seed; true unless said. What does not is done once, with seed 0. */
  readonly isSeeded?: (settings: Readonly<Record<string, unknown>>) => boolean;
  /** Throws where settings can be seen to be wrong before any model is opened. */
  readonly check?: (settings: Readonly<Record<string, unknown>>) => void;
  /** Does one job; its results a row each, with the columns that have a value. */
  readonly run: (
    task: JobTask,
  ) => readonly Readonly<Record<string, JobValue>>[] | Promise<readonly Readonly<Record<string, JobValue>>[]>;
}

/**
 * Kinds of jobs by name.
 * @category Jobs
 */
export type JobKinds = Readonly<Record<string, JobKind>>;

/** The columns that all results have. */
export const COMMON: Readonly<Record<string, ColumnType>> = {
  ...{ plan: "text", job: "whole", row: "whole", rows: "whole" },
  ...{ task: "text", kind: "text", model: "text", seed: "whole" },
};

/** An error about a plan. */
export function refusePlan(argument: string, message: string, actual?: unknown): InputError {
  return new InputError(message, { operation: "parseJobPlan", argument, actual });
}

/** The settings of a task. */
export type Settings = JobTask["settings"];

/** Whether a value is a token id of some vocabulary. */
export const isId = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** Refuses a setting that is not a whole number from `least`. */
export function requireWhole(value: unknown, least: number, argument: string): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= least)) return;
  throw refusePlan(argument, `${argument} is ${nameOf(value)}; give a whole number of at least ${least}.`, value);
}
