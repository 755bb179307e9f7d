/** The optional package BullMQ, as much of it as is used, and its connection to Redis. */
import { InputError, ResourceError } from "../errors.ts";
import type { PlainError } from "../io/internal.ts";

/**
 * Where Redis is: an address such as `redis://user:password@host:6379/0`, or options or a client of `ioredis` as BullMQ
 * takes them.
 * @category Jobs
 */
export type QueueConnection = string | object;

/** How far a job is, from 0 to 1; in the end, what went wrong, as a text has no fields. */
export type Progress = number | { readonly error: PlainError };

/** A job as BullMQ keeps it. */
export interface QueuedJob {
  readonly id?: string | undefined;
  readonly data: unknown;
  readonly returnvalue: unknown;
  readonly failedReason?: string | undefined;
  readonly finishedOn?: number | undefined;
  /** What {@link Progress} says; 0 before anything was told. */
  readonly progress: unknown;
  updateProgress(progress: Progress): Promise<unknown>;
  remove(): Promise<unknown>;
}

/** Settings of a job. */
interface JobOptions {
  readonly jobId: string;
  readonly attempts: number;
  readonly backoff: { readonly type: "exponential"; readonly delay: number };
  readonly removeOnComplete: { readonly age: number };
  readonly removeOnFail: { readonly age: number };
}

/** A queue, from the side that gives jobs. */
export interface Queue {
  on(event: "error", listener: (error: Error) => void): unknown;
  addBulk(
    jobs: readonly { readonly name: string; readonly data: unknown; readonly opts: JobOptions }[],
  ): Promise<unknown>;
  getJob(id: string): Promise<QueuedJob | undefined>;
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

/** A queue, from the side that does jobs. */
export interface QueueWorker {
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "ready", listener: () => void): unknown;
  close(force?: boolean): Promise<void>;
  disconnect(): Promise<void>;
}

interface Bullmq {
  readonly Queue: new (name: string, options: { readonly connection: object }) => Queue;
  readonly Worker: new (
    name: string,
    work: (job: QueuedJob) => Promise<unknown>,
    options: {
      readonly connection: object;
      readonly concurrency: number;
      readonly lockDuration: number;
      readonly stalledInterval: number;
      readonly maxStalledCount: number;
    },
  ) => QueueWorker;
  readonly UnrecoverableError: new (message: string) => Error;
}

/** Loaded by name when it is asked for, so that nothing else needs it. */
const PACKAGE: string = "bullmq";

/** Loads BullMQ. */
export async function loadBullmq(operation: string): Promise<Bullmq> {
  try {
    return (await import(PACKAGE)) as Bullmq;
  } catch (cause) {
    throw new InputError(
      "a queue needs the optional packages bullmq and ioredis. Install them: npm install bullmq ioredis.",
      { operation, argument: "connection" },
      { cause },
    );
  }
}

/**
 * The connection as BullMQ takes it.
 *
 * @param isPatient - whether commands wait for a server that is away, as workers' do, or fail.
 */
export function connectionOf(connection: QueueConnection, isPatient: boolean, operation: string): object {
  const ways = isPatient ? { maxRetriesPerRequest: null } : { maxRetriesPerRequest: 0, enableOfflineQueue: false };
  const retryStrategy = (times: number): number => Math.min(50 * times, 500);
  if (typeof connection === "object") return connection;
  try {
    const { protocol, hostname, port, username, password, pathname } = new URL(connection);
    if (!["redis:", "rediss:"].includes(protocol)) throw new Error("it begins with neither redis: nor rediss:");
    return {
      host: hostname || "127.0.0.1",
      port: port === "" ? 6379 : Number(port),
      ...(username !== "" && { username: decodeURIComponent(username) }),
      ...(password !== "" && { password: decodeURIComponent(password) }),
      ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
      ...(protocol === "rediss:" && { tls: {} }),
      ...ways,
      retryStrategy,
    };
  } catch (cause) {
    throw new InputError(
      `${JSON.stringify(connection)} is no address of Redis: ${(cause as Error).message}. Write it as redis://host:6379.`,
      { operation, argument: "connection", actual: connection },
    );
  }
}

/** Refuses a setting that is not a whole number from `least`. */
export function requireCount(value: number, least: number, argument: string, operation: string): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new InputError(`${argument} is ${value}; give a whole number of at least ${least}.`, {
    operation,
    argument,
    actual: value,
  });
}

/** An error as the text that a queue keeps of it. */
export const textOf = ({ name, message }: Error): string => `${name}: ${message}`;

/** A server that has been away too long, or does not let us in. */
export function lostRedis(cause: Error, waited: number, operation: string): ResourceError {
  const since = waited < 1000 ? "" : ` for ${Math.round(waited / 1000)} seconds`;
  return new ResourceError(
    `Redis did not answer${since}: ${cause.message || cause.name}. What was done is kept: run the same again when it is back.`,
    { operation, argument: "connection" },
    { cause },
  );
}

/** Answers of Redis that waiting does not change. */
export const isRefusal = ({ message }: Error): boolean => /\b(WRONGPASS|NOAUTH|NOPERM)\b/.test(message);

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** How long a connection is given to close: one to a server that is away may wait for it without end. */
const GOODBYE = 1000;

/** Closes a queue or a worker, and its connection whatever comes of that. */
export async function closed(one: Pick<Queue, "close" | "disconnect">): Promise<void> {
  for (const way of [() => one.close(), () => one.disconnect()]) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, GOODBYE)));
    await Promise.race([way().catch(() => undefined), late]);
    clearTimeout(timer);
  }
}
