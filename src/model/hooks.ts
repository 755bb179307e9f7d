/**
 * Hook points: every activation of the forward pass under the name TransformerLens 3.x gives it, with its axes as a
 * type.
 */
import { InputError, requireObject } from "../errors.ts";
import { editDistance } from "../nearest.ts";
import type { Tensor } from "../tensor/index.ts";
import { requireSizes } from "./config.ts";
import type { ModelConfig } from "./model-config.ts";

/**
 * The axes of each hook inside a layer, without the `blocks.{layer}.`.
 * @inline
 */
interface LayerHooks {
  hook_resid_pre: "batch pos d_model";
  hook_attn_in: "batch pos head d_model";
  hook_q_input: "batch pos head d_model";
  hook_k_input: "batch pos head d_model";
  hook_v_input: "batch pos head d_model";
  "ln1.hook_scale": "batch pos scale";
  "ln1.hook_normalized": "batch pos d_model";
  "attn.hook_q": "batch pos head d_head";
  "attn.hook_k": "batch pos head d_head";
  "attn.hook_v": "batch pos head d_head";
  "attn.hook_rot_q": "batch pos head d_head";
  "attn.hook_rot_k": "batch pos head d_head";
  "attn.hook_attn_scores": "batch head query_pos key_pos";
  "attn.hook_pattern": "batch head query_pos key_pos";
  "attn.hook_z": "batch pos head d_head";
  "attn.hook_result": "batch pos head d_model";
  hook_attn_out: "batch pos d_model";
  hook_resid_mid: "batch pos d_model";
  hook_mlp_in: "batch pos d_model";
  "ln2.hook_scale": "batch pos scale";
  "ln2.hook_normalized": "batch pos d_model";
  "mlp.hook_pre": "batch pos d_mlp";
  "mlp.hook_pre_linear": "batch pos d_mlp";
  "mlp.hook_mid": "batch pos d_mlp";
  "mlp.ln.hook_scale": "batch pos scale";
  "mlp.ln.hook_normalized": "batch pos d_mlp";
  "mlp.hook_post": "batch pos d_mlp";
  hook_mlp_out: "batch pos d_model";
  hook_resid_post: "batch pos d_model";
}

/**
 * The axes of each hook outside the layers.
 * @inline
 */
interface ModelHooks {
  hook_tokens: "batch pos";
  hook_embed: "batch pos d_model";
  hook_pos_embed: "batch pos d_model";
  "ln_final.hook_scale": "batch pos scale";
  "ln_final.hook_normalized": "batch pos d_model";
  "unembed.hook_in": "batch pos d_model";
  "unembed.hook_out": "batch pos d_vocab";
}

/**
 * The name of a hook point, as TransformerLens 3.x has it: `blocks.0.attn.hook_pattern`, `hook_embed`,
 * `ln_final.hook_scale`.
 * @category Model
 */
export type HookName = keyof ModelHooks | `blocks.${number}.${keyof LayerHooks}`;

/**
 * The axes of the activation at a hook point: `AxesOfHook<"blocks.0.attn.hook_z">` is `"batch pos head d_head"`.
 * @category Model
 */
export type AxesOfHook<N extends HookName> = N extends keyof ModelHooks
  ? ModelHooks[N]
  : N extends `blocks.${number}.${infer H}`
    ? H extends keyof LayerHooks
      ? LayerHooks[H]
      : never
    : never;

/**
 * A change of one activation: takes the value at the hook, returns the value to go on with, of the same axes and sizes.
 * @category Model
 */
export type Edit<N extends HookName = HookName> = (value: Tensor<AxesOfHook<N>>, name: N) => Tensor<AxesOfHook<N>>;

/**
 * Changes to make during a run, by hook name; `editAt` and `combineEdits` make them of names known at run time.
 * @category Model
 */
export type Edits = { readonly [N in HookName]?: Edit<N> };

