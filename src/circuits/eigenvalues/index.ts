/**
 * *Does a head copy, does it match?* Eigenvalues of the full OV and QK circuits.
 *
 * With $\lambda$ the eigenvalues of $W_E W_{OV} W_U$, the copying score is $\sum \lambda / \sum |\lambda|$; they are
 * those of the small matrix $W_O (W_U W_E) W_V$, zeros aside. Source: *A Mathematical Framework for Transformer
 * Circuits*, "Summarizing OV/QK matrices".
 *
 * In reading order: `copying.ts`, `matching.ts` (the scores), `spectrum.ts` (the eigenvalues), `cores.ts` (the small
 * matrices), `null.ts` (what chance gives), `copying-accuracy.ts`, `k-composition-accuracy.ts`, `ov-diagonal.ts` (the
 * same asked of the table itself), `induction-positivity.ts`.
 */
export { bareOVSpectrum, bareQKSpectrum, ovSpectrum, qkSpectrum } from "./spectrum.ts";
export type { Spectrum } from "./cores.ts";
export { scoreNull } from "./null.ts";
export type { SampledScore, ScoreNullOptions } from "./null.ts";
export { copyingScore, copyingScores } from "./copying.ts";
export { matchingScores } from "./matching.ts";
export { copyingAccuracy } from "./copying-accuracy.ts";
export type { CopyingAccuraciesOptions, CopyingAccuracyOptions } from "./copying-accuracy.ts";
export { ovDiagonal } from "./ov-diagonal.ts";
export type { OVDiagonal } from "./ov-diagonal.ts";
export { kCompositionAccuracy } from "./k-composition-accuracy.ts";
export type { KCompositionAccuracyOptions, MatchingSide } from "./k-composition-accuracy.ts";
export { inductionPositivity } from "./induction-positivity.ts";
export type { InductionPositivity, InductionPositivityOptions } from "./induction-positivity.ts";
