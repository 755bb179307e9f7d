/** Runs the jobs of a plan that are not done yet, wherever a runner runs them, and keeps what they find. */
import { CircuitsError, InputError, requireKind, requireObject } from "../errors.ts";
import { turn } from "../progress.ts";
import type { ProgressOptions } from "../progress.ts";
import type { JobFiles, JobKinds, OpenedModel } from "./kinds/kind.ts";
import type { Job, JobPlan, ModelSource } from "./plan.ts";
import { linesOf, rowsOf } from "./rows.ts";
import type { JobRow } from "./rows.ts";
import { checkShard, jobsOfShard } from "./shards.ts";
import type { Shard } from "./shards.ts";

/**
 * Where results go. What `append` has taken is kept, whatever happens afterwards.
 * @category Jobs
 */
export interface JobStore {
  /** Whether a job's results are there. */
  has(job: number): boolean;
  /** Keeps the lines of a job, all of them or none; throws where it cannot. */
  append(job: number, lines: string): unknown;
}

/**
 * Tells how far a job under way is, from 0 to 1.
 * @category Jobs
 */
export type TellJobProgress = (job: Job, fraction: number) => void;

/**
 * What a runner is given: jobs to do, and where to tell what came of them.
 * @category Jobs
 */
export interface JobWork {
  readonly plan: JobPlan;
  /** The jobs, made as they are asked for. */
  readonly jobs: Iterable<Job>;
  /** How many they are. */
  readonly count: number;
  /** Takes the rows of a job; a second time it does nothing. Throws where they cannot be kept: then stop. */
  readonly done: (job: Job, rows: readonly JobRow[]) => void;
  /** Takes what went wrong with a job; the others go on. */
  readonly failed: (job: Job, error: Error) => void;
  /** Takes how far a job under way is, from 0 to 1; telling it is left to the runner. */
  readonly progress?: TellJobProgress | undefined;
  /** Stops the work: the promise rejects with its reason. */
  readonly signal: AbortSignal | undefined;
}

/**
 * A place where jobs run: this thread, several, or a queue. It tells of each job once, in any order.
 * @category Jobs
 */
export interface JobRunner {
  /** Resolves when every job was told of. */
  run(work: JobWork): Promise<void>;
}

/**
 * How {@link runJobs} runs.
 * @category Jobs
 */
export interface RunJobsOptions extends ProgressOptions {
  /** Where the jobs run. */
  readonly on: JobRunner;
  /** Where results go; into the result of the call unless given. */
  readonly store?: JobStore | undefined;
  /** The part of the plan to do, all of it unless given. */
  readonly shard?: Shard | undefined;
  /** Called now and then while a job is under way, with the part of it that is done; `onProgress` counts whole jobs. */
  readonly onJobProgress?: TellJobProgress | undefined;
}

/**
 * What came of a plan, or of a shard of it.
 * @category Jobs
 */
export interface JobsOutcome {
  /** How many jobs it has. */
  readonly jobs: number;
  /** How many of them were done before. */
  readonly before: number;
  /** How many were done now. */
  readonly done: number;
  /** Those that failed, which are tried again the next time. */
  readonly failed: readonly { readonly job: Job; readonly error: Error }[];
  /** The results in the order of the plan; none where a store has them. */
  readonly rows: readonly JobRow[];
}

/**
 * Runs the jobs of a plan that its store does not have yet. Where and in which order they run changes no bit of what
 * they find. A job that fails is told of at the end and keeps no other from running.
 *
 * @param options - `on`, `store`, `shard`, `signal`, `onProgress` (in jobs, those done before among them),
 * `onJobProgress` (within a job).
 * @throws {@link InputError} for a shard that there is not; what the store throws when it cannot keep results;
 * {@link ResourceError} when the runner is lost; the signal's reason when aborted. What was kept stays.
 * @category Jobs
 * @example
 * ```ts
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const plan = parseJobPlan({
 *   models: ["bundled"],
 *   seeds: [0, 1, 2],
 *   tasks: [{ kind: "head-scores", length: 20, batch: 2 }],
 * });
 * const { rows, failed } = await runJobs(plan, { on: inProcess(openBundledModel) });
 * const induction = rows.filter(({ seed, layer, head }) => seed === 2 && layer === 1 && head === 4);
 * console.log(rows.length, failed.length, Number(induction[0]?.["induction"]) > 0.5);
 * // 48 0 true
 * ```
 */
export async function runJobs(plan: JobPlan, options: RunJobsOptions): Promise<JobsOutcome> {
  const operation = "runJobs";
  requireObject(options, "options", operation, "on store shard signal onProgress onJobProgress");
  requireKind(PLAN, plan, "plan", operation);
  requireKind(RUNNER, options.on, "on", operation);
  const { on, store, shard = { index: 1, count: 1 }, signal, onProgress, onJobProgress } = options;
  signal?.throwIfAborted();
  const [first, end] = jobsOfShard(checkShard(shard), plan.size);
  const taken = new Uint8Array(end - first);
  for (let job = first; job < end; job++) if (store?.has(job) === true) taken[job - first] = 1;
  const before = taken.reduce((sum, one) => sum + one, 0);
  const kept = new Map<number, readonly JobRow[]>();
  const failed: { job: Job; error: Error }[] = [];
  let done = 0;
  const tell = (): void => onProgress?.(before + done + failed.length, end - first);
  const isNew = ({ plan: of, index }: Job): boolean =>
    of === plan.digest && index >= first && index < end && taken[index - first] === 0;
  if (before < end - first) {
    await on.run({
      plan,
      jobs: jobsLeft(plan, taken.slice(), first),
      count: end - first - before,
      signal,
      done: (job, rows) => {
        if (!isNew(job)) return;
        if (store === undefined) kept.set(job.index, rows);
        else store.append(job.index, linesOf(rows, plan.kindOf(job)));
        taken[job.index - first] = 1;
        done++;
        tell();
      },
      failed: (job, error) => {
        if (!isNew(job)) return;
        failed.push({ job, error });
        tell();
      },
      progress: onJobProgress && ((job, fraction) => isNew(job) && onJobProgress(job, fraction)),
    });
  }
  const rows = [...kept.entries()].sort(([a], [b]) => a - b).flatMap(([, those]) => those);
  return { jobs: end - first, before, done, failed: failed.sort((a, b) => a.job.index - b.job.index), rows };
}

