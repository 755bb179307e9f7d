/** Figures: Olsson's evaluators of heads, over training and against each other. */
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { lineChart, scatter, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { EVALUATOR_NEEDS, evaluations } from "./evaluators.ts";
import type { Evaluated, Evaluations } from "./evaluators.ts";
import type { FigureNeed } from "../input.ts";

/** At most this many heads have a line of their own. */
const LINES = 5;

function overTraining(
  data: Evaluations,
  scores: Tensor<"checkpoint layer head">,
  said: { readonly title: string; readonly subtitle: string; readonly yLabel: string },
  captions: Captions,
): Figure {
  const [count = 0, , heads = 0] = scores.shape;
  const values = rawData(scores);
  const size = values.length / count;
  const valueOf = (c: number, at: number): number => values[c * size + at] as number;
  const order = Array.from({ length: size }, (_, at) => at).sort(
    (a, b) => valueOf(count - 1, b) - valueOf(count - 1, a),
  );
  const x = Float64Array.from(data.checkpoints, ({ step }) => step);
  const rest = order.slice(LINES);
  const line = (of: (c: number) => number): Float64Array => Float64Array.from({ length: count }, (_, c) => of(c));
  const others = {
    name: "others",
    x,
    y: line((c) => rest.reduce((s, at) => s + valueOf(c, at), 0) / rest.length),
    band: {
      lower: line((c) => rest.reduce((m, at) => Math.min(m, valueOf(c, at)), Infinity)),
      upper: line((c) => rest.reduce((m, at) => Math.max(m, valueOf(c, at)), -Infinity)),
    },
  };
  const shown = order.slice(0, LINES).map((at) => ({
    name: headLabel({ layer: Math.floor(at / heads), head: at % heads }),
    x,
    y: line((c) => valueOf(c, at)),
  }));
  return lineChart({
    title: said.title,
    subtitle: `${said.subtitle}${rest.length > 0 ? " The highest heads at the end have lines of their own; of the others, mean and range." : ""}`,
    series: rest.length > 0 ? [...shown, others] : shown,
    xLabel: data.stepName,
    yLabel: said.yLabel,
    ...captions,
  });
}

/**
 * Draws prefix matching scores over training, a line for each of the highest heads.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawPrefixOverTraining, evaluations } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const input = await openBundledModel();
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(drawPrefixOverTraining(await evaluations({ ...input, checkpoints })).label);
 * // Prefix matching of heads over training
 * ```
 */
export function drawPrefixOverTraining(data: Evaluations, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName prefixMatching previous copying eigenvalues trace",
    "await evaluations",
    "drawPrefixOverTraining",
    captions,
  );
  const subtitle =
    "Attention from a token to those that followed its earlier copies, on random tokens repeated four times.";
  return overTraining(
    data,
    data.prefixMatching,
    { title: PREFIX_TITLE, subtitle, yLabel: "prefix matching score" },
    captions,
  );
}

/**
 * Draws the trace of heads' QK circuits through previous-token heads over training.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawTraceOverTraining, evaluations } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const input = await openBundledModel();
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(drawTraceOverTraining(await evaluations({ ...input, checkpoints })).label);
 * // Trace of the QK circuit through previous-token heads over training
 * ```
 */
export function drawTraceOverTraining(data: Evaluations, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName prefixMatching previous copying eigenvalues trace",
    "await evaluations",
    "drawTraceOverTraining",
    captions,
  );
  const subtitle = "Keys are read through all earlier heads, weighted with their previous-token scores.";
  return overTraining(data, data.trace, { title: TRACE_TITLE, subtitle, yLabel: "trace" }, captions);
}

/** Two evaluations of the last checkpoint as points. */
function against(
  data: Evaluations,
  x: Evaluated,
  y: Evaluated,
  fromLayer = 0,
): { readonly points: { x: number; y: number; label: string; group: string }[] } {
  const [count = 0, layers = 0, heads = 0] = data[x].shape;
  const all: HeadId[] = Array.from({ length: layers * heads }, (_, i) => ({
    layer: Math.floor(i / heads),
    head: i % heads,
  }));
  const points = all
    .filter(({ layer }) => layer >= fromLayer)
    .map(({ layer, head }) => ({
      x: data[x].at(count - 1, layer, head),
      y: data[y].at(count - 1, layer, head),
      label: headLabel({ layer, head }),
      group:
        layers <= 4 ? `layer ${layer}` : layer < layers / 2 ? "first half of the layers" : "second half of the layers",
    }));
  // Labels are placed in the order of the points: the outermost first.
  return { points: points.sort((a, b) => b.x + b.y - a.x - a.y) };
}

