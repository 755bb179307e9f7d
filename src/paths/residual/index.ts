/**
 * *Who wrote what into the residual stream?*
 *
 * $x_L = x_0 + \sum_{l, h} r^{l, h}$, and a logit is $\mathrm{norm}(x_L) W_U$. Source: *A Mathematical Framework for
 * Transformer Circuits*, "Residual stream"; TransformerLens, `decompose_resid`, `accumulated_resid`, `logit_attrs`.
 *
 * In reading order: `residual-decomposition.ts`, `logit-attribution.ts`, `logit-lens.ts`, `translators.ts`.
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
export { logitLens } from "./logit-lens.ts";
export type { LogitLens, LogitLensOptions } from "./logit-lens.ts";
export { fitTranslators } from "./translators.ts";
export type { FitTranslatorsOptions, Translator } from "./translators.ts";
