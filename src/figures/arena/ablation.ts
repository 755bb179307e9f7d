/** Figures: what the loss on repeated tokens rises by without a head, and with some offsets of it alone. */
import { stepOptions } from "../../progress.ts";
import { ablatedLosses, headAblation, offsetAblatedLosses } from "../../heads/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, headGrid, heatmap, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";
import { repeatsOf } from "../prompts.ts";
import type { Repeats } from "../prompts.ts";

/**
 * Rises of the loss on the second copy of repeated random tokens.
 * @category Figures
 */
export interface AblationRises {
  readonly period: number;
  readonly prompts: number;
  /** The model's own loss there, in nats. */
  readonly clean: number;
  /** `[layer, head]`: the rise when a head gives nothing. */
  readonly zero: Tensor<"layer head">;
  /** `[layer, head]`: the rise when a head gives its mean over prompts. */
  readonly mean: Tensor<"layer head">;
}

const NEEDS: readonly FigureNeed[] = ["layer", "causal", "next token"];

/** Prompts and, for models of many heads, fewer and shorter ones: every head takes a run of its own. */
function promptsFor(input: FigureInput, seed: number | undefined, operation: string): Repeats {
  const { n_layers, n_heads } = input.model.config;
  const many = n_layers * n_heads > 64;
  return repeatsOf(input, { period: many ? 25 : 50, batch: many ? 2 : 6, seed }, operation);
}

/** The first prediction inside the second copy: its first token is left out, which nothing announces. */
const fromOf = ({ period, first }: Repeats): number => Math.min(first + period, 2 * period + first - 2);

/**
 * By how much the loss on the second copy of random tokens rises when each head gives nothing, and when it gives its
 * mean over prompts (ARENA 1.2, "Head ablation").
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens.
 * @category Figures
 * @example
 * ```ts
 * import { ablationRises } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { zero } = ablationRises(await openBundledModel());
 * // The previous-token heads L0H5 and L0H7 are what induction rests on.
 * console.log(zero.at(0, 5) > 0.5, zero.at(0, 7) > 0.5, zero.at(0, 2) < 0.5);
 * // true true true
 * ```
 */
export function ablationRises(input: FigureInput, options: FigureOptions = {}): AblationRises {
  requireNeeds(NEEDS, input, "ablationRises", options);
  const made = promptsFor(input, options.seed, "ablationRises");
  const from = fromOf(made);
  const rises = (value: "zero" | "mean", step: number): ReturnType<typeof headAblation> =>
    headAblation(input.model, made.prompts, { value, from, ...stepOptions(options, step, 2) });
  const [zero, mean] = [rises("zero", 0), rises("mean", 1)];
  return {
    period: made.period,
    prompts: made.prompts.length,
    clean: zero.clean,
    zero: zero.rise,
    mean: mean.rise,
  };
}

/**
 * Draws rises of the loss as two grids of heads, with one scale of colour.
 *
 * @category Figures
 * @example
 * ```ts
 * import { ablationRises, drawAblationRises } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawAblationRises(ablationRises(await openBundledModel())).svg.match(/>(Zero|Mean) ablation/g)?.length);
 * // 2
 * ```
 */
export function drawAblationRises(data: AblationRises, captions: Captions = {}): Figure {
  requireData(data, "period prompts clean zero mean", "ablationRises", "drawAblationRises", captions);
  const limit = largestOf([data.zero, data.mean]);
  const grid = (values: Tensor<"layer head">, title: string): Figure =>
    headGrid({ values, title, limit, scale: "diverging", legendLabel: "nats" });
  return smallMultiples({
    title: RISES_TITLE,
    subtitle: `Rise of the loss on the second copy, ${data.prompts} prompts of ${data.period} random tokens and the same again; the model’s own loss there is ${formatNumber(data.clean)} nats.`,
    ...captions,
    figures: [
      grid(data.zero, "Zero ablation: the head gives nothing"),
      grid(data.mean, "Mean ablation: the head gives its mean over prompts"),
    ],
    columns: 1,
  });
}

function largestOf(all: readonly Tensor[]): number {
  const largest = all
    .flatMap((t) => Array.from(rawData(t)))
    .reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0);
  return largest === 0 ? 1 : largest;
}

/**
 * Rises of the loss when heads read some offsets alone.
 * @category Figures
 */
export interface OffsetRises {
  readonly period: number;
  readonly prompts: number;
  readonly clean: number;
  readonly heads: readonly HeadId[];
  /** What is kept: no offset, one, or several together. */
  readonly kept: readonly (number | "none" | readonly number[])[];
  /** `[head, kept]`: the rise of the loss, in nats. */
  readonly rise: Tensor<"head kept">;
}

const OFFSETS = [0, 1, 2, 3, 4, [1, 2], [1, 2, 3]] as const;