/** What tells a plan from other values. */
export const PLAN = { member: "digest", what: "a plan", remedy: "Make one with parseJobPlan" };
const RUNNER = { member: "run", what: "a runner", remedy: "Make one with inProcess" };

function* jobsLeft(plan: JobPlan, taken: Uint8Array, first: number): Generator<Job> {
  for (const [i, isTaken] of taken.entries()) if (isTaken === 0) yield plan.job(first + i);
}

/**
 * Opens the model of a job.
 * @category Jobs
 */
export type OpenModel = (source: ModelSource) => OpenedModel | Promise<OpenedModel>;

/** How often a job tells how far it is, in milliseconds: most are over before. */
const TELL = 100;

/** Does jobs one after the other; the model of the last one stays open for the next. */
export class JobsInProcess {
  readonly #kinds: JobKinds;
  readonly #open: OpenModel;
  readonly #files: JobFiles | undefined;
  #last: { readonly path: string; readonly opened: Promise<OpenedModel> } | undefined;

  constructor(kinds: JobKinds, open: OpenModel, files: JobFiles | undefined) {
    this.#kinds = kinds;
    this.#open = open;
    this.#files = files;
  }

  /** The rows of a job; now and then it tells how far it is. */
  async rows(job: Job, signal?: AbortSignal, tell?: (fraction: number) => void): Promise<readonly JobRow[]> {
    const kind = Object.hasOwn(this.#kinds, job.kind) ? this.#kinds[job.kind] : undefined;
    if (kind === undefined) {
      throw new InputError(`job ${job.index} is of kind ${job.kind}, which is not known here. Give it in kinds.`, {
        operation: "runJobs",
        argument: "kinds",
        actual: job.kind,
      });
    }
    const { task, settings, seed } = job;
    const found = await kind.run({
      ...{ task, settings, seed, signal, modelName: job.model?.name, files: this.#files },
      onProgress: tell && nowAndThen(tell),
      model: () => this.#opened(job),
    });
    return rowsOf(job, found, kind);
  }

  #opened({ model, index }: Job): Promise<OpenedModel> {
    if (model === undefined) {
      throw new InputError(`job ${index} has no model: its kind says that it needs none.`, {
        operation: "runJobs",
        argument: "model",
      });
    }
    const { path } = model;
    if (this.#last?.path === path) return this.#last.opened;
    const opened = Promise.resolve(this.#open(model));
    // One that could not be opened may be there later.
    opened.catch(() => (this.#last = undefined));
    this.#last = { path, opened };
    return opened;
  }
}

function nowAndThen(tell: (fraction: number) => void): (done: number, total: number) => void {
  let last = performance.now();
  return (done, total) => {
    const now = performance.now();
    if (now - last < TELL) return;
    last = now;
    tell(total > 0 ? Math.min(1, done / total) : 1);
  };
}

/** How long jobs run before signals and timers have their turn, in milliseconds. */
const TURN = 50;

/**
 * A runner on this thread, one job after the other.
 *
 * @param open - opens the models of the plan, each when its first job comes.
 * @param files - where jobs read texts and save what they are told to; without, such jobs fail.
 * @category Jobs
 * @example
 * ```ts
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import type { JobKind } from "transformer-circuits/jobs";
 * import { Random } from "transformer-circuits/tensor";
 *
 * const coin: JobKind = {
 *   columns: { heads: "whole" },
 *   hasModel: false,
 *   run: ({ seed }) => [{ heads: new Random(seed).int(2) }],
 * };
 * const plan = parseJobPlan({ seeds: [1, 2, 3], tasks: [{ kind: "coin" }] }, { kinds: { coin } });
 * const { rows } = await runJobs(plan, { on: inProcess() });
 * console.log(rows.map(({ heads }) => heads).join(" "));
 * // 0 1 0
 * ```
 */
export function inProcess(open: OpenModel = refuseModels, files?: JobFiles): JobRunner {
  return {
    run: async ({ plan, jobs, done, failed, signal, progress }) => {
      const here = new JobsInProcess(plan.kinds, open, files);
      let last = performance.now();
      for (const job of jobs) {
        if (performance.now() - last > TURN) {
          await turn();
          last = performance.now();
        }
        signal?.throwIfAborted();
        let rows: readonly JobRow[];
        try {
          rows = await here.rows(job, signal, progress && ((fraction) => progress(job, fraction)));
        } catch (error) {
          signal?.throwIfAborted();
          failed(job, errorOf(error));
          continue;
        }
        done(job, rows);
      }
    },
  };
}

/** What was thrown, as an error. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new CircuitsError(String(thrown), { operation: "runJobs" });
}

function refuseModels({ name }: ModelSource): never {
  throw new InputError(`inProcess was given nothing that opens models, and the plan names ${name}.`, {
    operation: "inProcess",
    argument: "open",
  });
}
