/** The kinds of jobs that a plan may name. */
import { ablationJob } from "./ablation.ts";
import { compositionJob } from "./composition.ts";
import { foundHeadsJob, headScoresJob } from "./head-scores.ts";
import type { JobKinds } from "./kind.ts";
import { pathPatchingJob, patchingJob } from "./patching.ts";

export const KINDS: JobKinds = {
  patching: patchingJob,
  "path-patching": pathPatchingJob,
  ablation: ablationJob,
  "head-scores": headScoresJob,
  "found-heads": foundHeadsJob,
  composition: compositionJob,
};
