/** What every long computation takes: a way to stop it and a way to see how far it is. */

/**
 * Options of computations that may take long.
 * @category Circuits
 */
export interface ProgressOptions {
  /**
   * Stops the work between steps by throwing the signal's reason. The work is synchronous: a signal acts when it was
   * aborted before the call or is aborted by `onProgress`.
   */
  readonly signal?: AbortSignal | undefined;
  /** Called after every step with the number of steps done and of steps to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Counts the steps of one computation, reports each, and stops it when asked to. */
export class Steps {
  readonly #options: ProgressOptions;
  readonly #total: number;
  #done = 0;

  constructor(options: ProgressOptions, total: number) {
    this.#options = options;
    this.#total = total;
    options.signal?.throwIfAborted();
  }

  /** One step is done, or so many. */
  advance(count = 1): void {
    if (count === 0) return;
    this.#done += count;
    this.#options.onProgress?.(this.#done, this.#total);
    if (this.#done < this.#total) this.#options.signal?.throwIfAborted();
  }
}

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

/** Lets signals, timers and a page have their turn: without a timer where there is a way, as timers sleep. */
export function turn(): Promise<void> {
  const { setImmediate: soon } = globalThis as { readonly setImmediate?: (then: () => void) => unknown };
  return new Promise((resolve) => {
    if (soon !== undefined) soon(resolve);
    else if (typeof MessageChannel === "function") {
      const { port1, port2 } = new MessageChannel();
      // As pages and all other programs know it.
      (port1 as unknown as { onmessage: () => void }).onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(0);
    } else setTimeout(resolve, 0);
  });
}
