/** The short names of hooks, as in TransformerLens's `get_act_name`, and the axes of the activation at each. */
import { InputError } from "../../errors.ts";
import { nearestNames } from "../../nearest.ts";
import { hookNames } from "../../model/index.ts";
import type { AxesOfHook, HookName, ModelConfig } from "../../model/index.ts";

/** Hooks inside a layer: the name after `blocks.{layer}.`. */
const LAYER_SITES = {
  resid_pre: "hook_resid_pre",
  attn_in: "hook_attn_in",
  q_input: "hook_q_input",
  k_input: "hook_k_input",
  v_input: "hook_v_input",
  ln1_scale: "ln1.hook_scale",
  ln1_normalized: "ln1.hook_normalized",
  q: "attn.hook_q",
  k: "attn.hook_k",
  v: "attn.hook_v",
  rot_q: "attn.hook_rot_q",
  rot_k: "attn.hook_rot_k",
  attn_scores: "attn.hook_attn_scores",
  pattern: "attn.hook_pattern",
  z: "attn.hook_z",
  result: "attn.hook_result",
  attn_out: "hook_attn_out",
  resid_mid: "hook_resid_mid",
  mlp_in: "hook_mlp_in",
  ln2_scale: "ln2.hook_scale",
  ln2_normalized: "ln2.hook_normalized",
  mlp_pre: "mlp.hook_pre",
  mlp_pre_linear: "mlp.hook_pre_linear",
  mlp_mid: "mlp.hook_mid",
  mlp_ln_scale: "mlp.ln.hook_scale",
  mlp_ln_normalized: "mlp.ln.hook_normalized",
  mlp_post: "mlp.hook_post",
  mlp_out: "hook_mlp_out",
  resid_post: "hook_resid_post",
} as const;

/** Hooks outside the layers. */
const MODEL_SITES = {
  tokens: "hook_tokens",
  embed: "hook_embed",
  pos_embed: "hook_pos_embed",
  ln_final_scale: "ln_final.hook_scale",
  ln_final_normalized: "ln_final.hook_normalized",
  unembed_in: "unembed.hook_in",
  logits: "unembed.hook_out",
} as const;

type LayerSites = typeof LAYER_SITES;
type ModelSites = typeof MODEL_SITES;

/**
 * The short name of a hook, `"z"` or `"resid_pre"`: of those inside a layer, the hooks of all layers.
 * @category Interventions
 */
export type HookSite = keyof LayerSites | keyof ModelSites;

/** The axes at a site or hook. */
export type AxesOfSite<S extends HookSite | HookName> = S extends keyof LayerSites
  ? AxesOfHook<`blocks.${number}.${LayerSites[S]}`>
  : S extends keyof ModelSites
    ? AxesOfHook<ModelSites[S]>
    : S extends HookName
      ? AxesOfHook<S>
      : never;

type AxesByHook = { readonly [S in HookSite as (LayerSites & ModelSites)[S]]: AxesOfSite<S> };

const STREAM = "batch pos d_model";
const STREAM_OF_HEADS = "batch pos head d_model";
const HEADS = "batch pos head d_head";
const SCORES = "batch head query_pos key_pos";
const NEURONS = "batch pos d_mlp";
const SCALE = "batch pos scale";

/** The axes of each hook, by its name without the layer. */
const AXES = {
  hook_tokens: "batch pos",
  hook_embed: STREAM,
  hook_pos_embed: STREAM,
  hook_resid_pre: STREAM,
  hook_attn_in: STREAM_OF_HEADS,
  hook_q_input: STREAM_OF_HEADS,
  hook_k_input: STREAM_OF_HEADS,
  hook_v_input: STREAM_OF_HEADS,
  "ln1.hook_scale": SCALE,
  "ln1.hook_normalized": STREAM,
  "attn.hook_q": HEADS,
  "attn.hook_k": HEADS,
  "attn.hook_v": HEADS,
  "attn.hook_rot_q": HEADS,
  "attn.hook_rot_k": HEADS,
  "attn.hook_attn_scores": SCORES,
  "attn.hook_pattern": SCORES,
  "attn.hook_z": HEADS,
  "attn.hook_result": STREAM_OF_HEADS,
  hook_attn_out: STREAM,
  hook_resid_mid: STREAM,
  hook_mlp_in: STREAM,
  "ln2.hook_scale": SCALE,
  "ln2.hook_normalized": STREAM,
  "mlp.hook_pre": NEURONS,
  "mlp.hook_pre_linear": NEURONS,
  "mlp.hook_mid": NEURONS,
  "mlp.ln.hook_scale": SCALE,
  "mlp.ln.hook_normalized": NEURONS,
  "mlp.hook_post": NEURONS,
  hook_mlp_out: STREAM,
  hook_resid_post: STREAM,
  "ln_final.hook_scale": SCALE,
  "ln_final.hook_normalized": STREAM,
  "unembed.hook_in": STREAM,
  "unembed.hook_out": "batch pos d_vocab",
} as const satisfies AxesByHook;

