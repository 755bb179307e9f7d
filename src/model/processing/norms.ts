/**
 * Steps that LayerNorm allows: its weights move into what reads through it, and means that it takes out anyway are
 * taken out of weights (A Mathematical Framework for Transformer Circuits, "Handling Layer Normalization";
 * TransformerLens, `fold_layer_norm`, `center_writing_weights`).
 */
import { requireKind } from "../../errors.ts";
import type { ModelConfig, NormalizationType } from "../model-config.ts";
import type { Transformer } from "../transformer.ts";
import { queryKeyValueNames } from "../weights.ts";
import { centered, refused, Workbench } from "./weights.ts";

const FOLDED: Readonly<Record<string, NormalizationType>> = { LN: "LNPre", RMS: "RMSPre" };

function folded(config: ModelConfig): ModelConfig {
  const { normalization_type } = config;
  const without = FOLDED[normalization_type ?? ""];
  return without === undefined ? config : { ...config, normalization_type: without };
}

/**
 * Moves the weights and biases of all norms into the maps that read through them:
 * $W \leftarrow \operatorname{diag}(w) W$ and $b \leftarrow b + b_{ln} W$, for queries, keys, values, MLPs (after SoLU
 * too) and the unembedding; the norms keep only centring and scaling (`LNPre`, `RMSPre`). Maps that read a centred
 * stream are centred as well, which no output can tell. Logits stay as they were, but for rounding.
 *
 * A model without norms, or whose norms have no weights, comes back with nothing to fold.
 *
 * @throws {@link ConfigError} for shortformer positions with norms that have weights: positions are added after the
 * norm, and would be scaled with it.
 * @category Weight processing
 * @example
 * ```ts
 * import { Transformer, expectedWeights, maxAbsDifference, parseConfig } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 * import { foldLayerNorm } from "transformer-circuits/model";
 *
 * const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, attn_only: true });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const model = Transformer.fromWeights(config, weights);
 * const folded = foldLayerNorm(model);
 * console.log(model.config.normalization_type, folded.config.normalization_type);
 * // LN LNPre
 * console.log(maxAbsDifference(model.forward([1, 2, 3]), folded.forward([1, 2, 3])) < 1e-4);
 * // true
 * ```
 */
export function foldLayerNorm(model: Transformer): Transformer {
  requireKind("model", model, "model", "foldLayerNorm");
  const { normalization_type: kind, positional_embedding_type } = model.config;
  if (positional_embedding_type === "shortformer") {
    if (FOLDED[kind ?? ""] === undefined) return model;
    throw refused(
      "foldLayerNorm",
      "positional_embedding_type",
      positional_embedding_type,
      "shortformer positions are added after the norm to what queries and keys are read from, so its weights in W_Q and W_K would scale the positions too. Take the model as it is.",
    );
  }
  const bench = new Workbench(model);
  for (const { layer, ln1, mlp } of model.layers) {
    const at = `blocks.${layer}`;
    const { W_K, b_K, W_V, b_V } = queryKeyValueNames(model.config);
    bench.fold(ln1, `${at}.ln1`, `${at}.attn.W_Q`, `${at}.attn.b_Q`);
    bench.fold(ln1, `${at}.ln1`, `${at}.attn.${W_K}`, `${at}.attn.${b_K}`);
    bench.fold(ln1, `${at}.ln1`, `${at}.attn.${W_V}`, `${at}.attn.${b_V}`);
    if (mlp?.W_gate !== undefined && mlp.ln2?.b?.data.some((x) => x !== 0) === true) {
      throw refused(
        "foldLayerNorm",
        "gated_mlp",
        true,
        `the bias of ln2 in layer ${layer} would be read by the gate of its MLP, which has no bias to take it.`,
      );
    }
    if (mlp?.W_gate !== undefined) bench.fold(mlp.ln2, `${at}.ln2`, `${at}.mlp.W_gate`, undefined);
    bench.fold(mlp?.ln2, `${at}.ln2`, `${at}.mlp.W_in`, `${at}.mlp.b_in`);
    bench.fold(mlp?.ln, `${at}.mlp.ln`, `${at}.mlp.W_out`, `${at}.mlp.b_out`);
  }
  bench.fold(model.ln_final, "ln_final", "unembed.W_U", "unembed.b_U");
  return bench.finish(folded(model.config));
}

/**
 * Takes the mean over `d_model` out of everything that is written to the residual stream: $W_E$, $W_{pos}$ where it is
 * added there, $W_O$, $b_O$, $W_{out}$, $b_{out}$. Every norm takes that mean out itself, so logits stay as they were,
 * but for rounding. Shortformer positions, which are added after the norm, are left alone.
 *
 * @throws {@link ConfigError} where some reader does not centre what it reads: no norms, RMSNorm, or a final RMSNorm.
 * @category Weight processing
 * @example
 * ```ts
 * import { ConfigError } from "transformer-circuits/tensor";
 * import { centerWritingWeights } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * try {
 *   centerWritingWeights(model);
 * } catch (error) {
 *   if (error instanceof ConfigError) console.log(error.argument, error.actual);
 * }
 * // normalization_type null
 * ```
 */
export function centerWritingWeights(model: Transformer): Transformer {
  requireKind("model", model, "model", "centerWritingWeights");
  const { normalization_type: kind, final_rms, positional_embedding_type } = model.config;
  const operation = "centerWritingWeights";
  if (kind === null) {
    throw refused(
      operation,
      "normalization_type",
      kind,
      "without norms, the mean of the residual stream is read like any other direction.",
    );
  }
  if (kind === "RMS" || kind === "RMSPre") {
    throw refused(operation, "normalization_type", kind, "RMSNorm does not take the mean of the residual stream out.");
  }
  if (final_rms) {
    throw refused(
      operation,
      "final_rms",
      true,
      "the final norm is an RMSNorm, which does not take the mean of the residual stream out.",
    );
  }
  const bench = new Workbench(model);
  const written = ["embed.W_E", ...(positional_embedding_type === "standard" ? ["pos_embed.W_pos"] : [])];
  for (const { layer, mlp } of model.layers) {
    written.push(`blocks.${layer}.attn.W_O`, `blocks.${layer}.attn.b_O`);
    if (mlp !== undefined) written.push(`blocks.${layer}.mlp.W_out`, `blocks.${layer}.mlp.b_out`);
  }
  for (const name of written) bench.set(name, centered(bench.get(name), "d_model"));
  return bench.finish(model.config);
}

/**
 * Takes the mean over the vocabulary out of $W_U$ and $b_U$: at every position all logits move by one number, and
 * log-probabilities stay as they were, but for rounding. After it, a direct effect on a logit is one on the logit
 * against the average token.
 *
 * @category Weight processing
 * @example
 * ```ts
 * import { logSoftmax, maxAbsDifference } from "transformer-circuits";
 * import { centerUnembed } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [before, after] = [model, centerUnembed(model)].map((m) => logSoftmax(m.forward([0, 5, 6]), "d_vocab"));
 * if (before === undefined || after === undefined) throw new Error("two models, two results");
 * console.log(maxAbsDifference(before, after) < 1e-4);
 * // true
 * ```
 */
export function centerUnembed(model: Transformer): Transformer {
  requireKind("model", model, "model", "centerUnembed");
  const bench = new Workbench(model);
  for (const name of ["unembed.W_U", "unembed.b_U"]) bench.set(name, centered(bench.get(name), "d_vocab"));
  return bench.finish(model.config);
}
