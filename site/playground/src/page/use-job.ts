/** A job of the worker as part of what the page shows. */
import { useLayoutEffect, useState } from "preact/hooks";
import type { JobName, Jobs, SentError } from "../protocol.ts";
import { type Client, JobError } from "./client.ts";

/** How far a job is. */
export interface JobState<J extends JobName> {
  readonly reply: Jobs[J]["reply"] | undefined;
  /** Whether another answer is on its way. */
  readonly isBusy: boolean;
  readonly progress: readonly [done: number, total: number] | undefined;
  readonly error: SentError | undefined;
}

/**
 * Asks the worker again whenever what is asked changes; the answer before stands until the next one is there.
 *
 * @param ask - undefined where there is nothing to ask.
 * @param of - what the answer belongs to, such as a model: the answers of another are not shown.
 */
export function useJob<J extends JobName>(
  client: Client,
  job: J,
  ask: Jobs[J]["ask"] | undefined,
  of: unknown,
): JobState<J> {
  const [state, setState] = useState<JobState<J> & { readonly of: unknown }>({ ...IDLE, of });
  const key = ask === undefined ? undefined : JSON.stringify(ask);
  // before anything is painted, so that no answer stands for another question
  useLayoutEffect(() => {
    if (ask === undefined) {
      setState({ ...IDLE, of });
      return undefined;
    }
    const aborted = new AbortController();
    const { signal } = aborted;
    setState((before) => ({
      ...IDLE,
      isBusy: true,
      reply: before.of === of ? before.reply : undefined,
      of,
    }));
    const onProgress = (done: number, total: number): void => {
      if (!signal.aborted) setState((before) => ({ ...before, progress: [done, total] }));
    };
    client.run(job, ask, { signal, onProgress }).then(
      (reply) => {
        if (!signal.aborted) setState({ ...IDLE, reply, of });
      },
      (error: unknown) => {
        if (!signal.aborted) setState({ ...IDLE, error: sentOf(error), of });
      },
    );
    return () => aborted.abort();
    // what is asked is compared by its text
  }, [client, job, key, of]);
  return state.of === of ? state : { ...IDLE, isBusy: ask !== undefined };
}

const IDLE = { reply: undefined, isBusy: false, progress: undefined, error: undefined };

/** An error of a job, or of the page itself. */
export function sentOf(error: unknown): SentError {
  if (error instanceof JobError) return error.sent;
  if (error instanceof DOMException && error.name === "AbortError")
    return { name: undefined, message: "Stopped. Change something to compute again." };
  return { name: undefined, message: error instanceof Error ? error.message : String(error) };
}
