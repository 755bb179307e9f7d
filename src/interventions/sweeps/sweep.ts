/**
 * One activation after another put in the place of another, and what the model then says: activation patching (Meng et
 * al. 2022; Zhang & Nanda 2024) and ablation over any product of layers, heads and positions.
 *
 * Of a metric $m$, the run that is changed and the run $x'$ that activations come from: entry $i$ is $m$ of the run in
 * which the activation at place $i$ is that of $x'$. Denoising puts clean activations into the corrupted run, noising
 * corrupted ones into the clean run.
 */
import type { Join } from "../../axes.ts";
import { requireKind, requireObject } from "../../errors.ts";
import type { HookName, MetricLike, Transformer } from "../../model/index.ts";
import { baseRun, partialPass, Readout, requireChoice, requireSeed, siteOfHook } from "../../model/internal.ts";
import type { PartialSite } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Grid } from "./grid.ts";
import { settingOf, sweepOf } from "./prompts.ts";
import type { SweepMask, SweepPrompts } from "./prompts.ts";
import type { Sweep } from "./result.ts";
import { requireReplacement, Sources } from "./sources.ts";
import type { Replacement } from "./sources.ts";

/**
 * What {@link sweep} changes, and how it measures what that does.
 * @category Interventions
 */
export interface SweepOptions<Over extends string> extends ProgressOptions {
  /**
   * The axes of the result, as `"layer pos"`, from `layer`, `head`, `pos` and, of patterns and scores, `query_pos` and
   * `key_pos`. Along an axis that is not among them all is changed at once.
   */
  readonly over: Over;
  /** What is measured: a metric, or a function of the logits. */
  readonly metric: MetricLike;
  /** What is put in: `"copy"`, of the other run, where there is one; otherwise say it. */
  readonly put?: Replacement | undefined;
  /** `"denoising"` (the default): clean activations into the corrupted run; `"noising"`: corrupted into the clean. */
  readonly direction?: "denoising" | "noising" | undefined;
  /** Whether later heads look where they then would (`"recomputed"`, the default) or where they did (`"kept"`). */
  readonly patterns?: "recomputed" | "kept" | undefined;
  /** The layers, all unless given. */
  readonly layers?: readonly number[] | undefined;
  /** The heads of a layer, all unless given. */
  readonly heads?: readonly number[] | undefined;
  /** The positions, of patterns and scores those of queries; all unless given, negative ones counted from the end. */
  readonly positions?: readonly number[] | undefined;
  /** The keys of patterns and scores, all unless given. */
  readonly keys?: readonly number[] | undefined;
  /** Of `"resample"`. */
  readonly seed?: number | undefined;
  /** Which positions are text and which are padding; all are text unless given. */
  readonly attentionMask?: SweepMask | undefined;
}

const KNOWN = "at over metric put direction patterns layers heads positions keys seed attentionMask signal onProgress";

/**
 * Measures a metric once for each of many changes of a run: the whole family of TransformerLens's `get_act_patch_*`,
 * and ablations. Only what a change reaches is computed anew.
 *
 * @param prompts - clean and corrupted ones, as many of each, or the prompts of an ablation alone.
 * @param options - `at`, what is changed, by the name of its hook without `hook_`: `resid_pre`, `resid_mid`,
 * `resid_post`, `attn_out`, `mlp_out`, of heads `q`, `k`, `v`, `attn_scores`, `pattern`, `z`, `result`; a list gives
 * the result an axis `hook` in front. `over`, `metric`, `put`, `direction`, `patterns`, `layers`, `heads`, `positions`,
 * `keys`, `seed`, `attentionMask`, `signal`, `onProgress` (in changes).
 * @throws {@link InputError} for prompts the model cannot run or that do not match, axes or places that what is changed
 * has not, a metric that reads padding, or a replacement that would change nothing or put padding where there is text;
 * the signal's reason when aborted.
 * @category Interventions
 * @example
 * ```ts
 * import { headLabel, repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { sweep } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, batch: 2, seed: 0, bos: 0 });
 * const metric = crossEntropy(tokens);
 * const ablation = sweep(model, tokens, { at: "z", over: "layer head", put: "zero", metric });
 * console.log(String(ablation));
 * // Sweep[layer=2 head=8] of loss, z set to zero, from 3.86
 * const [worst] = ablation.largest(1);
 * console.log(worst?.at);
 * // { layer: 0, head: 5 }
 * ```
 * @example
 * Prompts of different lengths: padded to one, with the mask that says what is padding.
 * ```ts
 * import { logitDifference, padPrompts } from "transformer-circuits/model";
 * import { sweep } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { tokens, attentionMask } = padPrompts([[0, 300, 301, 302, 300], [0, 301, 302, 301]]);
 * const options = { at: "z", over: "layer head", put: "zero" } as const;
 * const metric = logitDifference({ answer: [301, 302], wrong: [302, 300] });
 * const { perPrompt } = sweep(model, tokens, { ...options, metric, attentionMask });
 * const alone = sweep(model, [0, 301, 302, 301], { ...options, metric: logitDifference({ answer: 302, wrong: 300 }) });
 * console.log(Math.abs(perPrompt.at(1, 2, 1) - alone.perPrompt.at(1, 2, 0)) < 1e-4);
 * // true
 * ```
 */
