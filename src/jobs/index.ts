/**
 * *Many questions?* A sweep over checkpoints, seeds or families of models as a list of jobs that any number of threads
 * and machines share.
 *
 * A plan is data: tasks on models with seeds. A job draws nothing but by its seed, so that it may be done anywhere,
 * again, and in any order: the union of results is that of one process, to the bit.
 *
 * In reading order: `plan.ts` (which jobs), `kinds/` (how one is done), `rows.ts` (what it leaves), `shards.ts` (which
 * part is whose), `run-jobs.ts` (runners and stores).
 *
 * @packageDocumentation
 */
export { JobPlan, parseJobPlan } from "./plan.ts";
export type { Job, ModelSource } from "./plan.ts";
export type {
  ColumnType,
  JobFiles,
  JobKind,
  JobKinds,
  JobTask,
  JobTokenizer,
  JobValue,
  OpenedModel,
} from "./kinds/kind.ts";
export { parseJobRows } from "./rows.ts";
export type { JobRow } from "./rows.ts";
export { parseShard, shardOfEnvironment } from "./shards.ts";
export type { Shard } from "./shards.ts";
export { inProcess, runJobs } from "./run-jobs.ts";
export type {
  JobRunner,
  JobsOutcome,
  JobStore,
  JobWork,
  OpenModel,
  RunJobsOptions,
  TellJobProgress,
} from "./run-jobs.ts";
