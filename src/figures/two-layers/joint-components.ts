/** Figure: principal components of embedding and unembedding. */
import { jointPCA } from "../../circuits/index.ts";
import type { JointPCA } from "../../circuits/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { formatNumber, lineChart, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import type { FigureInput } from "../input.ts";

/**
 * Draws the joint principal components of $W_E$ and $W_U$: how much of the variance the first components hold, of both
 * matrices together and of each alone, and how much of each joint component is the embedding's.
 *
 * @category Figures
 * @example
 * ```ts
 * import { jointPCA } from "transformer-circuits/circuits";
 * import { drawJointComponents } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(drawJointComponents(jointPCA(model)).label);
 * // Principal components of embedding and unembedding together
 * ```
 */
export function drawJointComponents(data: JointPCA, captions: Captions = {}): Figure {
  requireData(data, "variance components embedShare embed unembed", "jointPCA", "drawJointComponents", captions);
  const half = (variance: Tensor<"component">): number => cumulative(variance).findIndex((x) => x >= 0.5) + 1;
  const count = data.variance.size;
  const spectra = lineChart({
    series: [
      { name: "both", ...fromOne(cumulative(data.variance)) },
      { name: "W_E alone", ...fromOne(cumulative(data.embed)) },
      { name: "W_U alone", ...fromOne(cumulative(data.unembed)) },
    ],
    xLabel: "components",
    yLabel: "share of the variance",
    yDomain: [0, 1],
    width: 640,
    height: 280,
  });
  const shares = lineChart({
    series: [{ name: "embedding", ...fromOne(rawData(data.embedShare)) }],
    references: [{ value: 0.5, label: "both alike" }],
    xLabel: "joint component",
    yLabel: "share of the embedding in the component",
    yDomain: [0, 1],
    width: 640,
    height: 240,
  });
  return smallMultiples({
    title: ENTRY_TITLE,
    subtitle: `Each matrix centred and given the same variance: together they have half of the variance in ${half(data.variance)} of ${count} components, alone in ${half(data.embed)} (W_E) and ${half(data.unembed)} (W_U). The first joint component is the embedding’s by ${formatNumber(100 * data.embedShare.at(0), { decimals: 0 })} %.`,
    ...captions,
    figures: [spectra, shares],
    columns: 1,
  });
}

/** Values that stand at 1, 2, 3 … */
function fromOne(y: ArrayLike<number>): { readonly x: Float64Array; readonly y: ArrayLike<number> } {
  return { x: Float64Array.from(y, (_, i) => i + 1), y };
}

function cumulative(shares: Tensor<"component">): Float64Array {
  let sum = 0;
  return Float64Array.from(rawData(shares), (share) => (sum += share));
}

const ENTRY_TITLE = "Principal components of embedding and unembedding together";

/** The list's entry. */
export const jointComponentsEntry: FigureEntry<JointPCA> = {
  name: "joint-pca",
  number: 20,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Residual stream bandwidth", footnote',
  needs: [],
  output: "svg",
  make: ({ model }: FigureInput) => jointPCA(model),
  draw: drawJointComponents,
};