export function sweep<Over extends string>(
  model: Transformer,
  prompts: SweepPrompts,
  options: SweepOptions<Over> & { readonly at: PartialSite },
): Sweep<Over>;
export function sweep<Over extends string>(
  model: Transformer,
  prompts: SweepPrompts,
  options: SweepOptions<Over> & { readonly at: readonly PartialSite[] },
): Sweep<Join<"hook", Over>>;
export function sweep(
  model: Transformer,
  prompts: SweepPrompts,
  options: SweepOptions<string> & { readonly at: PartialSite | readonly PartialSite[] },
): Sweep<string> {
  const operation = "sweep";
  requireKind("model", model, "model", operation, options, KNOWN);
  requireObject(options, "options", operation);
  const { at, direction = "denoising", patterns = "recomputed", seed = 0, signal } = options;
  requireChoice(patterns, ["recomputed", "kept"], "patterns", operation);
  requireSeed(seed, operation);
  const { metric, put, from, to, isPaired } = settingOf(model, prompts, { ...options, direction }, operation);
  const sites = typeof at === "string" ? [at] : at;
  const [batch = 0, pos = 0] = to.tokens.shape;
  const grid = new Grid(model.config, sites, typeof at !== "string", pos, options, operation);
  requireReplacement(put, { to, from, sites }, operation);
  const steps = new Steps(options, grid.size);
  const isKept = (name: HookName): boolean => patterns === "kept" && name.endsWith("attn.hook_pattern");
  const isSite = (name: HookName): boolean => sites.some((site) => siteOfHook(name)?.site === site);
  const isOwn = from === to;
  const also = (name: HookName): boolean => isKept(name) || (isOwn && isSite(name));
  const base = baseRun(model, to.tokens, { ...to, signal, also });
  const other = isOwn ? base : baseRun(model, from.tokens, { ...from, signal, also: isSite });
  const readout = new Readout(base, metric);
  const sources = new Sources(other, put, base, seed);
  const perPrompt = new Float64Array(grid.size * batch);
  const variants = Array.from({ length: grid.size }, (_, i) => grid.variant(i, sources));
  partialPass(base, variants, { reads: readout.reads, patterns, signal }, (rows, first, count) => {
    perPrompt.set(readout.values(rows, count), first * batch);
    steps.advance(count);
  });
  return sweepOf({
    what: `${sites.join(", ")} ${WORDS[put]}`,
    metric: metric.name,
    axes: grid.axes.join(" "),
    shape: grid.shape,
    labels: grid.labels,
    perPrompt,
    base: readout,
    other: isPaired ? new Readout(other, metric) : undefined,
  });
}

const WORDS: Readonly<Record<Replacement, string>> = {
  copy: "copied from the other run",
  zero: "set to zero",
  mean: "set to its mean over prompts",
  meanOverAll: "set to its mean over prompts and positions",
  resample: "taken from another prompt",
};