/**
 * By how much the loss on the second copy of random tokens rises when a head reads the values of one relative offset or
 * of several alone, the mean over prompts elsewhere, and of none (ARENA 1.2, ablation by offset). Offsets 0 to 4, and
 * ARENA's 1 and 2, 1 to 3 together; a head that needs only one offset has no rise with it.
 *
 * @param options - `heads`: those of the first layer unless given; `seed` of the tokens; `signal`, `onProgress` (in
 * runs).
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens; {@link InputError} when there is no such head.
 * @category Figures
 * @example
 * ```ts
 * import { offsetRises } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { kept, rise } = offsetRises(await openBundledModel(), { heads: ["L0H5"] });
 * const at = (what: number | "none") => rise.at(0, kept.indexOf(what));
 * console.log(at(1) < 0.2 * at("none"), at(0) > 0.5 * at("none"));
 * // true true
 * ```
 */
export function offsetRises(input: FigureInput, options: FigureOptions = {}): OffsetRises {
  requireNeeds(NEEDS, input, "offsetRises", options);
  const { model } = input;
  const made = promptsFor(input, options.seed, "offsetRises");
  const heads =
    options.heads === undefined
      ? model.layer(0).heads.map(({ layer, head }) => ({ layer, head }))
      : chosenHeads(model, options.heads);
  const kept = [
    "none" as const,
    ...OFFSETS.filter((offset) => Math.max(...keptOffsets(offset)) < 2 * made.period + made.first),
  ];
  const from = fromOf(made);
  const meanFrom = (losses: Tensor<"batch pos">): number => {
    const count = losses.sizeOf("pos");
    const values = Array.from(rawData(losses)).filter((_, t) => t % count >= from);
    return values.reduce((a, b) => a + b, 0) / values.length;
  };
  const clean = meanFrom(ablatedLosses(model, made.prompts, [], { signal: options.signal }));
  const rise = new Float64Array(heads.length * kept.length);
  for (const [h, head] of heads.entries()) {
    for (const [c, what] of kept.entries()) {
      const losses = offsetAblatedLosses(model, made.prompts, head, {
        keep: keptOffsets(what),
        signal: options.signal,
      });
      rise[h * kept.length + c] = meanFrom(losses) - clean;
      options.onProgress?.(h * kept.length + c + 1, rise.length);
    }
  }
  return {
    period: made.period,
    prompts: made.prompts.length,
    clean,
    heads,
    kept,
    rise: Tensor.from("head kept", [heads.length, kept.length], rise),
  };
}

function keptOffsets(what: OffsetRises["kept"][number]): readonly number[] {
  return what === "none" ? [] : typeof what === "number" ? [what] : what;
}

/**
 * Draws rises of the loss by head and by the offset that is kept.
 *
 * @throws ShapeError if there are no heads.
 * @category Figures
 * @example
 * ```ts
 * import { drawOffsetRises, offsetRises } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawOffsetRises(offsetRises(await openBundledModel(), { heads: ["L0H5"] }));
 * console.log(figure.svg.match(/<title>L0H5, 1 back:/g)?.length);
 * // 1
 * ```
 */
export function drawOffsetRises(data: OffsetRises, captions: Captions = {}): Figure {
  requireData(data, "period prompts clean heads kept rise", "offsetRises", "drawOffsetRises", captions);
  const [rows = 0, cols = 0] = data.rise.shape;
  return heatmap({
    title: OFFSETS_TITLE,
    subtitle: `Rise of the loss on the second copy (${data.prompts} prompts of ${data.period} random tokens and the same again) when a head reads some relative offsets alone, the mean over prompts elsewhere. Its own loss there is ${formatNumber(data.clean)} nats.`,
    values: { rows, cols, data: rawData(data.rise) },
    rowLabels: data.heads.map(headLabel),
    columnLabels: data.kept.map((what) =>
      what === "none" ? "none" : what === 0 ? "itself" : `${keptOffsets(what).join(", ")} back`,
    ),
    xLabel: "what the head still reads",
    legendLabel: "nats",
    scale: "diverging",
    showValues: true,
    format: { decimals: 2 },
    cell: 44,
    ...captions,
  });
}

const RISES_TITLE = "Ablation of every head: the rise of the loss on repeated tokens";
const OFFSETS_TITLE = "Which relative offset a head needs";

/** The list's entry. */
export const ablationRisesEntry: FigureEntry<AblationRises> = {
  name: "head-ablation",
  number: 23,
  title: RISES_TITLE,
  source: 'ARENA 1.2, "Head ablation"',
  needs: NEEDS,
  output: "svg",
  make: ablationRises,
  draw: drawAblationRises,
};

/** The list's entry. */
export const offsetRisesEntry: FigureEntry<OffsetRises> = {
  name: "offset-ablation",
  number: 23,
  title: OFFSETS_TITLE,
  source: 'ARENA 1.2, "Head ablation", by relative offset',
  needs: NEEDS,
  output: "svg",
  make: offsetRises,
  draw: drawOffsetRises,
};
