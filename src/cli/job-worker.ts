/** The program of a thread that does jobs: `dist/job-worker.js`. */
import { isMainThread, workerData } from "node:worker_threads";
import type { JobThread } from "../io/internal.ts";
import { serveSweep } from "./job-kinds.ts";

if (!isMainThread) await serveSweep(workerData as JobThread);
