/** What jobs/ lends to the other folders of src/ and is no part of the package. */
export { KINDS } from "./kinds/index.ts";
export { checkFolder, checkText, checkTruth, requireFiles, savedPath, textOf } from "./kinds/files.ts";
export { FOUND, SCORES } from "./kinds/head-scores.ts";
export { refusePlan, requireWhole } from "./kinds/kind.ts";
export type { Settings } from "./kinds/kind.ts";
export { errorOf, JobsInProcess, PLAN } from "./run-jobs.ts";
export { lineHead, linesOf } from "./rows.ts";
export type { LineHead } from "./rows.ts";
export { jobsOfShard } from "./shards.ts";
