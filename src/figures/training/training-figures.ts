/** Figures: the loss over training, by token index and as a path; drawn from the losses of checkpoints. */
import { logIndexDerivative, lossTrajectory } from "../../heads/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, heatmap, lineChart, scatter } from "../../viz/index.ts";
import type { Captions, Figure, LineSeries } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import type { FigureNeed } from "../input.ts";
import { numbersOf } from "../prompts.ts";
import { comparedTokens, contextScores, LOSS_NEEDS, trainingLosses } from "./training-losses.ts";
import type { TrainingLosses } from "./training-losses.ts";

function steps(data: TrainingLosses): Float64Array {
  return Float64Array.from(data.checkpoints, ({ step }) => step);
}

function ground({ windows, length }: TrainingLosses): string {
  return `On ${windows} ${windows === 1 ? "window" : "windows"} of ${length} tokens.`;
}

/**
 * Draws the mean loss over training.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLossCurve, trainingLosses } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(40);
 * const input = { ...(await openBundledModel()), text };
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(drawLossCurve(await trainingLosses({ ...input, checkpoints })).label);
 * // Loss over training
 * ```
 */
export function drawLossCurve(data: TrainingLosses, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName windows length byIndex uniform losses",
    "await trainingLosses",
    "drawLossCurve",
    captions,
  );
  const count = data.byIndex.sizeOf("pos");
  const values = numbersOf(data.byIndex);
  const y = Float64Array.from(
    data.checkpoints,
    (_, c) => values.slice(c * count, (c + 1) * count).reduce((a, b) => a + b, 0) / count,
  );
  return lineChart({
    title: CURVE_TITLE,
    subtitle: ground(data),
    series: [{ name: "loss", x: steps(data), y }],
    xLabel: data.stepName,
    yLabel: "loss (nats)",
    ...captions,
  });
}

/**
 * Draws the loss by token index over training, as nats below a uniform guess, checkpoints downward: where this grows to
 * the right, models make use of context.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLossByIndex, trainingLosses } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(40);
 * const input = { ...(await openBundledModel()), text };
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(drawLossByIndex(await trainingLosses({ ...input, checkpoints })).kind);
 * // heatmap
 * ```
 */
export function drawLossByIndex(data: TrainingLosses, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName windows length byIndex uniform losses",
    "await trainingLosses",
    "drawLossByIndex",
    captions,
  );
  const rows = data.checkpoints.length;
  const bins = indexBins(data.byIndex.sizeOf("pos"), 40);
  const count = data.byIndex.sizeOf("pos");
  const values = rawData(data.byIndex);
  const cells = new Float64Array(rows * bins.length);
  for (let c = 0; c < rows; c++) {
    for (const [k, { from, to }] of bins.entries()) {
      let sum = 0;
      for (let t = from; t < to; t++) sum += values[c * count + t] as number;
      cells[c * bins.length + k] = data.uniform - sum / (to - from);
    }
  }
  return heatmap({
    title: INDEX_TITLE,
    subtitle: `${ground(data)} Token indices are spaced by their logarithm; each column is the mean of its tokens. A uniform guess loses ln V = ${formatNumber(data.uniform)} nats.`,
    values: { rows, cols: bins.length, data: cells },
    rowLabels: data.checkpoints.map(({ label }) => label),
    columnLabels: bins.map(({ from }) => String(from + 2)),
    xLabel: "token index",
    yLabel: data.stepName,
    legendLabel: "nats below ln V",
    cell: Math.max(6, Math.min(18, Math.floor(420 / rows))),
    ...captions,
  });
}

/** Ranges of entries whose tokens are evenly spaced in the logarithm, each of at least one. */
function indexBins(count: number, most: number): { readonly from: number; readonly to: number }[] {
  const bins: { from: number; to: number }[] = [];
  const ratio = Math.log((count + 2) / 2);
  let from = 0;
  for (let k = 1; k <= most && from < count; k++) {
    const to = Math.min(count, Math.max(from + 1, Math.round(2 * Math.exp((ratio * k) / most)) - 2));
    bins.push({ from, to });
    from = to;
  }
  return bins;
}

/** How far the fit of a slope reaches, as a factor. */
const REACH = 2;
/** At most this many lines in one chart. */
const LINES = 6;

/** Checkpoints evenly spread, first and last among them. */
function spread(count: number): number[] {
  const shown = Math.min(count, LINES);
  return Array.from({ length: shown }, (_, i) => (shown === 1 ? 0 : Math.round((i * (count - 1)) / (shown - 1))));
}

/**
 * Draws the slope of the loss against the logarithm of the token index: how fast a model still learns from its context
 * at each place. Lines for up to six checkpoints.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLossSlope, trainingLosses } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(40);
 * const figure = drawLossSlope(await trainingLosses({ ...(await openBundledModel()), text }));
 * console.log(figure.kind, figure.svg.includes("token index"));
 * // lineChart true
 * ```
 */
