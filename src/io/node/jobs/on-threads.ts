/** Jobs on threads of this process, each a program of its own with its own model. */
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { InputError, requireOptions, ResourceError } from "../../../errors.ts";
import type { Job, JobRunner, JobWork } from "../../../jobs/index.ts";
import { errorOf } from "../../../jobs/internal.ts";
import { errorFrom } from "./plain-errors.ts";
import type { JobAnswer, JobFound, JobMessage, JobThread } from "./serve-jobs.ts";

/**
 * How {@link onThreads} runs jobs.
 * @category Jobs
 */
export interface ThreadJobsOptions {
  /** The folder from which paths of models count; the present one unless given. */
  readonly folder?: string | undefined;
  /** The address of a module that exports further `kinds`, which threads load by themselves. */
  readonly kinds?: string | URL | undefined;
  /** The program of a thread, for bundles that move it: `dist/job-worker.js` of this package unless given. */
  readonly worker?: string | URL | undefined;
}

const MOST_THREADS = 256;
/** How often a job is begun whose thread ends under it, as where memory is used up. */
const TRIES = 2;

/** Where the build lays the program of threads: beside this file, of which a build for CommonJS has the path alone. */
function besideThis(): URL {
  const here = import.meta.url;
  return new URL("./job-worker.js", here.startsWith("file:") ? here : pathToFileURL(here));
}

/**
 * A runner on threads of this process. Each opens its models itself, and takes the next job when it has done one.
 *
 * @param count - how many threads.
 * @throws {@link InputError} when the number is not one from 1 to 256.
 * @category Jobs
 * @example
 * ```ts no-run
 * import { runJobs } from "transformer-circuits/jobs";
 * import { onThreads, openShard, readJobPlan } from "transformer-circuits/node";
 *
 * const plan = await readJobPlan("plan.json");
 * const store = openShard("results", plan);
 * const { done, failed } = await runJobs(plan, { on: onThreads(4), store });
 * store.close();
 * console.log(done, failed.length);
 * ```
 */
export function onThreads(count: number, options: ThreadJobsOptions = {}): JobRunner {
  requireOptions(options, "onThreads", "folder kinds worker");
  if (!Number.isInteger(count) || count < 1 || count > MOST_THREADS) {
    throw new InputError(`${count} is not a number of threads; it takes 1 to ${MOST_THREADS}.`, {
      operation: "onThreads",
      argument: "count",
      expected: [1, MOST_THREADS],
      actual: count,
    });
  }
  const start = starterOf(options);
  return { run: (work) => new Team(work, start, count).run() };
}

/** What starts a thread. */
export function starterOf({ folder = ".", kinds, worker = besideThis() }: ThreadJobsOptions): () => Worker {
  const workerData: JobThread = { command: "jobs", folder, kinds: kinds === undefined ? undefined : String(kinds) };
  return () => new Worker(worker, { workerData });
}

/** The threads of one run. */
class Team {
  readonly #work: JobWork;
  readonly #jobs: Iterator<Job>;
  readonly #threads: readonly ThreadForJobs[];
  #isOver = false;

  constructor(work: JobWork, start: () => Worker, count: number) {
    this.#work = work;
    this.#jobs = work.jobs[Symbol.iterator]();
    this.#threads = Array.from({ length: Math.min(count, work.count) }, () => new ThreadForJobs(start));
  }

  async run(): Promise<void> {
    const { signal } = this.#work;
    let stop = (): void => undefined;
    const stopped = new Promise<never>((_, reject) => {
      stop = (): void => reject(errorOf(signal?.reason));
    });
    stopped.catch(() => undefined);
    signal?.addEventListener("abort", stop);
    try {
      await Promise.race([stopped, Promise.all(this.#threads.map((thread) => this.#go(thread)))]);
    } finally {
      this.#isOver = true;
      signal?.removeEventListener("abort", stop);
      await Promise.all(this.#threads.map((thread) => thread.end()));
    }
  }

  /** Does jobs on one thread until none are left. */
  async #go(thread: ThreadForJobs): Promise<void> {
    for (let next = this.#jobs.next(); next.done !== true && !this.#isOver; next = this.#jobs.next()) {
      const job = next.value;
      const { progress } = this.#work;
      const answer = await thread.answer(job, progress && ((fraction) => progress(job, fraction)));
      if (this.#isOver) return;
      if (answer instanceof Error) this.#work.failed(job, answer);
      else this.#work.done(job, answer.rows);
    }
  }
}

/** A thread that does one job at a time, and is started anew when it ends under one. */
export class ThreadForJobs {
  readonly #start: () => Worker;
  #worker: Worker | undefined;

  constructor(start: () => Worker) {
    this.#start = start;
  }

  /** What a job found, or what went wrong with it. */
  async answer(job: Job, tell?: (fraction: number) => void): Promise<JobFound | Error> {
    for (let attempt = 1; ; attempt++) {
      this.#worker ??= this.#start();
      try {
        const answer = await answerOf(this.#worker, job, tell);
        return "rows" in answer ? answer : errorFrom(answer.error);
      } catch (error) {
        this.#worker = undefined;
        if (attempt === TRIES) return lostThread(job, errorOf(error));
      }
    }
  }

  async end(): Promise<void> {
    await this.#worker?.terminate();
  }
}

const lostThread = ({ index }: Job, { message }: Error): ResourceError =>
  new ResourceError(`the thread of job ${index} ended ${TRIES} times: ${message}.`, { operation: "onThreads" });

/** What a thread says of a job; rejects when it ends. */
function answerOf(worker: Worker, job: Job, tell?: (fraction: number) => void): Promise<JobAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      act();
    };
    const onMessage = (message: JobMessage): void => {
      if ("fraction" in message) tell?.(message.fraction);
      else settle(() => resolve(message));
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onExit = (code: number): void => settle(() => reject(new Error(`it left with ${code}`)));
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    worker.postMessage(job);
  });
}
