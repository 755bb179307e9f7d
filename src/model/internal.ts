/** What model/ lends to the other folders of src/ and is no part of the package. */
export { maskOf, RUN, traceOf } from "./run.ts";
export { ATTENTION_HEAD } from "./attention.ts";
export type { Trace } from "./run.ts";
export { rotateTo } from "./rotary.ts";
export { hidePaddedKeys, paddingMask } from "./attention-mask.ts";
export { embedTokens, positionalEmbedding } from "./embedding.ts";
export { unembedded } from "./unembedding.ts";
export {
  attentionScores,
  headResults,
  normalizePerHead,
  overHeads,
  perHead,
  project,
  weightValues,
  writeHeads,
} from "./head-products.ts";
export { baseRun, siteHook, siteOfHook } from "./base-run.ts";
export type { BaseRun, Change, PartialSite, Variant } from "./base-run.ts";
export { asStream, headInputs } from "./partial-inputs.ts";
export { partialPass } from "./partial-pass.ts";
export type { PassOptions } from "./partial-pass.ts";
export type { Rows } from "./partial-rows.ts";
export { Readout } from "./partial-readout.ts";
export { resolveEdits } from "./edits.ts";
export { derivativeOf } from "./edit-derivatives.ts";
export { noSuchHook } from "./hooks.ts";
export { checked as checkedEdit } from "./session.ts";
export {
  checkSamples,
  requireChoice,
  requireCount,
  requireFinite,
  requireSameTokens,
  requireSeed,
  requireShare,
  requireToken,
} from "./arguments.ts";
export { foldedReader, normMap, centredOutput } from "./norm-folding.ts";
export type { ReaderName } from "./norm-folding.ts";
export {
  namesOf,
  readFields,
  requireAgreement,
  requireKnownFields,
  unknownFields,
  wrongField,
} from "./config-fields.ts";
export type { Property } from "./config-fields.ts";
export type { ConfigDialect } from "./config-table.ts";
export { bosOf } from "./config.ts";
export { plainIds } from "./tokens.ts";
export { lossesOfRows } from "./loss.ts";
export { runLosses } from "./run-losses.ts";
export { readPositions, requireMetricOf, requireNoPadding, RowMetric, selectLogits, spreadGradient } from "./metric.ts";
export { predictionLoss } from "./metrics/cross-entropy.ts";
export { rowLosses } from "./metrics/rows.ts";
export { metricOf } from "./custom-metric.ts";
export { mlpAdds } from "./mlp.ts";
export { gradientsInto, parameterArrays } from "./gradients.ts";
export { patternOf } from "./pattern.ts";
export { isWindowed, ofEachHead, requireOwnKeys, requireWithinWindow } from "./key-value-heads.ts";
export { finalNormKind, queryKeyValueNames, NAMED_TENSORS } from "./weights.ts";
