/** Progress of a figure that is made in several steps. */
import type { ProgressOptions } from "../progress.ts";

/** The options of one of several steps of equal weight, whose progress counts within the whole. */
export function stepOptions(options: ProgressOptions, step: number, steps: number): ProgressOptions {
  const { signal, onProgress } = options;
  return {
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: (done: number, total: number) => onProgress(step * total + done, steps * total),
    }),
  };
}
