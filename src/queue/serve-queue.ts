/** Jobs on a queue of BullMQ, from the side that does them. */
import { CircuitsError, requireOptions, ResourceError } from "../errors.ts";
import { kindsOf, plainError, starterOf, ThreadForJobs } from "../io/internal.ts";
import type { ThreadJobsOptions } from "../io/node.ts";
import type { Job } from "../jobs/index.ts";
import { linesOf } from "../jobs/internal.ts";
import { closed, connectionOf, isRefusal, loadBullmq, lostRedis, pause, requireCount, textOf } from "./bullmq.ts";
import type { Progress, QueueConnection, QueuedJob } from "./bullmq.ts";

/**
 * How {@link serveQueue} works.
 * @category Jobs
 */
export interface ServeQueueOptions extends ThreadJobsOptions {
  /** The queue's name, `"transformer-circuits"` unless given. */
  readonly name?: string | undefined;
  /** How many jobs are done side by side, 1 unless given. */
  readonly threads?: number | undefined;
  /** After how many milliseconds the jobs of a worker that was killed go to others, 30,000 unless given. */
  readonly lock?: number | undefined;
  /** For how many milliseconds Redis may be away before this ends, 30,000 unless given. */
  readonly patience?: number | undefined;
  /** Ends the work once the jobs under way are done: the promise resolves. */
  readonly signal?: AbortSignal | undefined;
}

const OPERATION = "serveQueue";
/** How long telling what went wrong may take, in milliseconds; its text goes without. */
const TOLD = 1000;
/** How many workers may be killed over one job before it fails. */
const MOST_KILLED = 20;

/**
 * Does the jobs of a queue that {@link onQueue} fills, on threads, until it is told to stop. A job that was being done
 * when its worker was killed goes to another one.
 *
 * @throws {@link InputError} for an address that is none, a number that cannot be, or where the optional packages
 * `bullmq` and `ioredis` are not installed; {@link ResourceError} when Redis is away for longer than `patience`.
 * @category Jobs
 * @example
 * ```ts no-run
 * import { serveQueue } from "transformer-circuits/queue";
 *
 * const stop = new AbortController();
 * process.once("SIGTERM", () => stop.abort());
 * await serveQueue("redis://queue:6379", { threads: 8, signal: stop.signal });
 * ```
 */
export async function serveQueue(connection: QueueConnection, options: ServeQueueOptions = {}): Promise<void> {
  requireOptions(options, OPERATION, "name threads lock patience signal folder kinds worker");
  const { name = "transformer-circuits", threads = 1, lock = 30_000, patience = 30_000, signal } = options;
  requireCount(threads, 1, "threads", OPERATION);
  requireCount(lock, 1, "lock", OPERATION);
  requireCount(patience, 0, "patience", OPERATION);
  const to = connectionOf(connection, true, OPERATION);
  const { Worker, UnrecoverableError } = await loadBullmq(OPERATION);
  // One that cannot be loaded is told at once, and not by each thread.
  await kindsOf(options.kinds === undefined ? undefined : String(options.kinds));
  const start = starterOf(options);
  const idle = Array.from({ length: threads }, () => new ThreadForJobs(start));
  const all = [...idle];
  const work = async (queued: QueuedJob): Promise<string> => {
    const job = queued.data as Job;
    // Nothing depends on what is told on the way, so that a server that is away does not matter here.
    const tell = (progress: Progress): Promise<unknown> => queued.updateProgress(progress).catch(() => undefined);
    // There are as many threads as jobs at a time.
    const thread = idle.pop() ?? new ThreadForJobs(start);
    const answer = await thread.answer(job, (fraction) => void tell(fraction));
    idle.push(thread);
    if (!(answer instanceof Error)) return linesOf(answer.rows, answer);
    const text = textOf(answer);
    await Promise.race([tell({ error: plainError(answer) }), pause(TOLD)]);
    const isFinal = answer instanceof CircuitsError && !(answer instanceof ResourceError);
    throw isFinal ? new UnrecoverableError(text) : Object.assign(answer, { message: text });
  };
  const worker = new Worker(name, work, {
    connection: to,
    concurrency: threads,
    lockDuration: lock,
    stalledInterval: Math.max(1, Math.floor(lock / 2)),
    maxStalledCount: MOST_KILLED,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      let away: number | undefined;
      worker.on("ready", () => (away = undefined));
      worker.on("error", (error) => {
        if (isRefusal(error)) return reject(lostRedis(error, 0, OPERATION));
        if (!/ECONN|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|closed|ENETUNREACH/i.test(`${error.name} ${error.message}`))
          return;
        away ??= Date.now();
        if (Date.now() - away >= patience) reject(lostRedis(error, Date.now() - away, OPERATION));
      });
      if (signal?.aborted === true) resolve();
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
    await worker.close();
  } finally {
    await closed(worker);
    await Promise.all(all.map((thread) => thread.end()));
  }
}
