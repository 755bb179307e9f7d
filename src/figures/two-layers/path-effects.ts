/** Figure: the paths that do most for the right next token, and that all of them add up to the logits. */
import { pathExpansion } from "../../paths/index.ts";
import type { PathExpansion, PathSource, PathTerm } from "../../paths/index.ts";
import { countPaths, pathEntries } from "../../paths/internal.ts";
import { barChart, formatNumber } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { canRepeat, repeatsOf } from "../prompts.ts";

/**
 * A term of the path expansion with its mean effect.
 * @category Figures
 */
export interface PathEffect {
  readonly label: string;
  readonly kind: PathTerm["kind"];
  /** Where it begins. */
  readonly source: PathSource;
  /** The number of heads on the way. */
  readonly order: number;
  /** Its mean effect on the right next token's logit. */
  readonly mean: number;
}

/**
 * The path expansion of a run: how well it holds, and the terms of the largest effect.
 * @category Figures
 */
export interface PathEffects {
  /** The number of paths in all; it may be more than can be counted exactly. */
  readonly paths: number;
  readonly n_layers: number;
  /** Paths of at most this many heads are written out, the longer ones summed into one term. */
  readonly maxOrder: number;
  /** How many terms were summed, the bias and the longer paths included. */
  readonly terms: number;
  /** The number of positions at which all logits were compared. */
  readonly positions: number;
  /** The largest difference between the sum of the terms and the model's own logits. */
  readonly maxDeviation: number;
  /** The most that the rounding of the model's own run explains. */
  readonly bound: number;
  readonly withinBound: boolean;
  /** What the mean effects were measured on. */
  readonly on: "second copy" | "text";
  /** The terms of the largest mean effect on the right token's logit, in logits. */
  readonly top: readonly PathEffect[];
}

const NEEDS: readonly FigureNeed[] = ["causal", "next token"];
const MOST_PATHS = 600;
const LISTED = 16;
const LENGTH = 64;
const PERIOD = 50;

/**
 * Writes the logits as a sum over paths, checks that they add up, and ranks the paths by their mean effect on the right
 * next token (*A Mathematical Framework for Transformer Circuits*, "The path expansion trick"). They add up on the
 * text's first 64 tokens and are ranked on the second copy of random tokens; where there is no text both are done on
 * these, and where the context holds no two copies both on the text.
 *
 * Up to 600 paths are written out, the shortest first; the others are one term.
 *
 * @param options - `seed` of the random tokens; `signal`.
 * @throws {@link ConfigError} when the model sees later tokens or its output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { pathEffects } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { paths, withinBound, top } = pathEffects(await openBundledModel());
 * console.log(paths, withinBound, top[0]?.label);
 * // 81 true L1H2
 * ```
 */
export function pathEffects(input: FigureInput, options: FigureOptions = {}): PathEffects {
  const operation = "pathEffects";
  requireNeeds(NEEDS, input, operation, options);
  const { model } = input;
  const { n_layers } = model.config;
  const { signal } = options;
  const count = (order: number): number => countPaths(model.config, pathEntries(model, 1), order);
  let maxOrder = 0;
  while (maxOrder < n_layers && count(maxOrder + 1) <= MOST_PATHS) maxOrder += 1;
  const made = canRepeat(input, operation)
    ? repeatsOf(input, { period: PERIOD, seed: options.seed }, operation)
    : undefined;
  const expand = (tokens: readonly (readonly number[])[]): PathExpansion =>
    pathExpansion(model, tokens, { maxOrder, signal });
  const repeats = made && expand(made.prompts.slice(0, 1));
  const certified =
    input.text === undefined && repeats !== undefined
      ? repeats
      : expand(windowsOf(input, { length: LENGTH }, operation));
  const ranked = repeats ?? certified;
  const { maxDeviation, bound, withinBound, terms } = certified.certificate(undefined, { signal });
  const last = ranked.tokens.sizeOf("pos") - 1;
  // The second copy without its first token, which nothing announces.
  const from = made === undefined ? 0 : last - (made.period - 1);
  const positions = Array.from({ length: last - from }, (_, i) => from + i);
  return {
    paths: count(n_layers),
    n_layers,
    maxOrder,
    terms,
    positions: certified.tokens.sizeOf("pos"),
    maxDeviation,
    bound,
    withinBound,
    on: made === undefined ? "text" : "second copy",
    top: ranked
      .rank("attribution", { positions, k: LISTED, signal })
      .map(({ term: { label, kind, source, order }, value }) => ({ label, kind, source, order, mean: value })),
  };
}

/**
 * Draws the effects of paths as bars, with a colour for each kind: direct path, single heads, virtual heads, MLPs.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawPathEffects, pathEffects } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawPathEffects(pathEffects(await openBundledModel()));
 * console.log(figure.kind, figure.svg.includes("add up to the logits"));
 * // barChart true
 * ```
 */
export function drawPathEffects(data: PathEffects, captions: Captions = {}): Figure {
  requireData(data, "paths terms top on maxDeviation", "pathEffects", "drawPathEffects", captions);
  const where = data.on === "text" ? "on the text" : "in the second copy of repeated random tokens";
  const holds = data.withinBound
    ? `add up to the logits within ${formatNumber(data.maxDeviation, { significant: 2 })}`
    : `miss the logits by ${formatNumber(data.maxDeviation, { significant: 2 })}, more than rounding explains`;
  return barChart({
    title: ENTRY_TITLE,
    subtitle: `Mean effect on the right next token’s logit ${where}. All ${formatNumber(data.terms, { decimals: 0 })} terms ${holds}.`,
    bars: data.top.map((effect) => ({ label: effect.label, value: effect.mean, group: groupOf(effect) })),
    xLabel: "mean effect on the right token’s logit",
    format: { decimals: 2, sign: true },
    width: 720,
    ...captions,
  });
}

function groupOf({ kind, source, order }: PathEffect): string {
  if (kind !== "path") return kind === "remainder" ? "longer paths" : kind;
  if (order === 0) return source === "direct" ? "direct path" : "MLPs";
  return order === 1 ? "single heads" : "virtual heads";
}

const ENTRY_TITLE = "The paths of the largest effect";

/** The list's entry. */
export const pathEffectsEntry: FigureEntry<PathEffects> = {
  name: "path-effects",
  number: 18,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "The path expansion trick"',
  needs: NEEDS,
  takesText: true,
  output: "svg",
  make: pathEffects,
  draw: drawPathEffects,
};
