/** Figure: the eigenvalue test of induction heads. */
import { stepOptions } from "../../progress.ts";
import { inductionPositivity } from "../../circuits/index.ts";
import { findHeads } from "../../heads/index.ts";
import { allHeads, headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { scatter } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { largestHead, measuredHeads, numbersOf } from "../prompts.ts";

/**
 * A head in the scatter of positivity.
 * @category Figures
 */
export interface PositivityPoint extends HeadId {
  /** Positivity of the eigenvalues of the full OV circuit. */
  readonly OV: number;
  /** Positivity of the eigenvalues of the K-composition circuit with the previous-token heads. */
  readonly QK: number;
  /** The head's induction score on random tokens that repeat. */
  readonly induction: number;
}

/**
 * The data of the scatter of positivity.
 * @category Figures
 */
export interface PositivityScatter {
  /** The previous-token heads through which keys are read, found on random tokens that repeat. */
  readonly previous: readonly HeadId[];
  /** The induction heads found there. */
  readonly inductionHeads: readonly HeadId[];
  /** Every head after the first of them. */
  readonly points: readonly PositivityPoint[];
}

const NEEDS: readonly FigureNeed[] = ["two layers", "next token", "causal"];
/** Where the corner of the scatter begins. */
const CORNER = 0.9;
/** How many heads are labelled, those of the largest induction score: more cannot be read in a scatter of this size. */
const MOST_LABELS = 48;

/**
 * Positivity of the eigenvalues of OV and of QK through previous-token heads, of every later head (*A Mathematical
 * Framework for Transformer Circuits*, "Checking the mechanistic theory"). Keys are read through the
 * previous-token heads that {@link findHeads} finds, weighted with their score; where there are none, through the
 * highest score that has a later layer.
 *
 * @param options - `seed` of the random tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has fewer than two layers, sees later tokens, or its output tokens are not
 * its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { positivityScatter } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { previous, points } = positivityScatter(await openBundledModel());
 * console.log(previous.map(({ layer, head }) => `L${layer}H${head}`).join(" "));
 * // L0H5 L0H7
 * console.log(
 *   points
 *     .filter(({ OV, QK }) => OV > 0.95 && QK > 0.95)
 *     .map(({ layer, head }) => `L${layer}H${head}`)
 *     .join(" "),
 * );
 * // L1H1 L1H2 L1H3 L1H4 L1H7
 * ```
 */
export function positivityScatter(input: FigureInput, options: FigureOptions = {}): PositivityScatter {
  requireNeeds(NEEDS, input, "positivityScatter", options);
  const { model } = input;
  const last = model.config.n_layers - 1;
  const measured = measuredHeads(input, options.seed ?? 0, stepOptions(options, 0, 2));
  const heads = allHeads(model.config);
  const { previousToken, induction: inductionHeads } = findHeads(measured);
  const found = heads.filter(({ layer, head }) => layer < last && includes(previousToken, { layer, head }));
  const previous = found.length > 0 ? found : [largestHead(measured.previous, 0, last)];
  const weighted = numbersOf(measured.previous).map((score, i) => (includes(found, heads[i] as HeadId) ? score : 0));
  const weights = Tensor.from("layer head", measured.previous.shape, weighted);
  const { OV, QK } = inductionPositivity(model, {
    previous: found.length > 0 ? weights : previous,
    ...stepOptions(options, 1, 2),
  });
  const firstLayer = Math.min(...previous.map(({ layer }) => layer)) + 1;
  const points = heads
    .filter(({ layer }) => layer >= firstLayer)
    .map(({ layer, head }) => ({
      layer,
      head,
      OV: OV.score.at(layer, head),
      QK: QK.score.at(layer, head),
      induction: measured.induction.at(layer, head),
    }));
  return { previous, inductionHeads, points };
}

function includes(heads: readonly HeadId[], { layer, head }: HeadId): boolean {
  return heads.some((one) => one.layer === layer && one.head === head);
}

/**
 * Draws the scatter of positivity: induction heads are those in the corner where both are 1.
 *
 * @throws ShapeError if there are no points.
 * @category Figures
 * @example
 * ```ts
 * import { drawPositivityScatter, positivityScatter } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawPositivityScatter(positivityScatter(await openBundledModel()));
 * console.log(figure.kind, figure.svg.includes("induction heads"));
 * // scatter true
 * ```
 */
export function drawPositivityScatter(data: PositivityScatter, captions: Captions = {}): Figure {
  requireData(data, "previous inductionHeads points", "positivityScatter", "drawPositivityScatter", captions);
  const through = data.previous.map(headLabel);
  const named = through.length > 6 ? `${through.length} previous-token heads` : through.join(", ");
  const corner = data.points.filter(({ OV, QK }) => OV > CORNER && QK > CORNER).map(headLabel);
  const inCorner =
    corner.length === 0
      ? "No head has both above 0.9."
      : `Both are above 0.9 for ${corner.length > 12 ? `${corner.length} heads` : corner.join(", ")}.`;
  const ranked = [...data.points].sort((a, b) => (b.induction || 0) - (a.induction || 0));
  return scatter({
    title: ENTRY_TITLE,
    subtitle: `Sum of eigenvalues over the sum of their moduli. Keys are read through ${named}. ${inCorner}`,
    points: ranked.map((point) => ({
      x: point.OV,
      y: point.QK,
      label: headLabel(point),
      group: includes(data.inductionHeads, point) ? "induction heads" : "other heads",
    })),
    xDomain: domainOf(data.points.map(({ OV }) => OV)),
    yDomain: domainOf(data.points.map(({ QK }) => QK)),
    xLabel: "OV: copying",
    yLabel: "QK: matching the token before",
    mostLabels: MOST_LABELS,
    width: 620,
    height: 560,
    ...captions,
  });
}

/** All of −1 to 1, or what is from 0 on where nothing is below it. */
function domainOf(values: readonly number[]): [number, number] {
  return [values.some((value) => value < 0) ? -1.1 : -0.05, 1.1];
}

const ENTRY_TITLE = "Induction heads by eigenvalues: QK against OV";

/** The list's entry. */
export const positivityScatterEntry: FigureEntry<PositivityScatter> = {
  name: "positivity-scatter",
  number: 17,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Checking the mechanistic theory"',
  needs: NEEDS,
  output: "svg",
  make: positivityScatter,
  draw: drawPositivityScatter,
};
