/**
 * Threads that help with large products. They share the kernels' memory and run the same modules; which thread does a
 * part of a product changes no bit of it.
 */
import { InputError, requireOptions } from "../../errors.ts";
import { wasmEngine } from "./engine.ts";
import type { Engine, EngineStart } from "./engine.ts";
import { COUNT, DONE, JOB_KERNELS, KERNEL, MODULES, setHelpers, threadCount, TICKET, TICKET_BITS } from "./jobs.ts";
import { giveBack, JOB, JOB_BYTES, SPACE_BYTES, takeBlock } from "./memory.ts";

/**
 * A worker as Node's `worker_threads`, Deno and browsers have it: what threads need of it.
 * @category Kernels
 */
export interface WorkerLike {
  /** Sends a message to the worker. */
  postMessage(message: unknown): void;
  /** Ends the worker. */
  terminate(): unknown;
  /** Where there is one, the worker does not keep the process alive. */
  unref?(): unknown;
  /** Listens as in Node; where this is missing, `addEventListener` is used. */
  on?(event: "message" | "error", listener: (value: unknown) => void): unknown;
  /** Listens as in browsers. */
  addEventListener?(
    event: "message" | "error",
    listener: (event: { data?: unknown; message?: string }) => void,
  ): unknown;
}

/**
 * What {@link useThreads} takes.
 * @category Kernels
 */
export interface ThreadOptions {
  /**
   * Starts a worker that runs this text as a module, for places where the built-in ways are closed, such as a
   * content-security policy without `blob:` workers.
   */
  readonly createWorker?: (source: string) => WorkerLike;
}

/**
 * What a helper runs. It spins for a moment after each call, since the next often follows at once, then sleeps until it
 * is woken; never for long, so that it ends when its process or its page wants to.
 *
 * The modules for weights and for gradients it compiles when the first job of them comes, from where the main thread
 * has put them in memory; growing by nothing shows it memory as large as it is by then. Where that is refused it leaves
 * such jobs to the others.
 */
const SOURCE = `
const run = ({ tiles, kernels, family, memory, space, names, words }) => {
  const env = { memory };
  const blocks = new WebAssembly.Instance(tiles, { env }).exports;
  const families = { block: blocks[family], blockOfDoubles: blocks[family + "OfDoubles"] };
  const imports = { env, tiles: { ...blocks, ...families } };
  const { exports } = new WebAssembly.Instance(kernels, imports);
  const functions = names.map((name) => exports[name]);
  const ints = new Int32Array(memory.buffer);
  const asked = new Set();
  const add = (word) => {
    const address = Atomics.load(ints, word);
    if (address === 0 || asked.has(word)) return;
    asked.add(word);
    try {
      memory.grow(0);
      const bytes = new Uint8Array(memory.buffer, address, Atomics.load(ints, word + 1)).slice();
      const more = new WebAssembly.Instance(new WebAssembly.Module(bytes), { ...imports, kernels: exports }).exports;
      names.forEach((name, index) => { functions[index] ??= more[name]; });
    } catch {}
  };
  const mask = 2 ** words.bits - 1;
  let idle = 0;
  for (;;) {
    const ticket = Atomics.load(ints, words.ticket);
    const index = ticket & mask;
    if (index >= Atomics.load(ints, words.count) || index === mask) {
      if (++idle > 20000) {
        Atomics.wait(ints, words.ticket, ticket, 100);
        idle = 0;
      }
      continue;
    }
    const kernel = Atomics.load(ints, words.kernel);
    if (functions[kernel] === undefined) words.modules.forEach(add);
    if (functions[kernel] === undefined) {
      Atomics.wait(ints, words.ticket, ticket, 100);
      continue;
    }
    if (Atomics.compareExchange(ints, words.ticket, ticket, ticket + 1) !== ticket) continue;
    idle = 0;
    functions[kernel](words.job + index * words.jobBytes, space);
    Atomics.add(ints, words.done, 1);
  }
};
const threads = typeof process === "object" ? process.getBuiltinModule?.("node:worker_threads") : undefined;
if (threads !== undefined && threads.parentPort !== null) {
  const { parentPort } = threads;
  parentPort.once("message", (start) => { parentPort.postMessage("ready"); run(start); });
} else {
  onmessage = ({ data }) => { postMessage("ready"); run(data); };
}
`;

interface Helper {
  readonly worker: WorkerLike;
  readonly space: number;
}

let team: Helper[] = [];

