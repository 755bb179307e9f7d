/** The prompts of a sweep, and what their metric comes to. */
import { InputError, requireObject } from "../../errors.ts";
import { toTokenTensor } from "../../model/index.ts";
import type { AttentionMask, Metric, MetricLike, PaddingMask, TokensLike, Transformer } from "../../model/index.ts";
import { metricOf, paddingMask, requireChoice, requireMetricOf, requireNoPadding } from "../../model/internal.ts";
import type { Readout } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { meanOf } from "../../tensor/internal.ts";
import { Sweep } from "./result.ts";
import { REPLACEMENTS } from "./sources.ts";
import type { Replacement } from "./sources.ts";

/**
 * Prompts of a sweep: those that the model should answer, and others of the same lengths, position by position, that it
 * should answer otherwise; or the former alone.
 * @category Interventions
 */
export type SweepPrompts = TokensLike | { readonly clean: TokensLike; readonly corrupted?: TokensLike | undefined };

/**
 * Which positions of a sweep's prompts are text (1) and which are padding (0), as a run takes it: of clean and
 * corrupted prompts alike, or of each by itself.
 * @category Interventions
 */
export type SweepMask =
  AttentionMask | { readonly clean?: AttentionMask | undefined; readonly corrupted?: AttentionMask | undefined };

/** Prompts of a run, and what of them is padding, as it is given and checked. */
export interface MaskedPrompts {
  readonly tokens: Tensor<"batch pos">;
  readonly attentionMask: AttentionMask | undefined;
  readonly mask: PaddingMask | undefined;
}

/** Both kinds of prompts with their masks. */
function maskedPrompts(
  model: Transformer,
  prompts: SweepPrompts,
  given: SweepMask | undefined,
  operation: string,
): { readonly clean: MaskedPrompts; readonly corrupted: MaskedPrompts | undefined } {
  const isBoth = typeof given === "object" && !Array.isArray(given) && !(given instanceof Tensor);
  if (isBoth) requireObject(given, "attentionMask", operation, "clean corrupted");
  const masks = (isBoth ? given : { clean: given, corrupted: given }) as Exclude<SweepMask, AttentionMask>;
  const { clean, corrupted } = promptsOf(model, prompts, operation);
  const masked = (tokens: Tensor<"batch pos">, attentionMask: AttentionMask | undefined): MaskedPrompts => ({
    tokens,
    attentionMask,
    mask: paddingMask(attentionMask, tokens, operation),
  });
  return {
    clean: masked(clean, masks.clean),
    corrupted: corrupted && masked(corrupted, masks.corrupted),
  };
}

/** Tokens of both kinds of prompts, checked. */
export function promptsOf(
  model: Transformer,
  prompts: SweepPrompts,
  operation: string,
): { readonly clean: Tensor<"batch pos">; readonly corrupted: Tensor<"batch pos"> | undefined } {
  const isPair = typeof prompts === "object" && prompts !== null && "clean" in prompts;
  if (!isPair) return { clean: toTokenTensor(model.config, prompts, operation), corrupted: undefined };
  requireObject(prompts, "prompts", operation, "clean corrupted");
  const clean = toTokenTensor(model.config, prompts.clean, operation);
  if (prompts.corrupted === undefined) return { clean, corrupted: undefined };
  const corrupted = toTokenTensor(model.config, prompts.corrupted, operation);
  const [there, here] = [corrupted.sizeOf("pos"), clean.sizeOf("pos")];
  if (there === here) return { clean, corrupted };
  throw new InputError(
    `clean prompts have ${here} tokens and corrupted ones ${there}; activations are put at the same positions. Give prompts of one length.`,
    { operation, argument: "prompts", expected: here, actual: there },
  );
}

/** What is put where and how that is measured, of every kind of sweep. */
interface SweepSetting {
  readonly metric: MetricLike;
  readonly put?: Replacement | undefined;
  readonly direction: "denoising" | "noising";
  readonly attentionMask?: SweepMask | undefined;
}

/** What a sweep is asked, checked: the runs that activations come from and that are changed, and what is measured. */
export function settingOf(
  model: Transformer,
  prompts: SweepPrompts,
  { metric: given, put = "copy", direction, attentionMask }: SweepSetting,
  operation: string,
): {
  readonly metric: Metric;
  readonly put: Replacement;
  /** The prompts that activations come from. */
  readonly from: MaskedPrompts;
  /** Those of the run that is changed; the same where there are no others. */
  readonly to: MaskedPrompts;
  /** Whether there is another run of as many prompts. */
  readonly isPaired: boolean;
} {
  const metric = metricOf(given, operation);
  requireChoice(put, REPLACEMENTS, "put", operation);
  requireChoice(direction, ["denoising", "noising"], "direction", operation);
  const { clean, corrupted } = maskedPrompts(model, prompts, attentionMask, operation);
  const [from, to] =
    corrupted !== undefined && direction === "denoising" ? [clean, corrupted] : [corrupted ?? clean, clean];
  const [batch, others] = [to.tokens.sizeOf("batch"), from.tokens.sizeOf("batch")];
  requireMetricOf(metric, batch, operation);
  requireNoPadding(metric, to.mask, operation);
  // The metric of the other run is read at the positions of this one.
  const isPaired = from !== to && batch === others && isSameMask(from.mask, to.mask);
  return { metric, put, from, to, isPaired };
}

const isSameMask = (a: PaddingMask | undefined, b: PaddingMask | undefined): boolean =>
  a === b || a?.visible.join() === b?.visible.join();

/** The mean of every so many values. */
function meansOf(values: Float64Array, each: number): Float64Array {
  return Float64Array.from({ length: values.length / each }, (_, i) =>
    meanOf(values.subarray(i * each, (i + 1) * each)),
  );
}

/** What was measured, as a sweep. */
export function sweepOf<A extends string>(found: {
  readonly what: string;
  readonly metric: string;
  readonly axes: A;
  readonly shape: readonly number[];
  readonly labels: Readonly<Record<string, readonly (string | number)[]>>;
  /** `[..., batch]`. */
  readonly perPrompt: Float64Array;
  readonly base: Readout;
  /** Of the run that activations come from, where it is of the same prompts. */
  readonly other: Readout | undefined;
}): Sweep<A> {
  const { what, metric, axes, shape, labels, perPrompt, base, other } = found;
  const batch = base.base.length;
  return new Sweep<string>({
    ...{ what, metric, labels },
    values: Tensor.from(axes, shape, meansOf(perPrompt, batch)),
    perPrompt: Tensor.from(`${axes} batch`, [...shape, batch], perPrompt),
    base: meanOf(base.base),
    other: other === undefined ? undefined : meanOf(other.base),
  }) as unknown as Sweep<A>;
}