/**
 * Draws the joint scatter of the two evaluators: copying against prefix matching, a point for each head of the last
 * checkpoint. Induction heads are at the upper right.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawEvaluatorScatter, evaluations } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawEvaluatorScatter(await evaluations(await openBundledModel())).kind);
 * // scatter
 * ```
 */
export function drawEvaluatorScatter(data: Evaluations, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName prefixMatching previous copying eigenvalues trace",
    "await evaluations",
    "drawEvaluatorScatter",
    captions,
  );
  return scatter({
    title: JOINT_TITLE,
    subtitle: "Prefix matching on random tokens repeated four times, copying of random tokens.",
    ...against(data, "prefixMatching", "copying"),
    xLabel: "prefix matching score",
    yLabel: "copying score",
    quadrants: false,
    width: 620,
    height: 460,
    ...captions,
  });
}

/**
 * Draws each evaluator against what the weights say: copying against the positivity of OV eigenvalues, and prefix
 * matching against the trace of the QK circuit through previous-token heads.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawEvaluatorValidation, evaluations } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawEvaluatorValidation(await evaluations(await openBundledModel()));
 * console.log(figure.svg.includes("copying evaluator"), figure.svg.includes("trace of QK"));
 * // true true
 * ```
 */
export function drawEvaluatorValidation(data: Evaluations, captions: Captions = {}): Figure {
  requireData(
    data,
    "checkpoints stepName prefixMatching previous copying eigenvalues trace",
    "await evaluations",
    "drawEvaluatorValidation",
    captions,
  );
  const size = { width: 430, height: 380, quadrants: false };
  const copying = scatter({
    title: "Copying",
    ...against(data, "eigenvalues", "copying"),
    xLabel: "positivity of OV eigenvalues",
    yLabel: "copying evaluator",
    ...size,
  });
  const layers = data.trace.sizeOf("layer");
  const figures =
    layers < 2
      ? [copying]
      : [
          copying,
          scatter({
            title: "Prefix matching",
            ...against(data, "trace", "prefixMatching", 1),
            xLabel: "trace of QK through previous-token heads",
            yLabel: "prefix matching score",
            ...size,
          }),
        ];
  return smallMultiples({
    title: VALIDATION_TITLE,
    subtitle:
      layers < 2
        ? "The trace of QK through earlier heads needs a second layer."
        : "A point for each head; the first layer has no earlier heads to read keys through.",
    ...captions,
    figures,
    columns: figures.length,
  });
}

const PREFIX_TITLE = "Prefix matching of heads over training";
const TRACE_TITLE = "Trace of the QK circuit through previous-token heads over training";
const JOINT_TITLE = "Copying against prefix matching, of every head";
const VALIDATION_TITLE = "Evaluators of heads against what the weights say";

/** The list's entries. */
export function evaluatorEntries(): readonly FigureEntry<Evaluations>[] {
  const entry = (
    name: string,
    title: string,
    draw: (data: Evaluations, captions?: Captions) => Figure,
    also: readonly FigureNeed[] = [],
  ): FigureEntry<Evaluations> => ({
    name,
    number: 25,
    title,
    source: 'In-context Learning and Induction Heads, "Head activation evaluators"',
    needs: [...EVALUATOR_NEEDS, ...also],
    takesCheckpoints: true,
    output: "svg",
    make: evaluations,
    draw,
  });
  return [
    entry("prefix-over-training", PREFIX_TITLE, drawPrefixOverTraining, ["checkpoints"]),
    entry("trace-over-training", TRACE_TITLE, drawTraceOverTraining, ["two layers", "checkpoints"]),
    entry("evaluator-scatter", JOINT_TITLE, drawEvaluatorScatter),
    entry("evaluator-validation", VALIDATION_TITLE, drawEvaluatorValidation),
  ];
}
