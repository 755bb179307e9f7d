/** What io/ lends to the other folders of src/ and is no part of the package. */
export { starterOf, ThreadForJobs } from "./node/jobs/on-threads.ts";
export { errorFrom, errorFromText, plainError } from "./node/jobs/plain-errors.ts";
export type { PlainError } from "./node/jobs/plain-errors.ts";
export { kindsOf, serveJobs } from "./node/jobs/serve-jobs.ts";
export { cannot } from "./node/jobs/shard-files.ts";
export type { JobThread } from "./node/jobs/serve-jobs.ts";
