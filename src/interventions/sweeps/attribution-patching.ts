/**
 * What a {@link sweep} would find, estimated from one gradient: attribution patching (Nanda 2023; Syed et al. 2023),
 *
 * $$m(x') \approx m(x) + \sum (x' - x) \cdot \frac{\partial m}{\partial x},$$
 *
 * the sum over what a change touches of an activation $x$ of the run that is changed. It is exact where the metric is
 * linear in the activation. With integrated gradients the derivative is the mean over runs whose embedding lies between
 * the two (Sundararajan et al. 2017; Hanna et al. 2024), at the midpoints of as many equal steps.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { editAt, editWithDerivative, gradients } from "../../model/index.ts";
import type { AttentionMask, HookName, Metric, Transformer } from "../../model/index.ts";
import { baseRun, Readout, requireCount, requireSeed, siteHook, siteOfHook } from "../../model/internal.ts";
import type { BaseRun, Change, PartialSite } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import { rawData } from "../../tensor/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Join } from "../../axes.ts";
import { Grid } from "./grid.ts";
import { settingOf, sweepOf } from "./prompts.ts";
import type { SweepPrompts } from "./prompts.ts";
import type { Sweep } from "./result.ts";
import { requireReplacement, Sources } from "./sources.ts";
import type { SweepOptions } from "./sweep.ts";

/**
 * What {@link attributionPatching} estimates: the options of a {@link sweep} whose later heads look where they then
 * would.
 * @category Interventions
 */
export interface AttributionPatchingOptions<Over extends string> extends Omit<SweepOptions<Over>, "patterns"> {
  /** Steps of integrated gradients; 1, the gradient of the run that is changed, unless given. */
  readonly steps?: number | undefined;
}

const KNOWN = "at over metric put direction layers heads positions keys seed attentionMask steps signal onProgress";

/**
 * Estimates what {@link sweep} measures, from one run and one pass back for all changes together.
 *
 * @param prompts - clean and corrupted ones, as many of each, or the prompts of an ablation alone.
 * @param options - as for {@link sweep}, without `patterns`; the metric has a gradient. `steps`, of integrated
 * gradients, between clean and corrupted prompts alone; progress counts them.
 * @returns the estimated metric after each change; `change()` is the estimate itself.
 * @throws {@link InputError} as {@link sweep}, for a metric without a gradient, or steps without corrupted prompts.
 * @category Interventions
 * @example
 * ```ts
 * import { logitDifference } from "transformer-circuits/model";
 * import { attributionPatching, sweep } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = { clean: [0, 5, 6, 7, 5, 6], corrupted: [0, 5, 6, 8, 5, 6] };
 * const metric = logitDifference({ answer: 7, wrong: 8 });
 * const options = { at: "z", over: "layer head", metric } as const;
 * const estimate = attributionPatching(model, prompts, options);
 * console.log(String(estimate));
 * // Sweep[layer=2 head=8] of logit difference, z as the gradient estimates, from -6.50 (there 4.52)
 * console.log(estimate.largest(1)[0]?.at, sweep(model, prompts, options).largest(1)[0]?.at);
 * // { layer: 1, head: 2 } { layer: 1, head: 2 }
 * ```
 */
export function attributionPatching<Over extends string>(
  model: Transformer,
  prompts: SweepPrompts,
  options: AttributionPatchingOptions<Over> & { readonly at: PartialSite },
): Sweep<Over>;
export function attributionPatching<Over extends string>(
  model: Transformer,
  prompts: SweepPrompts,
  options: AttributionPatchingOptions<Over> & { readonly at: readonly PartialSite[] },
): Sweep<Join<"hook", Over>>;
export function attributionPatching(
  model: Transformer,
  prompts: SweepPrompts,
  options: AttributionPatchingOptions<string> & { readonly at: PartialSite | readonly PartialSite[] },
): Sweep<string> {
  const operation = "attributionPatching";
  requireKind("model", model, "model", operation, options, KNOWN);
  requireObject(options, "options", operation);
  const { at, direction = "denoising", seed = 0, signal, steps: count = 1 } = options;
  requireCount(count, "steps", operation);
  requireSeed(seed, operation);
  const { metric, put, from, to, isPaired } = settingOf(model, prompts, { ...options, direction }, operation);
  const sites = typeof at === "string" ? [at] : at;
  const isOwn = from === to;
  const [batch = 0, pos = 0] = to.tokens.shape;
  const grid = new Grid(model.config, sites, typeof at !== "string", pos, options, operation);
  requireReplacement(put, { to, from, sites }, operation);
  if (count > 1 && (isOwn || put !== "copy")) {
    throw new InputError(
      "integrated gradients go from one run to another. Give corrupted prompts too and leave put out, or leave steps out.",
      { operation, argument: "steps", expected: 1, actual: count },
    );
  }
  const steps = new Steps(options, count);
  const isSite = (name: HookName): boolean => sites.some((site) => siteOfHook(name)?.site === site);
  const isKept = (name: HookName): boolean => name === "hook_embed" || isSite(name);
  const base = baseRun(model, to.tokens, { ...to, signal, also: isKept });
  const other = isOwn ? base : baseRun(model, from.tokens, { ...from, signal, also: isKept });
  const readout = new Readout(base, metric);
  const sources = new Sources(other, put, base, seed);
  const slopes = new Slopes(model, metric, base, isSite, to.attentionMask);
  for (let step = 0; step < count; step++) {
    slopes.add(count === 1 ? undefined : { other, share: (step + 0.5) / count });
    steps.advance();
  }
  const perPrompt = new Float64Array(grid.size * batch);
  for (let i = 0; i < grid.size; i++) {
    const effects = readout.base.slice();
    for (const change of grid.variant(i, sources)) slopes.addEffect(change, effects);
    perPrompt.set(effects, i * batch);
  }
  return sweepOf({
    what: `${sites.join(", ")} as ${count === 1 ? "the gradient estimates" : `gradients of ${count} steps estimate`}`,
    metric: metric.name,
    axes: grid.axes.join(" "),
    shape: grid.shape,
    labels: grid.labels,
    perPrompt,
    base: readout,
    other: isPaired ? new Readout(other, metric) : undefined,
  });
}

