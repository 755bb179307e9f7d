/**
 * The entry `transformer-circuits/report`: the whole analysis of one model, as data, as a page and in a dozen lines.
 *
 * @module transformer-circuits/report
 */
export { analyse } from "./analysis.ts";
export type { AnalyseOptions } from "./analysis.ts";
export type { ReportTokenizer } from "./corpus.ts";
export { renderReport } from "./page.ts";
export type { ReportProgress } from "./progress.ts";
export { reportJob } from "./report-job.ts";
export { summarise } from "./summary.ts";
export type {
  ByPosition,
  CompositionPair,
  Estimate,
  HeadFacts,
  HeadScoreValues,
  InductionFacts,
  InductionHead,
  LossOnText,
  Moved,
  RepeatedFacts,
  ReportData,
  ReportFoundHeads,
  TextFacts,
  PairEvidence,
  RoleEvidence,
} from "./types.ts";