/** Names of the hooks of an MLP and of what it reads and writes; there is no stream between where both are parallel. */
function mlpHookNames(config: ModelConfig): (keyof LayerHooks)[] {
  return [
    ...(config.parallel_attn_mlp === true ? [] : (["hook_resid_mid"] as const)),
    "hook_mlp_in",
    ...(config.normalization_type === null ? [] : (["ln2.hook_scale", "ln2.hook_normalized"] as const)),
    "mlp.hook_pre",
    ...(config.gated_mlp === true ? (["mlp.hook_pre_linear"] as const) : []),
    ...(config.act_fn === "solu_ln" ? (["mlp.hook_mid", "mlp.ln.hook_scale", "mlp.ln.hook_normalized"] as const) : []),
    "mlp.hook_post",
    "hook_mlp_out",
  ];
}

/** Names of the hooks of one layer in the order in which they fire, for a configuration. */
function layerHookNames(config: ModelConfig): (keyof LayerHooks)[] {
  const hasNorm = config.normalization_type !== null;
  return [
    "hook_resid_pre",
    ...(config.n_key_value_heads === undefined ? (["hook_attn_in"] as const) : []),
    "hook_q_input",
    "hook_k_input",
    "hook_v_input",
    ...(hasNorm ? (["ln1.hook_scale", "ln1.hook_normalized"] as const) : []),
    "attn.hook_q",
    "attn.hook_k",
    "attn.hook_v",
    ...(config.positional_embedding_type === "rotary" ? (["attn.hook_rot_q", "attn.hook_rot_k"] as const) : []),
    "attn.hook_attn_scores",
    "attn.hook_pattern",
    "attn.hook_z",
    "attn.hook_result",
    "hook_attn_out",
    ...(config.attn_only ? [] : mlpHookNames(config)),
    "hook_resid_post",
  ];
}

/**
 * The names of all hook points of a model, in the order in which they fire.
 *
 * @throws {@link ConfigError} when a size of the configuration is not a whole number, or it has more than 100,000
 * layers.
 * @category Model
 * @example
 * ```ts
 * import { hookNames } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(hookNames(model.config).slice(0, 4).join(" "));
 * // hook_tokens hook_embed hook_pos_embed blocks.0.hook_resid_pre
 * ```
 */
export function hookNames(config: ModelConfig): HookName[] {
  requireObject(config, "config", "hookNames");
  requireSizes(config, "hookNames");
  const hasPositions = ["standard", "shortformer"].includes(config.positional_embedding_type);
  const hasFinalNorm = config.normalization_type !== null;
  const names: HookName[] = ["hook_tokens", "hook_embed", ...(hasPositions ? (["hook_pos_embed"] as const) : [])];
  for (let layer = 0; layer < config.n_layers; layer++) {
    for (const name of layerHookNames(config)) names.push(`blocks.${layer}.${name}`);
  }
  if (hasFinalNorm) names.push("ln_final.hook_scale", "ln_final.hook_normalized");
  names.push("unembed.hook_in", "unembed.hook_out");
  return names;
}

/** A hook's name without its place: `pattern` of `blocks.0.attn.hook_pattern`. */
export function hookStem(name: string): string {
  return name.replace(/^.*\./, "").replace(/^hook_/, "");
}

/** The error for a hook name that the model does not have, with the nearest that it has. */
export function noSuchHook(name: string, names: readonly string[], operation: string): InputError {
  const stem = hookStem(String(name));
  // A hook of the same name in another place comes before all that are spelled alike.
  const distanceOf = (candidate: string): number =>
    editDistance(String(name), candidate) - (hookStem(candidate) === stem ? names.length + 1000 : 0);
  const distances = new Map(names.map((candidate) => [candidate, distanceOf(candidate)]));
  const nearest = [...names].sort((a, b) => (distances.get(a) ?? 0) - (distances.get(b) ?? 0)).slice(0, 3);
  return new InputError(
    `there is no hook "${String(name)}" in this model. The nearest are ${nearest.map((n) => `"${n}"`).join(", ")}; hookNames(model.config) lists all ${names.length}.`,
    { operation, argument: "name", expected: names, actual: name },
  );
}