const IN_A_LAYER = /^blocks\.(\d+)\.(.+)$/;

/** The names of the axes at a hook or site; undefined for a name that no model has. */
export function axesAt(name: string): readonly string[] | undefined {
  const suffix = suffixOf(name) ?? IN_A_LAYER.exec(name)?.[2] ?? name;
  return Object.hasOwn(AXES, suffix) ? AXES[suffix as keyof typeof AXES].split(" ") : undefined;
}

/** The name of a site's hooks without the layer. */
function suffixOf(site: string): string | undefined {
  const sites: Readonly<Record<string, string>> = { ...LAYER_SITES, ...MODEL_SITES };
  return Object.hasOwn(sites, site) ? sites[site] : undefined;
}

/** The layer of a hook; undefined outside the layers. */
export function layerOf(name: HookName): number | undefined {
  const layer = IN_A_LAYER.exec(name)?.[1];
  return layer === undefined ? undefined : Number(layer);
}

/** Whether a name is that of a hook or site inside the layers; a site is there once for each. */
export const isLayerSite = (name: string): boolean => Object.hasOwn(LAYER_SITES, name);

/** The hooks of a model that a name stands for, in the order in which they fire. */
export function hooksNamed(name: string, config: ModelConfig, operation: string): HookName[] {
  const suffix = suffixOf(name);
  const names = hookNames(config);
  const found = names.filter(
    (hook) => hook === name || (suffix !== undefined && (IN_A_LAYER.exec(hook)?.[2] ?? hook) === suffix),
  );
  if (found.length > 0) return found;
  if (suffix === undefined) throw noSuchSite(name, operation, names);
  throw new InputError(
    config.n_layers === 0
      ? `a model without layers has no hook "${name}".`
      : `this model has no hook "${name}": ${reasonOf(name, config)}. hookNames(model.config) lists those it has.`,
    { operation, argument: "hook", expected: names, actual: name },
  );
}

/** Why a model has not a hook that others have. */
function reasonOf(site: string, config: ModelConfig): string {
  if (/^rot_/.test(site)) return `its positions are ${config.positional_embedding_type}, not rotary`;
  if (site === "pos_embed") return `its positions are ${config.positional_embedding_type}, which add no embedding`;
  if (/^ln.*_/.test(site) && config.normalization_type === null) return "it has no norms";
  if (config.attn_only) return "it has no MLP";
  if (site === "attn_in") return "its heads share keys and values, which have other inputs than queries";
  if (site === "mlp_pre_linear") return "its MLPs have no gate";
  if (site === "resid_mid") return "its attention and MLP are parallel";
  return `its activation function is ${config.act_fn ?? "none"}`;
}

/** The error for a name that is neither a hook nor a site of any model. */
export function noSuchSite(name: string, operation: string, names: readonly string[] = []): InputError {
  const sites = [...Object.keys(LAYER_SITES), ...Object.keys(MODEL_SITES)];
  const bare = name.replace(/^.*hook_/, "");
  const near = (sites.includes(bare) ? [bare] : nearestNames(bare, [...sites, ...names], 3)).map(
    (other) => `"${other}"`,
  );
  const mend =
    near.length > 1
      ? `The nearest are ${near.join(", ")}.`
      : near.length > 0
        ? `Did you mean ${near[0]}?`
        : `Short names are ${sites.join(", ")}.`;
  return new InputError(`there is no hook "${name}". ${mend}`, {
    operation,
    argument: "hook",
    expected: sites,
    actual: name,
  });
}