/** Derivatives of each prompt's metric by activations, summed over steps, and what they make of changes. */
class Slopes {
  readonly #model: Transformer;
  readonly #metric: Metric;
  readonly #base: BaseRun;
  readonly #isSite: (name: HookName) => boolean;
  readonly #attentionMask: AttentionMask | undefined;
  readonly #sums = new Map<HookName, Float64Array>();
  readonly #effects = new Map<string, Float64Array>();
  #steps = 0;

  constructor(
    model: Transformer,
    metric: Metric,
    base: BaseRun,
    isSite: (name: HookName) => boolean,
    attentionMask: AttentionMask | undefined,
  ) {
    this.#model = model;
    this.#metric = metric;
    this.#base = base;
    this.#isSite = isSite;
    this.#attentionMask = attentionMask;
  }

  /** Adds the gradient of the run itself, or of one whose embedding lies between it and another. */
  add(between?: { readonly other: BaseRun; readonly share: number }): void {
    const { tokens, cache } = this.#base;
    const embedding = cache.get("hook_embed");
    const mixed = between && mixture(embedding, between.other.cache.get("hook_embed"), between.share);
    const constant =
      mixed &&
      editWithDerivative<"hook_embed">(
        () => mixed,
        (gradient) => gradient,
      );
    const found = gradients(this.#model, tokens, this.#metric, {
      at: this.#isSite,
      attentionMask: this.#attentionMask,
      ...(constant && { edits: editAt("hook_embed", constant) }),
    });
    this.#steps++;
    for (const name of found.names) {
      const gradient = rawData(found.at(name));
      const sum = this.#sums.get(name) ?? new Float64Array(gradient.length);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (gradient[i] as number);
      this.#sums.set(name, sum);
    }
  }

  /** Adds to each prompt's metric what a change is estimated to do. */
  addEffect(change: Change, to: Float64Array): void {
    const { heads, positions, keys } = change;
    const activation: Tensor = this.#base.cache.get(siteHook(change.layer, change.site));
    const places = this.#placesOf(change, activation);
    const chosen = activation.names.map((axis) => {
      if (axis === "head") return heads && new Set(heads);
      if (axis === "pos" || axis === "query_pos") return positions && new Set(positions);
      return axis === "key_pos" ? keys && new Set(keys) : undefined;
    });
    const shape = placeShape(activation);
    for (const [i, effect] of places.entries()) {
      let rest = i;
      let isChosen = true;
      let prompt = 0;
      for (let a = shape.length - 1; a >= 0; a--) {
        const n = shape[a] as number;
        prompt = rest % n;
        isChosen = isChosen && chosen[a]?.has(prompt) !== false;
        rest = (rest - prompt) / n;
      }
      if (isChosen) to[prompt] = (to[prompt] as number) + effect;
    }
  }

  /** What a whole change is estimated to do at each place: summed over the entries of vectors. */
  #placesOf({ layer, site, source }: Change, activation: Tensor): Float64Array {
    const name = siteHook(layer, site);
    const known = this.#effects.get(name);
    if (known !== undefined) return known;
    const slope = this.#sums.get(name) as Float64Array;
    const [before, after] = [rawData(activation), rawData(source)];
    const out = new Float64Array(placeShape(activation).reduce((a, b) => a * b, 1));
    const width = slope.length / out.length;
    // Gradients are of the mean over prompts.
    const factor = activation.sizeOf("batch") / this.#steps;
    for (let i = 0; i < slope.length; i++) {
      const s = slope[i] as number;
      const at = Math.floor(i / width);
      // Masked scores are -Infinity on both sides, and nothing depends on them.
      if (s !== 0) out[at] = (out[at] as number) + factor * s * ((after[i] as number) - (before[i] as number));
    }
    this.#effects.set(name, out);
    return out;
  }
}

/** The axes along which a change may choose: all of a pattern, all but the entries of vectors of others. */
const placeShape = (t: Tensor): readonly number[] => (t.names.at(-1) === "key_pos" ? t.shape : t.shape.slice(0, -1));

function mixture<A extends string>(a: Tensor<A>, b: Tensor<A>, share: number): Tensor<A> {
  const [x, y] = [rawData(a), rawData(b)];
  const mixed = Float32Array.from(x, (value, i) => value + share * ((y[i] as number) - value));
  return Tensor.from(a.axes, a.shape, mixed);
}
