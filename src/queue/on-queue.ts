/**
 * Jobs on a queue of BullMQ, from the side that gives them.
 *
 * The queue is trusted with nothing. A job has its place in the plan as its name there, so that giving it twice gives
 * it once; it is asked for until its result is kept here, and given again where the server has lost it.
 */
import { FormatError, requireObject, requireOptions } from "../errors.ts";
import { errorFrom, errorFromText } from "../io/internal.ts";
import type { PlainError } from "../io/internal.ts";
import { parseJobRows } from "../jobs/index.ts";
import type { Job, JobRow, JobRunner, JobWork } from "../jobs/index.ts";
import { errorOf } from "../jobs/internal.ts";
import { closed, connectionOf, isRefusal, loadBullmq, lostRedis, pause, requireCount, textOf } from "./bullmq.ts";
import type { Queue, QueueConnection, QueuedJob } from "./bullmq.ts";

/**
 * How {@link onQueue} gives jobs.
 * @category Jobs
 */
export interface QueueJobsOptions {
  /** The queue's name, `"transformer-circuits"` unless given. */
  readonly name?: string | undefined;
  /** How many jobs the queue holds at most, 256 unless given: the others wait here. */
  readonly window?: number | undefined;
  /** How often a job is tried again that a worker failed at, 3 unless given; what cannot succeed is not tried again. */
  readonly retries?: number | undefined;
  /** For how many milliseconds Redis may be away before the run ends, 30,000 unless given. */
  readonly patience?: number | undefined;
}

const OPERATION = "onQueue";
/** How often the queue is asked for results, in milliseconds. */
const ASK = 50;
/** How long an answer of Redis may take before it is asked again. */
const ANSWER = 5000;
/** What nobody came for leaves the queue after a week, in seconds. */
const WEEK = 7 * 24 * 3600;

/**
 * A runner on a queue: workers on any machine take the jobs, see {@link serveQueue}. The paths of the plan's models
 * count from the folders of the workers.
 *
 * @throws {@link InputError} for an address that is none or a number that cannot be; when it runs, also where the
 * optional packages `bullmq` and `ioredis` are not installed, and {@link ResourceError} when Redis is away for longer
 * than `patience`.
 * @category Jobs
 * @example
 * ```ts no-run
 * import { runJobs } from "transformer-circuits/jobs";
 * import { openShard, readJobPlan } from "transformer-circuits/node";
 * import { onQueue } from "transformer-circuits/queue";
 *
 * const plan = await readJobPlan("plan.json");
 * const store = openShard("results", plan);
 * const { done } = await runJobs(plan, { on: onQueue("redis://queue:6379"), store });
 * store.close();
 * console.log(done);
 * ```
 */
export function onQueue(connection: QueueConnection, options: QueueJobsOptions = {}): JobRunner {
  requireOptions(options, OPERATION, "name window retries patience");
  const { name = "transformer-circuits", window = 256, retries = 3, patience = 30_000 } = options;
  requireCount(window, 1, "window", OPERATION);
  requireCount(retries, 0, "retries", OPERATION);
  requireCount(patience, 0, "patience", OPERATION);
  const to = connectionOf(connection, false, OPERATION);
  return {
    run: async (work) => {
      const { Queue } = await loadBullmq(OPERATION);
      const queue = new Queue(name, { connection: to });
      const giver = new Giver(queue, work, { window, retries, patience });
      try {
        await giver.run();
      } finally {
        await closed(queue);
      }
    },
  };
}

/** The name of a job in the queue. */
const idOf = ({ plan, index }: Job): string => `${plan}-${index}`;

/** One run: gives jobs while there is room, and takes results until none are left. */
class Giver {
  readonly #queue: Queue;
  readonly #work: JobWork;
  readonly #limits: { readonly window: number; readonly retries: number; readonly patience: number };
  readonly #given = new Map<string, Job>();
  /** How far jobs under way were when it was last told. */
  readonly #told = new Map<string, number>();
  #fault = new Error("no connection");

