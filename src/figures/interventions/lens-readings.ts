/** Figures: what a model would say at each layer, by the logit lens and by a tuned one. */
import { fitTranslators, logitLens } from "../../paths/index.ts";
import type { Translator } from "../../paths/index.ts";
import { stepOptions, Steps } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, heatmap, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import type { FigureToken } from "../labels.ts";
import { readable, repeatsOf, tokensOf } from "../prompts.ts";

/**
 * What each stream of a run says comes next.
 * @category Figures
 */
export interface LensReadings {
  readonly tokens: readonly FigureToken[];
  /** The streams, first to last: `0_pre`, `1_pre`, … `final_post`. */
  readonly labels: readonly string[];
  /** For each stream and position the token that it gives most. */
  readonly top: readonly (readonly FigureToken[])[];
  /** `[component, pos]`: the probability that the stream gives that token. */
  readonly probability: Tensor<"component pos">;
  /** `[component, pos]`: how far the stream's prediction is from the model's, $D_{KL}(p \| p_{stream})$ in nats. */
  readonly divergence: Tensor<"component pos">;
  /** The number of positions that the maps of a tuned lens were fitted to; none of the plain lens. */
  readonly fitted?: number;
}

/**
 * What {@link lensReadings} may be told.
 * @category Figures
 */
export interface LensOptions extends FigureOptions {
  /** Maps of the streams, as {@link fitTranslators} gives them: a tuned lens. */
  readonly translators?: readonly Translator[] | undefined;
}

/** Positions of the figure at most, and cells of it. */
const SHOWN = 24;
const MOST_CELLS = 900;
const NEEDS: readonly FigureNeed[] = ["next token"];
const TITLES = { plain: "Logit lens: what each layer would say", tuned: "Tuned lens: what each layer knows" } as const;

/**
 * The token that each stream of a run gives most, its probability, and how far the stream's prediction is from the
 * model's: the text's first tokens or, without a text, of $[\text{BOS}, r, r]$, read by {@link logitLens}.
 *
 * @param options - `translators`, for a tuned lens; `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model's output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { lensReadings } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const bundled = await openBundledModel();
 * const { labels, top, divergence } = lensReadings({ ...bundled, text: "interface Array<T> {" });
 * console.log(labels.join(" "), divergence.at(2, 0));
 * // 0_pre 1_pre final_post 0
 * console.log(top.at(-1)?.length === divergence.sizeOf("pos"));
 * // true
 * ```
 */
export function lensReadings(input: FigureInput, options: LensOptions = {}): LensReadings {
  requireNeeds(NEEDS, input, "lensReadings", options, "translators");
  const steps = new Steps(options, 1);
  const { translators, signal } = options;
  const ids = promptOf(input, options, "lensReadings");
  const run = input.model.run(ids, { cache: isStream, unembed: "none", ...(signal && { signal }) });
  const { labels, logits } = logitLens(run, { translators });
  const [rows = 0, , pos = 0, width = 0] = logits.shape;
  const data = rawData(logits);
  const [top, probability, divergence] = [[] as number[], new Float64Array(rows * pos), new Float64Array(rows * pos)];
  for (let p = 0; p < pos; p++) {
    const logs = labels.map((_, c) => logShares(data.subarray((c * pos + p) * width, (c * pos + p + 1) * width)));
    const last = logs[rows - 1] as Float64Array;
    for (const [c, log] of logs.entries()) {
      const best = log.reduce((most, x, id) => (x > (log[most] as number) ? id : most), 0);
      top[c * pos + p] = best;
      probability[c * pos + p] = Math.exp(log[best] as number);
      divergence[c * pos + p] = Math.max(0, divergenceOf(last, log));
    }
  }
  steps.advance();
  return {
    tokens: tokensOf(input, ids),
    labels,
    top: labels.map((_, c) => tokensOf(input, top.slice(c * pos, (c + 1) * pos))),
    probability: Tensor.from("component pos", [rows, pos], probability),
    divergence: Tensor.from("component pos", [rows, pos], divergence),
  };
}

/**
 * {@link lensReadings} through maps that {@link fitTranslators} fits: to what follows the shown part of a text, as far
 * as it goes, and to random tokens that repeat.
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no layers, or its output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { tunedReadings } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { labels, fitted } = tunedReadings(await openBundledModel());
 * console.log(labels.join(" "), fitted);
 * // 0_pre 1_pre final_post 1616
 * ```
 */
