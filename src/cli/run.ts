/** What commands have in common: a spinner on a terminal, a cancel, errors in words, the exit status. */
import { CircuitsError } from "../errors.ts";

/** The exit status of a command that was cancelled. */
export const CANCELLED = 130;

/** What a command's work is given. */
export interface Work {
  readonly signal: AbortSignal;
  /** Shows how far the work is, and at what where that changes, if standard error is a terminal. */
  readonly onProgress: (done: number, total: number, at?: string) => void;
}

/**
 * Does the work and prints what it returns; returns the exit status.
 *
 * @param step - what is being done, beside the spinner.
 * @param cancelled - what is said of a cancel.
 */
export async function runCommand(
  step: string,
  work: (given: Work) => Promise<string>,
  cancelled = "Cancelled; nothing was written.",
): Promise<number> {
  const cancel = new AbortController();
  const onInterrupt = (): void => cancel.abort(new Error("cancelled"));
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onInterrupt);
  const { default: yoctoSpinner } = await import("yocto-spinner");
  const isTerminal = process.stderr.isTTY === true;
  const spinner = yoctoSpinner({ text: step, handleSignals: false });
  if (isTerminal) spinner.start();
  try {
    const text = await work({
      signal: cancel.signal,
      onProgress: (done, total, at = step) => {
        const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
        if (isTerminal) spinner.text = `${String(percent).padStart(3)} %  ${at}`;
      },
    });
    if (isTerminal) spinner.stop();
    process.stdout.write(`${text}\n`);
    return 0;
  } catch (error) {
    if (isTerminal) spinner.stop();
    if (cancel.signal.aborted) {
      process.stderr.write(`${cancelled}\n`);
      return CANCELLED;
    }
    process.stderr.write(`${error instanceof CircuitsError ? `${error.name}: ${error.message}` : String(error)}\n`);
    return 1;
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onInterrupt);
  }
}

/** A number of bytes as people read it. */
export function shownBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}
