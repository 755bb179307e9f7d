/** Which part of a sweep one machine does: a run of jobs as long as any other, to one. */
import { InputError, requireObject } from "../errors.ts";

/**
 * A part of a sweep.
 * @category Jobs
 */
export interface Shard {
  /** Which, from 1, as it is written: `3/64`. */
  readonly index: number;
  /** Of how many. */
  readonly count: number;
}

const MOST_SHARDS = 1e6;

function refuse(message: string, actual: unknown): InputError {
  const details = { operation: "parseShard", argument: "shard", expected: "as 3/64", actual };
  return new InputError(`${message} Write it as 3/64, from 1/64 to 64/64.`, details);
}

/**
 * Reads `3/64`, the third of 64 parts.
 *
 * @throws {@link InputError} when it is not written so, or there is no such part.
 * @category Jobs
 * @example
 * ```ts
 * import { parseShard } from "transformer-circuits/jobs";
 *
 * console.log(parseShard("3/64"));
 * // { index: 3, count: 64 }
 * ```
 */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,7})\/(\d{1,7})$/.exec(text) ?? [];
  if (index === undefined || count === undefined) throw refuse(`${JSON.stringify(text)} names no shard.`, text);
  return checkShard({ index: Number(index), count: Number(count) });
}

/** Refuses a shard that there is not. */
export function checkShard({ index, count }: Shard): Shard {
  const isCount = Number.isSafeInteger(count) && count >= 1 && count <= MOST_SHARDS;
  if (isCount && Number.isSafeInteger(index) && index >= 1 && index <= count) return { index, count };
  throw refuse(`there is no shard ${index}/${count}.`, { index, count });
}

/**
 * The shard that a scheduler gives a process in its environment: Slurm's array (`SLURM_ARRAY_TASK_ID` from `_MIN` by
 * `_STEP`, of `_COUNT`) or a Kubernetes indexed job (`JOB_COMPLETION_INDEX`, which says of how many nowhere).
 *
 * @param count - of how many; needed by Kubernetes. An array of which only a part is run again counts that part alone:
 * it is refused where this says otherwise, and its shards have to be named.
 * @returns `undefined` where no scheduler says anything.
 * @throws {@link InputError} when the variables say nothing that can be, or not of how many.
 * @category Jobs
 * @example
 * ```ts
 * import { shardOfEnvironment } from "transformer-circuits/jobs";
 *
 * const SLURM = { SLURM_ARRAY_TASK_ID: "12", SLURM_ARRAY_TASK_MIN: "10", SLURM_ARRAY_TASK_COUNT: "64" };
 * console.log(shardOfEnvironment(SLURM), shardOfEnvironment({ JOB_COMPLETION_INDEX: "0" }, 8));
 * // { index: 3, count: 64 } { index: 1, count: 8 }
 * ```
 */
export function shardOfEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  count?: number,
): Shard | undefined {
  requireObject(environment, "environment", "shardOfEnvironment");
  const read = (name: string): number | undefined => {
    const text = environment[name];
    if (text === undefined || text === "") return undefined;
    if (/^\d{1,10}$/.test(text)) return Number(text);
    throw refuse(`${name} is ${JSON.stringify(text)}, not a number.`, text);
  };
  const id = read("SLURM_ARRAY_TASK_ID");
  if (id !== undefined) {
    const [least, step] = [read("SLURM_ARRAY_TASK_MIN") ?? 0, read("SLURM_ARRAY_TASK_STEP") ?? 1];
    const all = read("SLURM_ARRAY_TASK_COUNT") ?? count;
    if (all === undefined) throw refuse("SLURM_ARRAY_TASK_ID is there and SLURM_ARRAY_TASK_COUNT is not.", id);
    if (count !== undefined && count !== all) {
      const what = `the array has ${all} tasks, not ${count}, so that task ${id} may be any shard.`;
      throw refuse(`${what} Name it with --shard.`, id);
    }
    const most = read("SLURM_ARRAY_TASK_MAX");
    if (most !== undefined && (most - least) / step + 1 !== all)
      throw refuse(`the array's ${all} ids are no row from ${least} to ${most}.`, id);
    return checkShard({ index: (id - least) / step + 1, count: all });
  }
  const index = read("JOB_COMPLETION_INDEX");
  if (index === undefined) return undefined;
  if (count === undefined) throw refuse("JOB_COMPLETION_INDEX does not say of how many. Give --shards.", index);
  return checkShard({ index: index + 1, count });
}

/** The first job of a shard and the one after its last. */
export function jobsOfShard({ index, count }: Shard, size: number): readonly [first: number, end: number] {
  const bound = (i: number): number => Math.floor((i * size) / count);
  return [bound(index - 1), bound(index)];
}
