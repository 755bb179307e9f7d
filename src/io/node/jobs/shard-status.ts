/** How far the shards of a plan are. */
import { statSync } from "node:fs";
import { requireKind } from "../../../errors.ts";
import type { JobPlan, Shard } from "../../../jobs/index.ts";
import { jobsOfShard, PLAN } from "../../../jobs/internal.ts";
import { scanFile } from "./scan.ts";
import { requireOneCount, shardFiles } from "./shard-files.ts";

/**
 * How far a shard is.
 * @category Jobs
 */
export interface ShardProgress extends Shard {
  /** How many jobs it has. */
  readonly jobs: number;
  /** How many of them are done. */
  readonly done: number;
  /** When its file was last written to, in milliseconds; `undefined` where there is none yet. */
  readonly written: number | undefined;
}

/**
 * How far a plan is, by shard.
 * @category Jobs
 */
export interface ShardStatus {
  readonly jobs: number;
  readonly done: number;
  /** Every shard that there should be; none where nothing has begun. */
  readonly shards: readonly ShardProgress[];
}

const STATUS = "shardStatus";

/**
 * How far the shards of a plan are, from what lies in their folder; they may be running.
 *
 * @throws {@link InputError} when results are of another plan, or of several numbers of shards; {@link FormatError} for
 * a damaged line.
 * @category Jobs
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import { openShard, shardStatus } from "transformer-circuits/node";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const folder = mkdtempSync(join(tmpdir(), "sweep-"));
 * const plan = parseJobPlan({ models: ["bundled"], seeds: { count: 4 }, tasks: [{ kind: "head-scores", length: 8 }] });
 * const shard = { index: 2, count: 2 };
 * const store = openShard(folder, plan, shard);
 * await runJobs(plan, { on: inProcess(openBundledModel), store, shard });
 * store.close();
 * const { done, jobs, shards } = shardStatus(folder, plan);
 * console.log(`${done} of ${jobs}:`, shards.map((one) => `${one.done} of ${one.jobs}`).join(", "));
 * // 2 of 4: 0 of 2, 2 of 2
 * ```
 */
export function shardStatus(folder: string, plan: JobPlan): ShardStatus {
  requireKind(PLAN, plan, "plan", STATUS);
  const files = shardFiles(folder, STATUS);
  requireOneCount(files, folder, STATUS);
  const count = files[0]?.count ?? 0;
  const shards = Array.from({ length: count }, (_, i): ShardProgress => {
    const shard = { index: i + 1, count };
    const [first, end] = jobsOfShard(shard, plan.size);
    const file = files.find(({ index }) => index === i + 1)?.file;
    return { ...shard, jobs: end - first, ...(file === undefined ? NOTHING : doneIn(file, plan)) };
  });
  return { jobs: plan.size, done: shards.reduce((sum, { done }) => sum + done, 0), shards };
}

const NOTHING = { done: 0, written: undefined };

function doneIn(file: string, plan: JobPlan): Pick<ShardProgress, "done" | "written"> {
  const jobs = new Set<number>();
  scanFile(file, plan, STATUS, ({ job }) => jobs.add(job));
  return { done: jobs.size, written: statSync(file).mtimeMs };
}
