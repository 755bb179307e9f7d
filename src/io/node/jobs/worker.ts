/** The program of a thread that does jobs: `dist/job-worker.js`, and the command's own file. */
import { isMainThread, workerData } from "node:worker_threads";
import { serveJobs } from "./serve-jobs.ts";
import type { JobThread } from "./serve-jobs.ts";

if (!isMainThread) await serveJobs(workerData as JobThread);
