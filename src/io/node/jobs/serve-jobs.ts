/** The thread's side of jobs on threads. */
import { parentPort } from "node:worker_threads";
import { InputError } from "../../../errors.ts";
import type { Job, JobKind, JobKinds, JobRow } from "../../../jobs/index.ts";
import { errorOf, JobsInProcess, KINDS } from "../../../jobs/internal.ts";
import { plainError } from "./plain-errors.ts";
import type { PlainError } from "./plain-errors.ts";
import { filesOfPlan, modelsOfPlan } from "./read-plan.ts";

/** What a thread is told when it starts. */
export interface JobThread {
  readonly command: "jobs";
  /** From where paths of models count. */
  readonly folder: string;
  /** The address of a module that exports further `kinds`. */
  readonly kinds: string | undefined;
}

/** What a thread says of a job in the end. */
export type JobAnswer = (JobFound | { readonly error: PlainError }) & { readonly index: number };

/** The rows of a job, with the columns of its kind, which who asked may not know. */
export interface JobFound extends Pick<JobKind, "columns"> {
  readonly rows: readonly JobRow[];
}

/** What it says of a job: in the end, or how far it is. */
export type JobMessage = JobAnswer | { readonly index: number; readonly fraction: number };

/** Kinds of jobs that a module exports; none without one. */
export async function kindsOf(module: string | undefined): Promise<JobKinds> {
  if (module === undefined) return {};
  const details = { operation: "runJobs", argument: "kinds", actual: module };
  const loaded = await import(module).then(
    (exported: { readonly kinds?: JobKinds }) => exported,
    (cause: unknown) => {
      throw new InputError(`cannot load ${module}: ${errorOf(cause).message}.`, details, { cause });
    },
  );
  if (loaded.kinds !== undefined) return loaded.kinds;
  throw new InputError(`${module} exports no kinds. Let it export const kinds = { name: { columns, run } }.`, details);
}

/**
 * Does the jobs that it is sent, until it is ended.
 *
 * @param more - kinds that the program knows beside those of `jobs/` and of the module.
 */
export async function serveJobs({ folder, kinds }: JobThread, more: JobKinds): Promise<void> {
  const all = { ...KINDS, ...more, ...(await kindsOf(kinds)) };
  const here = new JobsInProcess(all, modelsOfPlan(folder), filesOfPlan(folder));
  const port = parentPort;
  port?.on("message", (job: Job) => {
    const { index, kind } = job;
    const say = (message: JobMessage): void => port.postMessage(message);
    const rows = here.rows(job, undefined, (fraction) => say({ index, fraction }));
    rows.then(
      (found) => say({ index, rows: found, columns: all[kind]?.columns ?? {} }),
      (error: unknown) => say({ index, error: plainError(error) }),
    );
  });
}
