/** Jobs on threads of this process, each a program of its own with its own model. */
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { InputError, requireOptions, ResourceError } from "../../../errors.ts";
import type { Job, JobRunner, JobWork } from "../../../jobs/index.ts";
import { errorFrom } from "./serve-jobs.ts";
import type { JobAnswer, JobThread } from "./serve-jobs.ts";

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
  const { folder = ".", kinds, worker = besideThis() } = options;
  const workerData: JobThread = { command: "jobs", folder, kinds: kinds === undefined ? undefined : String(kinds) };
  const start = (): Worker => new Worker(worker, { workerData });
  return { run: (work) => new Team(work, start).run(count) };
}

/** The threads of one run. */
class Team {
  readonly #work: JobWork;
  readonly #start: () => Worker;
  readonly #jobs: Iterator<Job>;
  readonly #workers = new Set<Worker>();
  #isOver = false;

  constructor(work: JobWork, start: () => Worker) {
    this.#work = work;
    this.#start = start;
    this.#jobs = work.jobs[Symbol.iterator]();
  }

  async run(count: number): Promise<void> {
    const { signal } = this.#work;
    let stop = (): void => undefined;
    const stopped = new Promise<never>((_, reject) => {
      stop = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error(String(signal?.reason)));
    });
    stopped.catch(() => undefined);
    signal?.addEventListener("abort", stop);
    try {
      const threads = Math.min(count, this.#work.count);
      await Promise.race([stopped, Promise.all(Array.from({ length: threads }, () => this.#thread()))]);
    } finally {
      this.#isOver = true;
      signal?.removeEventListener("abort", stop);
      await Promise.all([...this.#workers].map((worker) => worker.terminate()));
    }
  }

  /** Does jobs on one thread until none are left; a thread that ends is started anew. */
  async #thread(): Promise<void> {
    let worker: Worker | undefined;
    while (!this.#isOver) {
      const next = this.#jobs.next();
      if (next.done === true) break;
      const job = next.value;
      for (let attempt = 1; ; attempt++) {
        worker ??= this.#begin();
        try {
          const answer = await answerOf(worker, job);
          if (this.#isOver) return;
          if ("rows" in answer) this.#work.done(job, answer.rows);
          else this.#work.failed(job, errorFrom(answer.error));
          break;
        } catch (error) {
          if (this.#isOver || !(error instanceof ThreadEnded)) throw error;
          this.#workers.delete(worker);
          worker = undefined;
          if (attempt < TRIES) continue;
          this.#work.failed(job, lostThread(job, error));
          break;
        }
      }
    }
    if (worker === undefined) return;
    this.#workers.delete(worker);
    await worker.terminate();
  }

  #begin(): Worker {
    const worker = this.#start();
    this.#workers.add(worker);
    return worker;
  }
}

/** A thread that ended while it did a job. */
class ThreadEnded extends Error {}

const lostThread = ({ index }: Job, { message }: Error): ResourceError =>
  new ResourceError(`the thread of job ${index} ended ${TRIES} times: ${message}.`, { operation: "onThreads" });

/** What a thread says of a job. */
function answerOf(worker: Worker, job: Job): Promise<JobAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      act();
    };
    const onMessage = (answer: JobAnswer): void => settle(() => resolve(answer));
    const onError = (error: Error): void => settle(() => reject(new ThreadEnded(error.message)));
    const onExit = (code: number): void => settle(() => reject(new ThreadEnded(`it left with ${code}`)));
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    worker.postMessage(job);
  });
}
