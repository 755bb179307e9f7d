/** Small parts of the page: figures, errors, progress. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { mount } from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import type { FiguresReply, JobName, SentError, SentFigure } from "../protocol.ts";
import type { Client } from "./client.ts";
import type { JobState } from "./use-job.ts";

/** A figure of the worker, brought to life. */
export function FigureView({ figure }: { readonly figure: SentFigure }): JSX.Element {
  const at = useRef<HTMLDivElement>(null);
  // at once, so that no figure stands for another's numbers
  useLayoutEffect(() => {
    if (at.current === null) return undefined;
    return mount(at.current, figure as unknown as Figure);
  }, [figure]);
  // a wide figure scrolls in its box, which the keyboard has to reach
  return <div class="figure" ref={at} tabIndex={0} role="group" aria-label={figure.label} />;
}

/** An error, whole: the texts of the library say how to mend it. */
export function ErrorView({ error }: { readonly error: SentError }): JSX.Element {
  return (
    <p class="error" role="alert">
      <strong>{error.name ?? "This did not work"}:</strong> {error.message}
    </p>
  );
}

/** How far a job is, with a way to stop it. */
export function Busy({
  client,
  job,
}: {
  readonly client: Client;
  readonly job: Pick<JobState<JobName>, "isBusy" | "progress">;
}): JSX.Element | null {
  if (!job.isBusy) return null;
  const [done, total] = job.progress ?? [];
  return (
    <p class="busy" role="status">
      <span>Computing</span>
      <progress aria-label="progress" {...(total === undefined ? {} : { value: done ?? 0, max: total })} />
      <button type="button" onClick={() => client.stop()}>
        Stop
      </button>
    </p>
  );
}

/** The figures of a job, its sentences, its error, and how far it is. */
export function Answer({
  client,
  job,
}: {
  readonly client: Client;
  readonly job: Omit<JobState<JobName>, "reply"> & { readonly reply: FiguresReply | undefined };
}): JSX.Element {
  return (
    <div class={job.isBusy && job.reply !== undefined ? "answer stale" : "answer"}>
      <Busy client={client} job={job} />
      {job.error && <ErrorView error={job.error} />}
      {job.reply?.notes.map((note) => (
        <p class="note" key={note}>
          {note}
        </p>
      ))}
      {job.reply?.figures.map((figure, i) => (
        <FigureView figure={figure} key={`${figure.kind} ${i}`} />
      ))}
    </div>
  );
}
