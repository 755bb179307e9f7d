/** The worker as the page sees it: a job is a promise that can be cancelled. */
import type { JobName, Jobs, Request, Response, SentError } from "../protocol.ts";

/** Why a job failed, as the worker says it. */
export class JobError extends Error {
  readonly sent: SentError;

  constructor(sent: SentError) {
    super(sent.message);
    this.sent = sent;
  }
}

interface Pending {
  readonly request: Extract<Request, { type: "ask" }>;
  readonly done: (reply: Jobs[JobName]["reply"]) => void;
  readonly failed: (error: unknown) => void;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
}

/** What a job is given beside what it asks. */
export interface JobOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export class Client {
  #worker: Worker;
  #count = 0;
  /** The model that is open, to be opened anew in another worker. */
  #opened: Jobs["open"]["ask"] | undefined;
  readonly #pending = new Map<number, Pending>();

  constructor() {
    this.#worker = this.#start();
  }

  /** Asks the worker; a signal takes the job back unless it has begun. */
  run<J extends JobName>(
    job: J,
    ask: Jobs[J]["ask"],
    { signal, onProgress }: JobOptions = {},
  ): Promise<Jobs[J]["reply"]> {
    const id = ++this.#count;
    const request = { type: "ask", id, job, ask } as Pending["request"];
    return new Promise<Jobs[J]["reply"]>((resolve, reject) => {
      const done = resolve as Pending["done"];
      this.#pending.set(id, { request, done, failed: reject, onProgress });
      signal?.addEventListener("abort", () => {
        if (!this.#pending.delete(id)) return;
        this.#send({ type: "cancel", id });
        reject(signal.reason as Error);
      });
      this.#send(request);
    });
  }

  /**
   * Stops whatever the worker computes, which is in the middle of it and hears nothing: another worker takes its place
   * and opens the model again. All jobs fail with an `AbortError`.
   */
  stop(): void {
    this.#worker.terminate();
    const stopped = [...this.#pending.values()];
    this.#pending.clear();
    this.#worker = this.#start();
    if (this.#opened !== undefined) void this.run("open", this.#opened).catch(() => undefined);
    for (const { failed } of stopped) failed(new DOMException("Stopped.", "AbortError"));
  }

  /** Ends the worker for good. */
  end(): void {
    this.#worker.terminate();
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  /** Starts a worker from a blob, or from its address where a policy of the server allows no blob. */
  #start(kind: WorkerKind = "blob"): Worker {
    const worker = startWorker(kind);
    let isHeard = false;
    worker.addEventListener("message", ({ data }: MessageEvent<Response>) => {
      isHeard = true;
      this.#hear(data);
    });
    worker.addEventListener("error", (event) => {
      if (kind === "blob" && !isHeard) {
        this.#worker = this.#start("address");
        for (const { request } of this.#pending.values()) this.#send(request);
        return;
      }
      const message = `The worker does not run: ${event.message || "its program could not be loaded"}. Reload the page.`;
      for (const { failed } of this.#pending.values()) failed(new JobError({ name: undefined, message }));
      this.#pending.clear();
    });
    return worker;
  }

  #hear(response: Response): void {
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    if (response.type === "progress") {
      pending.onProgress?.(response.done, response.total);
      return;
    }
    this.#pending.delete(response.id);
    if (response.type === "failed") pending.failed(new JobError(response.error));
    else {
      if (pending.request.job === "open") this.#opened = pending.request.ask;
      pending.done(response.reply);
    }
  }
}

interface ScriptPolicy {
  createScriptURL(text: string): string;
}

/** As much of Trusted Types as is used here. */
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy;
}

type WorkerKind = "blob" | "address";

let policy: ScriptPolicy | undefined;

/**
 * Starts the worker from a blob, whose policy is that of this page: it cannot send anything anywhere either. A worker
 * from an address of its own would have the policy that the server gives, which may be none.
 */
function startWorker(kind: WorkerKind): Worker {
  const own = new URL("worker.js", document.baseURI).href;
  const program = `import ${JSON.stringify(own)};`;
  const address = kind === "address" ? own : URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  policy ??= types?.createPolicy("playground", { createScriptURL: (text) => text });
  return new Worker(policy?.createScriptURL(address) ?? address, { type: "module", name: "playground" });
}
