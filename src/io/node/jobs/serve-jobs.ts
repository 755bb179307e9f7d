/** The thread's side of jobs on threads. */
import { parentPort } from "node:worker_threads";
import { InputError } from "../../../errors.ts";
import type { Job, JobKinds, JobRow } from "../../../jobs/index.ts";
import { errorOf, JobsInProcess, KINDS } from "../../../jobs/internal.ts";
import { plainError } from "./plain-errors.ts";
import type { PlainError } from "./plain-errors.ts";
import { modelsOfPlan } from "./read-plan.ts";

/** What a thread is told when it starts. */
export interface JobThread {
  readonly command: "jobs";
  /** From where paths of models count. */
  readonly folder: string;
  /** The address of a module that exports further `kinds`. */
  readonly kinds: string | undefined;
}

/** What a thread says of a job in the end. */
export type JobAnswer =
  { readonly index: number; readonly rows: readonly JobRow[] } | { readonly index: number; readonly error: PlainError };

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

/** Does the jobs that it is sent, until it is ended. */
export async function serveJobs({ folder, kinds }: JobThread): Promise<void> {
  const here = new JobsInProcess({ ...KINDS, ...(await kindsOf(kinds)) }, modelsOfPlan(folder));
  const port = parentPort;
  port?.on("message", (job: Job) => {
    const { index } = job;
    const say = (message: JobMessage): void => port.postMessage(message);
    const rows = here.rows(job, undefined, (fraction) => say({ index, fraction }));
    rows.then(
      (found) => say({ index, rows: found }),
      (error: unknown) => say({ index, error: plainError(error) }),
    );
  });
}
