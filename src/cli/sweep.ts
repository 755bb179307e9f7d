/** The command `sweep`: the jobs of a plan, in shards; what they found, in one file; how far they are. */
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CircuitsError } from "../errors.ts";
import { filesOfPlan, mergeShards, modelsOfPlan, onThreads, openShard, readJobPlan, shardStatus } from "../io/node.ts";
import { kindsOf } from "../io/internal.ts";
import { inProcess, parseShard, runJobs, shardOfEnvironment } from "../jobs/index.ts";
import type { JobPlan, JobsOutcome, JobStore, RunJobsOptions, Shard } from "../jobs/index.ts";
import { jobsOfShard } from "../jobs/internal.ts";
import { moreKinds } from "./job-kinds.ts";
import { runCommand } from "./run.ts";
import type { Work } from "./run.ts";

/** Options that all of them have. */
interface PlanOptions {
  readonly results?: string;
  readonly kinds?: string;
}

/** Options of `sweep`. */
export interface SweepCommandOptions extends PlanOptions {
  readonly shard?: string;
  readonly shards?: number;
  readonly threads: number;
  readonly queue?: string;
}

/** Options of `sweep work`. */
export interface WorkCommandOptions {
  readonly queue: string;
  readonly threads: number;
  readonly lock: number;
  readonly models?: string;
  readonly kinds?: string;
}

/** Options of `sweep merge`. */
export interface MergeCommandOptions extends PlanOptions {
  readonly output?: string;
  readonly partial?: boolean;
}

/** Options of `sweep status`. */
export interface StatusCommandOptions extends PlanOptions {
  readonly json?: boolean;
}

const CANCELLED = "Cancelled; what was done is kept, and the same command goes on with the rest.";

/**
 * Runs the jobs of a shard; returns the exit status.
 *
 * @param command - the command's own file, which threads run.
 */
export function sweep(command: string, path: string, options: SweepCommandOptions): Promise<number> {
  return runCommand(
    `running ${path}`,
    async ({ signal, onProgress }) => {
      const { plan, results, kinds } = await opened(path, options);
      const shard = shardGiven(options);
      const folder = dirname(resolve(path));
      const { threads, queue } = options;
      const on =
        queue !== undefined
          ? (await import("../queue/index.ts")).onQueue(queue)
          : threads === 1
            ? inProcess(modelsOfPlan(folder), filesOfPlan(folder))
            : onThreads(threads, { folder, kinds, worker: command });
      const store = openShard(results, plan, shard);
      try {
        const outcome = await runJobs(plan, { on, store, shard, signal, ...shownJobs(plan, shard, store, onProgress) });
        if (outcome.failed.length > 0) throw failure(outcome);
        const { before, done } = outcome;
        const known = before === 0 ? "" : `, ${before} before`;
        const cut = store.cut === 0 ? "" : `; ${store.cut} bytes of an unfinished job were cut off`;
        return `${`shard ${shard.index}/${shard.count}`.padEnd(12)} ${done} jobs done${known}${cut}\n${"results".padEnd(12)} ${store.file}`;
      } finally {
        store.close();
      }
    },
    CANCELLED,
  );
}

/** Shows whole jobs, and of those under way the part that is done. */
function shownJobs(
  plan: JobPlan,
  shard: Shard,
  store: Pick<JobStore, "has">,
  show: Work["onProgress"],
): Required<Pick<RunJobsOptions, "onProgress" | "onJobProgress">> {
  const [first, end] = jobsOfShard(shard, plan.size);
  const underWay = new Map<number, number>();
  let [done, total] = [0, end - first];
  for (let job = first; job < end; job++) if (store.has(job)) done++;
  return {
    onProgress: (jobs, all) => {
      // Which of them it was is not said; those that go on tell soon again.
      underWay.clear();
      [done, total] = [jobs, all];
      show(done, total);
    },
    onJobProgress: ({ index, task }, fraction) => {
      underWay.set(index, fraction);
      const parts = [...underWay.values()].reduce((sum, part) => sum + part, 0);
      show(Math.min(total, done + parts), total, `${task}, job ${index}`);
    },
  };
}

/**
 * Does the jobs of a queue until it is told to stop; returns the exit status.
 *
 * @param command - the command's own file, which threads run.
 */
export function sweepWork(command: string, options: WorkCommandOptions): Promise<number> {
  const { queue, threads, lock, models = ".", kinds } = options;
  return runCommand(`working for ${queue}`, async ({ signal }) => {
    const { serveQueue } = await import("../queue/index.ts");
    await serveQueue(queue, { threads, lock, folder: models, kinds: moduleAt(kinds), worker: command, signal });
    return "Ended; jobs that were not begun are left to other workers.";
  });
}

/** Writes the results of all shards into one file; returns the exit status. */
export function sweepMerge(path: string, options: MergeCommandOptions): Promise<number> {
  return runCommand(`merging the results of ${path}`, async () => {
    const { plan, results } = await opened(path, options);
    const { partial, output = `${results}.jsonl` } = options;
    const { file, jobs, missing } = mergeShards(results, plan, output, { partial });
    return `${"results".padEnd(12)} ${file} (${jobs} jobs${missing === 0 ? "" : `, ${missing} missing`})`;
  });
}

/** Prints how far the shards are; returns the exit status. */
export function sweepStatus(path: string, options: StatusCommandOptions): Promise<number> {
  return runCommand(`reading the results of ${path}`, async () => {
    const { plan, results } = await opened(path, options);
    const status = shardStatus(results, plan);
    if (options.json === true) return JSON.stringify(status);
    const percent = plan.size === 0 ? 100 : Math.floor((100 * status.done) / plan.size);
    const shards = status.shards.map(({ index, count, jobs, done, written }) => {
      const when = written === undefined ? "not begun" : `last written ${new Date(written).toISOString()}`;
      return `${`${index}/${count}`.padEnd(12)} ${done} of ${jobs}${done === jobs ? "" : `, ${when}`}`;
    });
    return [`${"all".padEnd(12)} ${status.done} of ${plan.size} jobs (${percent} %)`, ...shards].join("\n");
  });
}

/** The plan, where its results lie, and the module of its own kinds. */
async function opened(
  path: string,
  { results, kinds }: PlanOptions,
): Promise<{ readonly plan: JobPlan; readonly results: string; readonly kinds: string | undefined }> {
  const module = moduleAt(kinds);
  const plan = await readJobPlan(path, { kinds: { ...(await moreKinds()), ...(await kindsOf(module)) } });
  return { plan, results: results ?? `${path.replace(/\.json$/i, "")}-results`, kinds: module };
}

const moduleAt = (path: string | undefined): string | undefined =>
  path === undefined ? undefined : pathToFileURL(resolve(path)).href;

function shardGiven({ shard, shards }: SweepCommandOptions): Shard {
  const all = { index: 1, count: 1 };
  return shard !== undefined ? parseShard(shard) : (shardOfEnvironment(process.env, shards) ?? all);
}

const SHOWN = 5;

function failure({ jobs, failed }: JobsOutcome): CircuitsError {
  const lines = failed.slice(0, SHOWN).map(({ job, error }) => {
    const on = job.model === undefined ? "" : ` on ${job.model.name}`;
    return `  job ${job.index}, ${job.task}${on}, seed ${job.seed}: ${error.name}: ${error.message}`;
  });
  const more = failed.length > SHOWN ? [`  and ${failed.length - SHOWN} more`] : [];
  const text = `${failed.length} of ${jobs} jobs failed; the others are kept, and the same command tries these again.`;
  return new CircuitsError([text, ...lines, ...more].join("\n"), { operation: "sweep" });
}
