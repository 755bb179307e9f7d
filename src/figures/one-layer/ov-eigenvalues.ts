/** Figure: the eigenvalues of every head's OV circuit in the complex plane, the radius logarithmic. */
import { ovSpectrum } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { complexPlane, formatNumber, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";

/**
 * The eigenvalues of a head's full OV circuit.
 * @category Figures
 */
export interface HeadEigenvalues extends HeadId {
  /** Real parts, by descending modulus. */
  readonly re: Float64Array;
  /** Imaginary parts. */
  readonly im: Float64Array;
  /** The copying score $\sum \lambda / \sum |\lambda|$. */
  readonly copying: number;
}

/**
 * The data of the figure of OV eigenvalues.
 * @category Figures
 */
export interface OVEigenvalues {
  readonly n_layers: number;
  readonly n_heads: number;
  readonly heads: readonly HeadEigenvalues[];
}

const NEEDS: readonly FigureNeed[] = ["layer", "next token"];

/**
 * The eigenvalues of the full OV circuit of every head, or of the heads asked for (*A Mathematical Framework for
 * Transformer Circuits*, "Detecting copying behavior").
 *
 * @param options - `heads`, in the order to be shown; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads or its output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { ovEigenvalues } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { heads } = ovEigenvalues(await openBundledModel());
 * console.log(heads.filter(({ copying }) => copying > 0.9).map(({ layer, head }) => `L${layer}H${head}`).join(" "));
 * // L1H0 L1H1 L1H2 L1H3 L1H4 L1H7
 * ```
 */
export function ovEigenvalues(input: FigureInput, options: FigureOptions = {}): OVEigenvalues {
  requireNeeds(NEEDS, input, "ovEigenvalues", options);
  const { model } = input;
  const { n_layers, n_heads } = model.config;
  const shown = chosenHeads(model, options.heads);
  const { eigenvalues, score } = ovSpectrum(model, { signal: options.signal, onProgress: options.onProgress });
  const [re, im] = [rawData(eigenvalues.re), rawData(eigenvalues.im)];
  const count = eigenvalues.re.shape[2] ?? 0;
  const heads = shown.map(({ layer, head }) => {
    const at = (layer * n_heads + head) * count;
    return {
      layer,
      head,
      re: Float64Array.from(re.subarray(at, at + count)),
      im: Float64Array.from(im.subarray(at, at + count)),
      copying: score.at(layer, head),
    };
  });
  return { n_layers, n_heads, heads };
}

/** From this many heads on the planes are small ones. */
const MANY_HEADS = 33;

/**
 * Draws OV eigenvalues: a plane for each head, angle $\arg \lambda$ and radius $\log |\lambda|$, with one rim for all
 * heads.
 *
 * @throws ShapeError if there are no heads.
 * @category Figures
 * @example
 * ```ts
 * import { drawOVEigenvalues, ovEigenvalues } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawOVEigenvalues(ovEigenvalues(await openBundledModel()));
 * console.log(figure.svg.match(/copying [^<]+/g)?.slice(-2).join(", "));
 * // copying +0.60, copying +1.00
 * ```
 */
export function drawOVEigenvalues(data: OVEigenvalues, captions: Captions = {}): Figure {
  requireData(data, "n_layers n_heads heads", "ovEigenvalues", "drawOVEigenvalues", captions);
  const { heads, n_heads, n_layers } = data;
  const moduli = heads.flatMap(({ re, im }) => Array.from(re, (x, i) => Math.hypot(x, im[i] ?? 0)));
  const rim = moduli.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), 0);
  const many = heads.length >= MANY_HEADS;
  const whole = heads.length === n_layers * n_heads;
  const columns = whole ? columnsFor(n_heads, many ? 12 : 8) : Math.min(heads.length, 4);
  const size = many ? 96 : heads.length === 1 ? 260 : 132;
  const single = heads.length === 1 ? heads[0] : undefined;
  const ringed = rim === 0 ? "" : ` The rim is |λ| = ${formatNumber(rim)}, the centre 10,000 times less.`;
  const said: Captions = {
    title: single === undefined ? ENTRY_TITLE : `Eigenvalues of the OV circuit of ${headLabel(single)}`,
    subtitle: `Angle arg λ, radius log |λ|. Eigenvalues to the right of the middle copy: their combination of tokens raises its own logits.${ringed}`,
    ...captions,
  };
  const planes = heads.map((head) =>
    complexPlane({
      points: { re: head.re, im: head.im },
      ...(rim > 0 && { rim }),
      size,
      title: headLabel(head),
      caption: `copying ${formatNumber(head.copying, { decimals: 2, sign: true })}`,
    }),
  );
  return smallMultiples({ ...said, figures: planes, columns });
}

/** The heads of a layer in one row, or in even rows where they are many. */
export function columnsFor(heads: number, most: number): number {
  return Math.ceil(heads / Math.ceil(heads / most));
}

const ENTRY_TITLE = "Eigenvalues of the OV circuit of every head";

/** The list's entry. */
export const ovEigenvaluesEntry: FigureEntry<OVEigenvalues> = {
  name: "ov-eigenvalues",
  number: 7,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Detecting copying behavior"',
  needs: NEEDS,
  output: "svg",
  make: ovEigenvalues,
  draw: drawOVEigenvalues,
};
