/** Figure: where a previous-token head looks by positions alone. */
import { attentionByOffset, meanRotaryPattern, positionalPattern } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { formatNumber, heatmap } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { largestHead, measuredHeads, oneHead } from "../prompts.ts";

/**
 * A head's pattern by positions alone.
 * @category Figures
 */
export interface PreviousPattern {
  readonly head: HeadId;
  /** `[query_pos, key_pos]`, of the first 200 positions. */
  readonly pattern: Tensor<"query_pos key_pos">;
  /** Mean attention one position back over the positions shown. */
  readonly previous: number;
}

const NEEDS: readonly FigureNeed[] = ["layer", "positions", "causal"];
const SHOWN = 200;

/**
 * The attention pattern of a previous-token head by positions alone, of the first 200 positions (ARENA 1.2,
 * "Reverse-engineering induction circuits", the positional stripe); of rotary positions that of the mean query and the
 * mean key.
 *
 * @param options - `heads`: the first is shown, otherwise the head of the highest previous-token score; `seed` of the
 * tokens that is measured on; `signal`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or has no positions;
 * {@link InputError} when there is no such head.
 * @category Figures
 * @example
 * ```ts
 * import { previousPattern } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { head, pattern, previous } = previousPattern(await openBundledModel());
 * console.log(`L${head.layer}H${head.head}`, pattern.shape, previous > 0.9);
 * // L0H5 [ 128, 128 ] true
 * ```
 */
export function previousPattern(input: FigureInput, options: FigureOptions = {}): PreviousPattern {
  requireNeeds(NEEDS, input, "previousPattern", options);
  const { model } = input;
  const head = oneHead(model, options.heads, () =>
    largestHead(measuredHeads(input, options.seed ?? 0, { signal: options.signal }).previous),
  );
  const shown = Math.min(SHOWN, model.config.n_ctx);
  const isRotary = model.config.positional_embedding_type === "rotary";
  const pattern = isRotary ? meanRotaryPattern(model, head, shown) : positionalPattern(model, head, shown);
  const profile = attentionByOffset(pattern);
  return { head, pattern, previous: profile.size > 1 ? profile.at(1) : NaN };
}

/**
 * Draws a pattern by positions, queries downward.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawPreviousPattern, previousPattern } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawPreviousPattern(previousPattern(await openBundledModel())).label);
 * // Where L0H5 looks by positions alone
 * ```
 */
export function drawPreviousPattern(data: PreviousPattern, captions: Captions = {}): Figure {
  requireData(data, "head pattern previous", "previousPattern", "drawPreviousPattern", captions);
  const n = data.pattern.sizeOf("query_pos");
  return heatmap({
    title: `Where ${headLabel(data.head)} looks by positions alone`,
    subtitle: `Its pattern over ${n} positions with nothing but positions to go by. One position back: ${formatNumber(data.previous)} on average.`,
    values: { rows: n, cols: n, data: rawData(data.pattern) },
    scale: "sequential",
    limit: 1,
    mask: (query, key) => key > query,
    xLabel: "key position",
    yLabel: "query position",
    legendLabel: "attention",
    ...captions,
  });
}

/** The list's entry. */
export const previousPatternEntry: FigureEntry<PreviousPattern> = {
  name: "positional-pattern",
  number: 24,
  title: "Where a previous-token head looks by positions alone",
  source: 'ARENA 1.2, "Reverse-engineering induction circuits"',
  needs: NEEDS,
  output: "svg",
  make: previousPattern,
  draw: drawPreviousPattern,
};
