/**
 * *Who wrote what into the residual stream?*
 *
 * $x_L = x_0 + \sum_{l, h} r^{l, h}$, and a logit is $\mathrm{norm}(x_L) W_U$. Source: *A Mathematical Framework for
 * Transformer Circuits*, "Residual stream"; TransformerLens, `decompose_resid`, `accumulated_resid`, `logit_attrs`.
 *
 * In reading order: `residual-decomposition.ts`, `logit-attribution.ts`, `logit-lens.ts`.
 */
export { accumulatedResid, decomposeResid } from "./residual-decomposition.ts";
export type {
  AccumulatedOptions,
  DecomposeOptions,
  NormHandling,
  ResidDecomposition,
} from "./residual-decomposition.ts";
export { logitAttribution } from "./logit-attribution.ts";
export type { LogitAttribution, LogitAttributionOptions } from "./logit-attribution.ts";
export { fitTranslators, logitLens } from "./logit-lens.ts";
export type { FitTranslatorsOptions, LogitLens, LogitLensOptions, Translator } from "./logit-lens.ts";
