/** Calls of kernels that take a job: done here, or shared with other threads. */
import { AGREEMENT, JOB, JOB_BYTES, SPACE } from "./memory.ts";
import type { Heap } from "./memory.ts";

/**
 * Kernels that take a job, by the number that stands for them between threads; from `gram` on they are of the module
 * for weights, from `attentionGradients` on of that for gradients.
 */
export const JOB_KERNELS = [
  "multiply",
  "multiplyDoubles",
  "attention",
  "productLosses",
  "add",
  "activate",
  "gram",
  "screenedProduct",
  "packMaps",
  "pairNorms",
  "attentionGradients",
  "linearGradients",
  "lossGradients",
  "normGradients",
] as const;

/** A kernel that takes a job. */
export type JobKernel = (typeof JOB_KERNELS)[number];

/** An engine that runs these kernels. */
export interface Runs<K extends JobKernel> {
  readonly heap: Heap;
  readonly kernels: Readonly<Record<K, (job: number, space: number) => void>>;
}

/** Fields of a job, in the order in which the kernel reads them: integers of 32 bits, or the bits of a float32. */
export type Job = readonly number[];

/**
 * Words at {@link AGREEMENT}: which job is next, of which call; how many there are; how many are done; which kernel.
 */
export const TICKET = AGREEMENT >> 2;
export const COUNT = TICKET + 1;
export const DONE = TICKET + 2;
export const KERNEL = TICKET + 3;
/** The addresses and lengths of the modules for weights and for gradients, once they have been started. */
export const MODULES = { weights: TICKET + 4, gradients: TICKET + 6 } as const;
/**
 * A ticket holds the number of the call above, and the next job in this many bits; all ones where there is none yet.
 */
export const TICKET_BITS = 8;
const CLOSED = 2 ** TICKET_BITS - 1;

let helpers = 0;

/** How many threads compute: this one and those that help it. */
export function threadCount(): number {
  return helpers + 1;
}

/** Sets how many other threads help. */
export function setHelpers(count: number): void {
  helpers = count;
}

function writeJob(ints: Int32Array, job: Job, index: number): void {
  const at = (JOB + index * JOB_BYTES) >> 2;
  for (let i = 0; i < job.length; i++) ints[at + i] = job[i]!;
}

/** One job, on this thread. */
export function runJob<K extends JobKernel>(engine: Runs<K>, kernel: K, job: Job, space: number = SPACE): void {
  writeJob(engine.heap.ints, job, 0);
  engine.kernels[kernel](JOB, space);
}

/**
 * Jobs that do not depend on one another, each done once by whichever thread is free. Helpers take tickets as this
 * thread does, so it waits only for what another has begun.
 */
export function runJobs<K extends JobKernel>(engine: Runs<K>, kernel: K, jobs: readonly Job[]): void {
  const { ints } = engine.heap;
  const call = ((Atomics.load(ints, TICKET) >>> TICKET_BITS) + 1) << TICKET_BITS;
  // Closed first: whoever still looks at the last call's ticket cannot take it for one of this call's.
  Atomics.store(ints, TICKET, call | CLOSED);
  jobs.forEach((job, index) => writeJob(ints, job, index));
  Atomics.store(ints, KERNEL, JOB_KERNELS.indexOf(kernel));
  Atomics.store(ints, COUNT, jobs.length);
  Atomics.store(ints, DONE, 0);
  Atomics.store(ints, TICKET, call);
  Atomics.notify(ints, TICKET);
  for (;;) {
    const index = Atomics.load(ints, TICKET) & CLOSED;
    if (index >= jobs.length) break;
    if (Atomics.compareExchange(ints, TICKET, call | index, call | (index + 1)) !== (call | index)) continue;
    engine.kernels[kernel](JOB + index * JOB_BYTES, SPACE);
    Atomics.add(ints, DONE, 1);
  }
  while (Atomics.load(ints, DONE) < jobs.length);
}