interface Surroundings {
  readonly process?: {
    getBuiltinModule?(
      name: string,
    ): { readonly Worker: new (source: string, options: { eval: true }) => WorkerLike } | undefined;
  };
  readonly crossOriginIsolated?: boolean;
  readonly Worker?: new (url: string, options: { type: "module" }) => WorkerLike;
  readonly Blob?: new (parts: string[], options: { type: string }) => object;
  readonly URL?: { createObjectURL(blob: object): string };
}

const refused = (why: string): InputError =>
  new InputError(`${why} One thread goes on computing.`, { operation: "useThreads", argument: "count" });

function createWorker(source: string): WorkerLike {
  const { process, Worker, Blob, URL } = globalThis as unknown as Surroundings;
  // Node's and Deno's: a web worker would keep a Deno process alive.
  const threads = process?.getBuiltinModule?.("node:worker_threads");
  if (threads !== undefined) return new threads.Worker(source, { eval: true });
  if (Worker === undefined || Blob === undefined || URL === undefined) {
    throw refused("there are no workers here; pass createWorker.");
  }
  return new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
}

/** Starts a worker and waits until it runs. */
function start(engine: Engine, create: (source: string) => WorkerLike): Promise<Helper> {
  const space = takeBlock(engine.heap, SPACE_BYTES);
  if (space === undefined) throw refused("there is no memory left for another thread's working space.");
  let worker: WorkerLike;
  try {
    worker = create(SOURCE);
  } catch (error) {
    giveBack(engine.heap, space, SPACE_BYTES);
    throw error instanceof InputError ? error : refused(`a worker was refused: ${String(error)}.`);
  }
  const words = {
    ticket: TICKET,
    count: COUNT,
    done: DONE,
    kernel: KERNEL,
    modules: Object.values(MODULES),
    bits: TICKET_BITS,
    job: JOB,
    jobBytes: JOB_BYTES,
  };
  return new Promise((resolve, reject) => {
    const fail = (what: unknown): void => {
      giveBack(engine.heap, space, SPACE_BYTES);
      reject(refused(`a worker was refused: ${String(what)}.`));
    };
    const ready = (): void => {
      worker.unref?.();
      resolve({ worker, space });
    };
    if (worker.on === undefined) {
      worker.addEventListener?.("message", ready);
      worker.addEventListener?.("error", (event) => fail(event.message ?? "no reason was given"));
    } else {
      worker.on("message", ready);
      worker.on("error", fail);
    }
    const { tiles, kernels, family }: EngineStart = engine.start;
    worker.postMessage({ tiles, kernels, family, memory: engine.heap.memory, space, names: JOB_KERNELS, words });
  });
}

/**
 * Makes large products, attention and questions to the rows of products run on so many threads from now on; 1 is this
 * thread alone, as at the start. Results are the same to the bit, whatever the number.
 *
 * Other threads need shared memory: they start in Node, in Deno and in pages that are cross-origin isolated.
 *
 * @param count - all threads, this one among them.
 * @returns the number of threads that compute now.
 * @throws {@link InputError} when the number is not a positive integer up to 64, or threads cannot be started here;
 * those that ran before go on.
 * @category Kernels
 * @example
 * ```ts
 * import { useThreads } from "transformer-circuits";
 * import { kernelInfo } from "transformer-circuits/tensor";
 *
 * await useThreads(2);
 * console.log(kernelInfo().threads);
 * // 2
 * await useThreads(1);
 * ```
 */
export async function useThreads(count: number, options: ThreadOptions = {}): Promise<number> {
  requireOptions(options, "useThreads", "createWorker");
  if (!Number.isInteger(count) || count < 1 || count > 64) {
    throw new InputError(`${count} is not a number of threads; it takes 1 to 64.`, {
      operation: "useThreads",
      argument: "count",
      expected: [1, 64],
      actual: count,
    });
  }
  const engine = wasmEngine();
  if (count > 1) {
    const { crossOriginIsolated } = globalThis as unknown as Surroundings;
    if (engine === undefined) throw refused("threads need WebAssembly, which was refused here.");
    if (!engine.heap.isShared || crossOriginIsolated === false) {
      throw refused(
        "threads need shared memory, which pages have only if they are cross-origin isolated (headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp).",
      );
    }
    const missing = Math.max(0, count - 1 - team.length);
    const outcomes = await Promise.allSettled(
      Array.from({ length: missing }, async () => start(engine, options.createWorker ?? createWorker)),
    );
    for (const outcome of outcomes) if (outcome.status === "fulfilled") team.push(outcome.value);
    setHelpers(team.length);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
  const leaving = team.slice(count - 1);
  team = team.slice(0, count - 1);
  setHelpers(team.length);
  for (const { worker, space } of leaving) {
    await worker.terminate();
    if (engine !== undefined) giveBack(engine.heap, space, SPACE_BYTES);
  }
  return threadCount();
}