export function tunedReadings(input: FigureInput, options: FigureOptions = {}): LensReadings {
  const operation = "tunedReadings";
  requireNeeds([...NEEDS, "layer"], input, operation, options);
  const { model, text } = input;
  const { seed = 0, signal } = options;
  const { prompts, period } = repeatsOf(input, { period: 50, batch: 16, seed: (seed + 1) % 2 ** 32 }, operation);
  const cut = text === undefined ? [] : windowsOf(input, { length: SHOWN, count: 64 }, operation).slice(1);
  // Runs take prompts of one length; what is left over at the end of a text is shorter.
  const windows = cut.filter(({ length }) => length === SHOWN);
  const batches = [prompts, ...(windows.length > 0 ? [windows] : [])].filter(() => period > 0);
  const runs = batches.map((batch) =>
    model.run(batch, { cache: isStream, unembed: "none", ...(signal && { signal }) }),
  );
  const readings = lensReadings(input, {
    ...options,
    translators: fitTranslators(runs),
    ...stepOptions(options, 1, 2),
  });
  return { ...readings, fitted: runs.reduce((sum, { tokens }) => sum + tokens.size, 0) };
}

const isStream = (name: string): boolean => /^hook_(pos_)?embed$|hook_resid_(pre|post)$/.test(name);

/** The tokens that are read. */
function promptOf(input: FigureInput, { seed }: FigureOptions, operation: string): readonly number[] {
  const shown = Math.max(2, Math.min(SHOWN, Math.floor(MOST_CELLS / (input.model.config.n_layers + 1))));
  if (input.text !== undefined) return windowsOf(input, { length: shown }, operation)[0] ?? [];
  return repeatsOf(input, { period: Math.floor(shown / 2), seed }, operation).prompts[0] ?? [];
}

/** $\ln p$ of logits. */
function logShares(logits: ArrayLike<number>): Float64Array {
  let most = -Infinity;
  for (let i = 0; i < logits.length; i++) most = Math.max(most, logits[i] as number);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] as number) - most);
  const total = most + Math.log(sum);
  return Float64Array.from(logits, (x) => x - total);
}

/** $D_{KL}(p \| q)$ of logarithms. */
function divergenceOf(p: Float64Array, q: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const share = Math.exp(p[i] as number);
    if (share > 0) sum += share * ((p[i] as number) - (q[i] as number));
  }
  return sum;
}

/**
 * Draws what each stream says comes next, streams downward and positions to the right: the tokens on their
 * probability, and on their divergence from the model's prediction.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLensReadings, lensReadings } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawLensReadings(lensReadings(await openBundledModel())).label);
 * // Logit lens: what each layer would say
 * ```
 */
export function drawLensReadings(data: LensReadings, captions: Captions = {}): Figure {
  const members = "tokens labels top probability divergence";
  requireData(data, members, "lensReadings", "drawLensReadings", captions);
  const { tokens, labels, top, probability, divergence, fitted } = data;
  const [rows = 0, cols = 0] = probability.shape;
  const shared = {
    texts: top.flatMap((row) => readable(row)),
    rowLabels: labels,
    columnLabels: readable(tokens),
    xLabel: "token read",
    yLabel: "stream",
  };
  const how =
    fitted === undefined
      ? "read by the final norm and the unembedding as if it were the last"
      : `taken to the last one by a map fitted to ${formatNumber(fitted)} positions of other prompts`;
  return smallMultiples({
    title: fitted === undefined ? TITLES.plain : TITLES.tuned,
    subtitle: `The token that each stream expects next, ${how}; final_post is the model's own prediction.`,
    ...captions,
    figures: [
      heatmap({
        ...shared,
        title: "The probability of that token",
        values: { rows, cols, data: rawData(probability) },
        limit: 1,
        scale: "sequential",
        legendLabel: "probability",
        format: { decimals: 2 },
      }),
      heatmap({
        ...shared,
        title: "How far the prediction is from the model's",
        values: { rows, cols, data: rawData(divergence) },
        scale: "sequential",
        legendLabel: "KL, nats",
        format: { decimals: 2 },
      }),
    ],
    columns: 1,
  });
}

const SOURCE = 'nostalgebraist, "interpreting GPT: the logit lens"; Belrose et al. (arXiv 2303.08112)';

/** The list's entries. */
export const lensEntries = (): readonly FigureEntry[] => [
  {
    ...{ name: "logit-lens", number: 23, title: TITLES.plain, source: SOURCE, needs: NEEDS },
    ...{ takesText: true, output: "svg" },
    make: (input, options) => lensReadings(input, options),
    draw: (data, captions) => drawLensReadings(data as LensReadings, captions),
  },
  {
    ...{ name: "tuned-lens", number: 23, title: TITLES.tuned },
    source: 'Belrose et al. 2023, "Eliciting Latent Predictions from Transformers with the Tuned Lens"',
    ...{ needs: [...NEEDS, "layer"], takesText: true, output: "svg" },
    make: (input, options) => tunedReadings(input, options),
    draw: (data, captions) => drawLensReadings(data as LensReadings, captions),
  },
];
