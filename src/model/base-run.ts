/** Runs that others depart from: what is kept of them, and where variants may differ. */
import type { Tensor } from "../tensor/index.ts";
import { paddingMask } from "./attention-mask.ts";
import type { AttentionMask, PaddingMask } from "./attention-mask.ts";
import type { ActivationCache } from "./cache.ts";
import type { HookName } from "./hooks.ts";
import type { Transformer } from "./transformer.ts";

/**
 * Where a variant may differ: a hook of a layer, its name without the prefix `hook_`.
 * @category Interventions
 */
export type PartialSite =
  | "resid_pre"
  | "q"
  | "k"
  | "v"
  | "attn_scores"
  | "pattern"
  | "z"
  | "result"
  | "attn_out"
  | "resid_mid"
  | "mlp_out"
  | "resid_post";

const OF_HEADS: readonly string[] = ["q", "k", "v", "attn_scores", "pattern", "z", "result"];
const OF_STREAM: readonly string[] = ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"];

/** The full name of a site's hook. */
export function siteHook(layer: number, site: PartialSite): HookName {
  return `blocks.${layer}.${OF_HEADS.includes(site) ? "attn." : ""}hook_${site}` as HookName;
}

/** The site of a hook; none where a pass cannot begin there. */
export function siteOfHook(name: HookName): { readonly layer: number; readonly site: PartialSite } | undefined {
  const [, layer, attn, site = ""] = /^blocks\.(\d+)\.(attn\.)?hook_(\w+)$/.exec(name) ?? [];
  if (!(attn === undefined ? OF_STREAM : OF_HEADS).includes(site)) return undefined;
  return { layer: Number(layer), site: site as PartialSite };
}

/** A change of one activation: what is put there, and where. */
export interface Change {
  readonly layer: number;
  readonly site: PartialSite;
  /** An activation of the whole hook, contiguous, of which the chosen part is taken. */
  readonly source: Tensor;
  /** All heads unless given. */
  readonly heads?: readonly number[] | undefined;
  /** All positions unless given; of patterns and scores, those of queries. */
  readonly positions?: readonly number[] | undefined;
  /** Of patterns and scores: all keys unless given. */
  readonly keys?: readonly number[] | undefined;
}

/** A change in one run of a batch. */
export interface Placed {
  readonly run: number;
  readonly change: Change;
}

/** Changes made together. */
export type Variant = readonly Change[];

/** The run that variants depart from. */
export interface BaseRun {
  /** In float32. */
  readonly model: Transformer;
  readonly tokens: Tensor<"batch pos">;
  readonly mask?: PaddingMask | undefined;
  /** With at least the hooks of {@link isNeeded}. */
  readonly cache: ActivationCache;
}

/** The run of a model that variants depart from, with the hooks of {@link isNeeded} and those that are asked for. */
export function baseRun(
  model: Transformer,
  tokens: Tensor<"batch pos">,
  options: {
    readonly also?: ((name: HookName) => boolean) | undefined;
    readonly attentionMask?: AttentionMask | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): BaseRun {
  const { also, attentionMask, signal } = options;
  const inFloat32 = model.inFloat32;
  const { cache } = inFloat32.run(tokens, {
    cache: (name) => isNeeded(name) || also?.(name) === true,
    unembed: "none",
    attentionMask,
    ...(signal === undefined ? {} : { signal }),
  });
  return { model: inFloat32, tokens, mask: paddingMask(attentionMask, tokens, "run"), cache };
}

const NEEDED = /\.(hook_resid_pre|hook_attn_out|hook_mlp_out|hook_resid_post|attn\.hook_(rot_)?[qkvz])$/;

/** Whether a base run has to keep a hook. */
export const isNeeded = (name: HookName): boolean => NEEDED.test(name);