export function drawLossSlope(data: TrainingLosses, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName windows length byIndex uniform losses",
    "await trainingLosses",
    "drawLossSlope",
    captions,
  );
  const count = data.byIndex.sizeOf("pos");
  const x = Float64Array.from({ length: count }, (_, t) => Math.log10(t + 2));
  const series: LineSeries[] = spread(data.checkpoints.length).map((c) => ({
    name: data.checkpoints[c]?.label ?? "",
    x,
    y: rawData(logIndexDerivative(data.byIndex.select("checkpoint", c), REACH)),
  }));
  return lineChart({
    title: SLOPE_TITLE,
    subtitle: `${ground(data)} Least squares over tokens within a factor of ${REACH}; below 0 the loss still falls.`,
    series,
    references: [{ value: 0 }],
    xLabel: "log₁₀ of the token index",
    yLabel: "∂ loss / ∂ ln (token index), nats",
    ...captions,
  });
}

/**
 * Draws the in-context learning score over training.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawContextScore, trainingLosses } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(40);
 * const input = { ...(await openBundledModel()), text };
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(
 *   drawContextScore(await trainingLosses({ ...input, checkpoints })).svg.includes(
 *     "token 128 minus that of token 13",
 *   ),
 * );
 * // true
 * ```
 */
export function drawContextScore(data: TrainingLosses, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName windows length byIndex uniform losses",
    "await trainingLosses",
    "drawContextScore",
    captions,
  );
  const { early, late } = comparedTokens(data.length);
  return lineChart({
    title: SCORE_TITLE,
    subtitle: `${ground(data)} The loss of token ${late} minus that of token ${early}: the lower, the more context helps.`,
    series: [{ name: "score", x: steps(data), y: contextScores(data) }],
    references: [{ value: 0 }],
    xLabel: data.stepName,
    yLabel: "in-context learning score (nats)",
    ...captions,
  });
}

/**
 * Draws checkpoints as a path through the first two principal components of their per-token losses.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLossPath, trainingLosses } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(40);
 * const input = { ...(await openBundledModel()), text };
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(drawLossPath(await trainingLosses({ ...input, checkpoints })).kind);
 * // scatter
 * ```
 */
export function drawLossPath(data: TrainingLosses, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName windows length byIndex uniform losses",
    "await trainingLosses",
    "drawLossPath",
    captions,
  );
  const { points, variance } = lossTrajectory(data.losses);
  const percent = (c: number): string => `${formatNumber(100 * variance.at(c), { decimals: 0 })} %`;
  const last = data.checkpoints.length - 1;
  return scatter({
    title: PATH_TITLE,
    subtitle: `${ground(data)} A point for each checkpoint, from ${data.checkpoints[0]?.label ?? ""} to ${data.checkpoints[last]?.label ?? ""}; the components hold ${percent(0)} and ${percent(1)} of the variance over checkpoints.`,
    points: data.checkpoints.map(({ label }, s) => ({
      x: points.at(s, 0),
      y: points.at(s, 1),
      label,
      group: s === 0 ? "first" : s === last ? "last" : "between",
    })),
    xLabel: "first component",
    yLabel: "second component",
    quadrants: false,
    path: true,
    width: 620,
    height: 460,
    ...captions,
  });
}

const CURVE_TITLE = "Loss over training";
const INDEX_TITLE = "Loss by token index over training";
const SLOPE_TITLE = "Slope of the loss against the logarithm of the token index";
const SCORE_TITLE = "In-context learning score over training";
const PATH_TITLE = "The path of per-token losses through training";
const SOURCE = "In-context Learning and Induction Heads";

/** The list's entries. */
export function trainingEntries(): readonly FigureEntry<TrainingLosses>[] {
  const several: readonly FigureNeed[] = [...LOSS_NEEDS, "checkpoints"];
  const entry = (
    name: string,
    title: string,
    draw: (data: TrainingLosses, captions?: Captions) => Figure,
    needs = several,
  ): FigureEntry<TrainingLosses> => ({
    name,
    number: 25,
    title,
    source: SOURCE,
    needs,
    takesCheckpoints: true,
    output: "svg",
    make: trainingLosses,
    draw,
  });
  return [
    entry("loss-curve", CURVE_TITLE, drawLossCurve),
    entry("loss-by-index", INDEX_TITLE, drawLossByIndex),
    entry("loss-slope", SLOPE_TITLE, drawLossSlope, LOSS_NEEDS),
    entry("context-score", SCORE_TITLE, drawContextScore),
    entry("loss-path", PATH_TITLE, drawLossPath),
  ];
}
