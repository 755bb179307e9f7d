/** Long work in steps: progress that never goes back, a pause for the event loop between steps, and cancelling. */
import type { ProgressOptions } from "../progress.ts";

/**
 * How far an analysis is.
 * @category Report
 */
export interface ReportProgress {
  /** 0 to 1; never decreases. */
  readonly fraction: number;
  /** What is being computed, in words. */
  readonly step: string;
}

/** What steps are told: whom to tell of progress, and when to stop. */
export interface WorkOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ReportProgress) => void) | undefined;
}

/** Steps of known weights, run one after the other. */
export class Work {
  readonly #total: number;
  readonly #options: WorkOptions;
  #done = 0;
  #shown = 0;

  /** @param total - the sum of the weights of all steps. */
  constructor(total: number, options: WorkOptions) {
    this.#total = total;
    this.#options = options;
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /**
   * Runs one step. The function may await `pause(part)` with the part done, 0 to 1, so that a cancel is noticed in
   * between, and pass `inner` to computations that cannot be awaited, which tell their progress and stop at the signal.
   */
  async step<T>(
    name: string,
    weight: number,
    run: (pause: (part: number) => Promise<void>, inner: ProgressOptions) => T | Promise<T>,
  ): Promise<T> {
    const at = async (part: number): Promise<void> => {
      this.#tell(name, this.#done + weight * Math.min(1, Math.max(0, part)));
      await nextTick();
      this.#options.signal?.throwIfAborted();
    };
    await at(0);
    const result = await run(at, {
      signal: this.#options.signal,
      onProgress: (done, total) => this.#tell(name, this.#done + weight * (done / total)),
    });
    this.#done += weight;
    return result;
  }

  /** The last word: everything is done. */
  finish(): void {
    this.#tell("done", this.#total);
  }

  #tell(step: string, done: number): void {
    this.#shown = Math.max(this.#shown, Math.min(1, done / this.#total));
    this.#options.onProgress?.({ fraction: this.#shown, step });
  }
}

/** Lets timers, input and signals have their turn. */
function nextTick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
