/** The thread's side of jobs on threads. */
import { parentPort } from "node:worker_threads";
import {
  AxisError,
  CircuitsError,
  ConfigError,
  FormatError,
  InputError,
  ResourceError,
  ShapeError,
} from "../../../errors.ts";
import type { Job, JobKinds, JobRow } from "../../../jobs/index.ts";
import { errorOf, JobsInProcess, KINDS } from "../../../jobs/internal.ts";
import { modelsOfPlan } from "./read-plan.ts";

/** What a thread is told when it starts. */
export interface JobThread {
  readonly command: "jobs";
  /** From where paths of models count. */
  readonly folder: string;
  /** The address of a module that exports further `kinds`. */
  readonly kinds: string | undefined;
}

/** An error as threads pass it on. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly operation: string | undefined;
}

/** What a thread says of a job. */
export type JobAnswer =
  { readonly index: number; readonly rows: readonly JobRow[] } | { readonly index: number; readonly error: PlainError };

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
    here.rows(job).then(
      (rows) => port.postMessage({ index: job.index, rows } satisfies JobAnswer),
      (error: unknown) => port.postMessage({ index: job.index, error: plainError(error) } satisfies JobAnswer),
    );
  });
}

/** An error as data. */
export function plainError(thrown: unknown): PlainError {
  const error = errorOf(thrown);
  if (!(error instanceof CircuitsError)) return { name: error.name, message: error.message, operation: undefined };
  const { name, message, operation } = error;
  return { name, message: message.slice(operation.length + 2), operation };
}

const CLASSES = { AxisError, ConfigError, FormatError, InputError, ResourceError, ShapeError };

/** An error again, of the class that it was of. */
export function errorFrom({ name, message, operation }: PlainError): Error {
  if (operation === undefined) return Object.assign(new Error(message), { name });
  const known = Object.hasOwn(CLASSES, name) ? CLASSES[name as keyof typeof CLASSES] : CircuitsError;
  return new known(message, { operation });
}