  constructor(
    queue: Queue,
    work: JobWork,
    limits: { readonly window: number; readonly retries: number; readonly patience: number },
  ) {
    this.#queue = queue;
    this.#work = work;
    this.#limits = limits;
    // The library tells of a lost connection here; the next command says whether it matters.
    queue.on("error", (error) => (this.#fault = error));
  }

  async run(): Promise<void> {
    const jobs = this.#work.jobs[Symbol.iterator]();
    let isMore = true;
    try {
      for (;;) {
        const some: Job[] = [];
        while (isMore && this.#given.size + some.length < this.#limits.window) {
          const next = jobs.next();
          if (next.done === true) isMore = false;
          else some.push(next.value);
        }
        await this.#give(some);
        if (this.#given.size === 0) return;
        if (!(await this.#take())) await pause(ASK);
        this.#work.signal?.throwIfAborted();
      }
    } catch (error) {
      if (this.#work.signal?.aborted === true) await this.#takeBack();
      throw error;
    }
  }

  async #give(jobs: readonly Job[]): Promise<void> {
    if (jobs.length === 0) return;
    const { retries } = this.#limits;
    const opts = {
      attempts: retries + 1,
      backoff: { type: "exponential", delay: 200 },
      removeOnComplete: { age: WEEK },
      removeOnFail: { age: WEEK },
    } as const;
    const all = jobs.map((job) => ({ name: job.task, data: job, opts: { ...opts, jobId: idOf(job) } }));
    await this.#ask(() => this.#queue.addBulk(all));
    for (const job of jobs) this.#given.set(idOf(job), job);
  }

  /** Takes what is done; returns whether anything was. */
  async #take(): Promise<boolean> {
    const given = [...this.#given];
    const found = await this.#ask(() => Promise.all(given.map(([id]) => this.#queue.getJob(id))));
    const lost: Job[] = [];
    let isAny = false;
    for (const [i, [id, job]] of given.entries()) {
      const queued = found[i];
      if (queued === undefined) lost.push(job);
      else if (this.#settle(job, queued)) {
        isAny = true;
        this.#given.delete(id);
        this.#told.delete(id);
        // What is kept here is needed there no more; where that fails it leaves by its age.
        queued.remove().catch(() => undefined);
      }
    }
    await this.#give(lost);
    return isAny;
  }

  /** Tells what came of a job, if anything did. */
  #settle(job: Job, { returnvalue, finishedOn, failedReason = "", progress }: QueuedJob): boolean {
    if (returnvalue !== undefined && returnvalue !== null) {
      const rows = rowsOfJob(job, returnvalue);
      if (rows instanceof Error) this.#work.failed(job, rows);
      else this.#work.done(job, rows);
      return true;
    }
    if (finishedOn === undefined) {
      this.#tell(job, progress);
      return false;
    }
    this.#work.failed(job, errorOfJob(failedReason, progress));
    return true;
  }

  /** Tells how far a job under way is, where that is news. */
  #tell(job: Job, progress: unknown): void {
    if (typeof progress !== "number" || !(progress > 0 && progress <= 1)) return;
    const id = idOf(job);
    if (this.#told.get(id) === progress) return;
    this.#told.set(id, progress);
    this.#work.progress?.(job, progress);
  }

  /** Jobs that no worker has begun leave the queue. */
  async #takeBack(): Promise<void> {
    const all = [...this.#given.keys()].map(async (id) => (await this.#queue.getJob(id))?.remove());
    await Promise.race([Promise.allSettled(all), pause(1000)]);
  }

  /** An answer of Redis, asked for again while it is away. */
  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    const begun = Date.now();
    for (;;) {
      this.#work.signal?.throwIfAborted();
      try {
        return await within(ask(), Math.min(ANSWER, this.#limits.patience), this.#fault);
      } catch (thrown) {
        const error = errorOf(thrown);
        const waited = Date.now() - begun;
        if (isRefusal(error)) throw lostRedis(error, 0, OPERATION);
        if (waited >= this.#limits.patience) throw lostRedis(this.#fault, waited, OPERATION);
        this.#fault = error;
        await pause(ASK);
      }
    }
  }
}

function within<T>(answer: Promise<T>, milliseconds: number, fault: Error): Promise<T> {
  answer.catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    // An answer that came while this program was busy with something else is heard first.
    timer = setTimeout(() => setImmediate(() => reject(fault)), milliseconds);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** What went wrong with a job, whole where the worker has told it beside the text. */
function errorOfJob(text: string, progress: unknown): Error {
  const { error: told } = typeof progress === "object" && progress !== null ? (progress as { error?: unknown }) : {};
  const isPlain = typeof told === "object" && told !== null && "name" in told && "message" in told;
  const error = isPlain ? errorFrom(told as PlainError) : undefined;
  // Of another attempt it may be another error.
  return error !== undefined && textOf(error) === text ? error : errorFromText(text);
}

/** The rows that a worker returned, if they are those of the job. */
function rowsOfJob(job: Job, returned: unknown): readonly JobRow[] | Error {
  const details = { operation: OPERATION, argument: "returnvalue", actual: returned };
  const wrong = new FormatError(`a worker returned other than the results of job ${job.index}.`, details);
  if (typeof returned !== "string") return wrong;
  try {
    const rows = parseJobRows(returned);
    requireObject(rows[0], "the first row", OPERATION);
    const isOf = rows.every((row, i) => row["plan"] === job.plan && row["job"] === job.index && row["row"] === i);
    return isOf && Math.max(1, Number(rows[0]?.["rows"])) === rows.length ? rows : wrong;
  } catch {
    return wrong;
  }
}
