/** Figure: a random sample of a head's full OV circuit. */
import { copyingScores, fullOVCircuit } from "../../circuits/index.ts";
import { restrict, toDense } from "../../linear/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { Random, Tensor } from "../../tensor/index.ts";
import { formatNumber, heatmap } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import type { FigureToken } from "../labels.ts";
import { largestHead, numbersOf, oneHead, tokensOf } from "../prompts.ts";

/**
 * A sample of a full OV circuit.
 * @category Figures
 */
export interface OVSample {
  readonly head: HeadId;
  /** The tokens drawn, both sources and outputs, by ascending id. */
  readonly tokens: readonly FigureToken[];
  /** `[source, output]`: the logits that attending to a source token adds to an output token. */
  readonly values: Tensor<"source output">;
}

const NEEDS: readonly FigureNeed[] = ["layer", "next token"];
const SAMPLE = 200;

/**
 * The full OV circuit of a head between 200 random tokens, or all where there are fewer: a head that copies has a
 * bright diagonal (ARENA 1.2, "Reverse-engineering induction circuits").
 *
 * @param options - `heads`: the first is shown, otherwise the head of the highest copying score; `seed` of the sample.
 * @throws {@link ConfigError} when the model has no heads or its output tokens are not its input tokens;
 * {@link InputError} when there is no such head.
 * @category Figures
 * @example
 * ```ts
 * import { ovSample } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { tokens, values } = ovSample(await openBundledModel(), { heads: ["L1H4"] });
 * console.log(tokens.length, values.shape);
 * // 200 [ 200, 200 ]
 * ```
 */
export function ovSample(input: FigureInput, options: FigureOptions = {}): OVSample {
  requireNeeds(NEEDS, input, "ovSample", options);
  const { model } = input;
  const id = oneHead(model, options.heads, () => largestHead(copyingScores(model, { signal: options.signal })));
  const ids = sampleOf(model.config.d_vocab, SAMPLE, options.seed ?? 0);
  const { data } = toDense(restrict(fullOVCircuit(model, id), { rows: ids, columns: ids }));
  return {
    head: id,
    tokens: tokensOf(input, ids),
    values: Tensor.from("source output", [ids.length, ids.length], data),
  };
}

/** Different numbers below n, ascending; all where there are no more. */
function sampleOf(n: number, count: number, seed: number): number[] {
  if (n <= count) return Array.from({ length: n }, (_, i) => i);
  const random = new Random(seed);
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(random.int(n));
  return [...drawn].sort((a, b) => a - b);
}

/**
 * Draws a sample of an OV circuit, source tokens downward.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawOVSample, ovSample } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawOVSample(ovSample(await openBundledModel(), { heads: ["L1H4"] })).label);
 * // The full OV circuit of L1H4 between 200 random tokens
 * ```
 */
export function drawOVSample(data: OVSample, captions: Captions = {}): Figure {
  requireData(data, "head tokens values", "ovSample", "drawOVSample", captions);
  const count = data.tokens.length;
  const values = numbersOf(data.values);
  let own = 0;
  for (let i = 0; i < count; i++) own += (values[i * (count + 1)] as number) / count;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return heatmap({
    title: `The full OV circuit of ${headLabel(data.head)} between ${count} random tokens`,
    subtitle: `What attending to a source token adds to the logit of an output token. On the diagonal, a token and itself: ${formatNumber(own)} on average, over all pairs ${formatNumber(mean)}.`,
    values: { rows: count, cols: count, data: values },
    scale: "diverging",
    xLabel: "output token",
    yLabel: "source token",
    legendLabel: "logits",
    ...captions,
  });
}

/** The list's entry. */
export const ovSampleEntry: FigureEntry<OVSample> = {
  name: "ov-sample",
  number: 24,
  title: "The full OV circuit of a head between 200 random tokens",
  source: 'ARENA 1.2, "Reverse-engineering induction circuits"',
  needs: NEEDS,
  output: "svg",
  make: ovSample,
  draw: drawOVSample,
};
