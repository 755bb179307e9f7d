/**
 * Work in a thread of its own, which runs the command's own file: the terminal stays alive, and a cancel takes effect
 * at once. The thread touches no files but those that it reads.
 */
import { parentPort, Worker } from "node:worker_threads";
import { CircuitsError } from "../errors.ts";

type Message<Done> =
  | { readonly kind: "progress"; readonly fraction: number; readonly step: string | undefined }
  | { readonly kind: "done"; readonly done: Done }
  | { readonly kind: "failed"; readonly text: string };

/** Tells the main thread how far the work is, from 0 to 1, and at what where that changes. */
export type TellProgress = (fraction: number, step?: string) => void;

/**
 * Runs a job in a worker; a cancel ends it on the spot.
 *
 * @param command - the file to run, which hands its `workerData` to {@link serveJob}.
 */
export function runInWorker<Job, Done>(
  command: string,
  job: Job,
  signal: AbortSignal,
  onProgress: TellProgress,
): Promise<Done> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(command, { workerData: job });
    const fail = (error: Error): void => {
      void worker.terminate();
      reject(error);
    };
    if (signal.aborted) fail(new Error("cancelled"));
    signal.addEventListener("abort", () => fail(new Error("cancelled")), { once: true });
    worker.on("error", fail);
    worker.on("exit", () => reject(new Error("the work ended without a result")));
    worker.on("message", (message: Message<Done>) => {
      if (message.kind === "progress") onProgress(message.fraction, message.step);
      else if (message.kind === "done") resolve(message.done);
      else fail(new ReportedError(message.text));
    });
  });
}

/** An error of the worker, already in words. */
class ReportedError extends Error {
  override toString(): string {
    return this.message;
  }
}

/**
 * The worker's side: does the work and posts what comes of it, or what went wrong in words.
 *
 * @param threads - how many threads compute, this one among them.
 */
export async function serveJob<Done>(threads: number, work: (tell: TellProgress) => Promise<Done>): Promise<void> {
  const post = (message: Message<Done>): void => parentPort?.postMessage(message);
  try {
    if (threads > 1) await (await import("../tensor/index.ts")).useThreads(threads);
    post({ kind: "done", done: await work((fraction, step) => post({ kind: "progress", fraction, step })) });
  } catch (error) {
    post({
      kind: "failed",
      text:
        error instanceof CircuitsError
          ? `${error.name}: ${error.message}`
          : error instanceof Error
            ? (error.stack ?? String(error))
            : String(error),
    });
  }
}
