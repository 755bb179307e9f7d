/**
 * The entry `transformer-circuits/queue`: sweeps on a queue of BullMQ, whose workers may be anywhere. It alone asks for
 * the optional packages `bullmq` and `ioredis`, when it is called.
 *
 * In reading order: `on-queue.ts` (who gives jobs), `serve-queue.ts` (who does them), `bullmq.ts` (what they use).
 *
 * @packageDocumentation
 */
export type { QueueConnection } from "./bullmq.ts";
export { onQueue } from "./on-queue.ts";
export type { QueueJobsOptions } from "./on-queue.ts";
export { serveQueue } from "./serve-queue.ts";
export type { ServeQueueOptions } from "./serve-queue.ts";
