/** Figure: where a model keeps what it needs to continue a repeated sequence, by activation patching. */
import { logProbability } from "../../model/index.ts";
import { sweep } from "../../interventions/index.ts";
import { stepOptions } from "../../progress.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, headGrid, heatmap, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { repeatsOf } from "../prompts.ts";

/**
 * Shares of what a changed token costs that come back with clean activations.
 * @category Figures
 */
export interface InductionPatching {
  readonly period: number;
  readonly prompts: number;
  /** What stands at each position: `A` and what follows it, `B`, others by their place in what repeats. */
  readonly labels: readonly string[];
  /** $\ln p(B)$ after the second A, the mean over prompts, in nats. */
  readonly clean: number;
  /** The same where the first A is another token. */
  readonly corrupted: number;
  /** `[layer, pos]`: with the clean stream before a layer at a position. */
  readonly stream: Tensor<"layer pos">;
  /** `[layer, head]`: with a head's clean output at all positions. */
  readonly heads: Tensor<"layer head">;
}

const NEEDS: readonly FigureNeed[] = ["layer", "causal", "next token"];
const TITLE = "Activation patching: where the token before is kept";

/**
 * What is restored when clean activations are put into runs in which the model cannot know how a sequence goes on: of
 * prompts `… A B … A` the first A is another token, and $\ln p(B)$ is measured at the end. In a model with induction
 * heads what is needed lies at A before the previous-token heads and at B after them.
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens.
 * @category Figures
 * @example
 * ```ts
 * import { inductionPatching } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { labels, stream } = inductionPatching(await openBundledModel());
 * const [a, b] = [labels.indexOf("A"), labels.indexOf("B")];
 * console.log(stream.at(0, a) > 0.9, stream.at(1, b) > 0.5);
 * // true true
 * ```
 */
export function inductionPatching(input: FigureInput, options: FigureOptions = {}): InductionPatching {
  requireNeeds(NEEDS, input, "inductionPatching", options);
  const { model } = input;
  const repeats = { period: 8, batch: 8, seed: options.seed };
  const { prompts, period, first } = repeatsOf(input, repeats, "inductionPatching");
  const place = Math.max(0, Math.floor(period / 2) - 1);
  const at = first + place;
  const clean = prompts.map((prompt) => prompt.slice(0, first + period + place + 1));
  const corrupted = clean.map((prompt, b) => {
    const other = otherThan(prompt, clean[(b + 1) % clean.length]?.[at], at, model.config.d_vocab);
    return prompt.map((id, p) => (p === at ? other : id));
  });
  const answer = prompts.map((prompt) => prompt[first + period + ((place + 1) % period)] as number);
  const metric = logProbability({ answer });
  const pair = { clean, corrupted };
  const stream = sweep(model, pair, { at: "resid_pre", over: "layer pos", metric, ...stepOptions(options, 0, 2) });
  const heads = sweep(model, pair, { at: "z", over: "layer head", metric, ...stepOptions(options, 1, 2) });
  const name = (p: number): string => (p === place ? "A" : p === place + 1 ? "B" : `r${p + 1}`);
  return {
    period,
    prompts: prompts.length,
    labels: (clean[0] ?? []).map((_, p) => (p < first ? "BOS" : name((p - first) % period))),
    clean: stream.other ?? NaN,
    corrupted: stream.base,
    stream: stream.effect(),
    heads: heads.effect(),
  };
}

/** A token in the place of one: that of another prompt or, where it stands in the prompt, one that does not. */
function otherThan(prompt: readonly number[], proposed: number | undefined, at: number, d_vocab: number): number {
  if (proposed !== undefined && !prompt.includes(proposed)) return proposed;
  for (let id = 0; id < d_vocab; id++) if (!prompt.includes(id)) return id;
  return ((prompt[at] as number) + 1) % d_vocab;
}

/**
 * Draws shares restored by layer and position, and by head.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawInductionPatching, inductionPatching } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawInductionPatching(inductionPatching(await openBundledModel()));
 * console.log(figure.svg.includes("before layer 1"));
 * // true
 * ```
 */
export function drawInductionPatching(data: InductionPatching, captions: Captions = {}): Figure {
  const fields = "period prompts labels clean corrupted stream heads";
  requireData(data, fields, "inductionPatching", "drawInductionPatching", captions);
  const [rows = 0, cols = 0] = data.stream.shape;
  return smallMultiples({
    title: TITLE,
    subtitle: `Of ${data.prompts} prompts … A B … A the first A is another token, which takes ln p(B) at the end from ${formatNumber(data.clean)} to ${formatNumber(data.corrupted)} nats: the share that comes back with one clean activation.`,
    ...captions,
    figures: [
      heatmap({
        title: "The stream at one position",
        values: { rows, cols, data: rawData(data.stream) },
        rowLabels: Array.from({ length: rows }, (_, layer) => `before layer ${layer}`),
        columnLabels: data.labels,
        xLabel: "position",
        legendLabel: "share restored",
        scale: "diverging",
        limit: 1,
        showValues: true,
        format: { decimals: 2 },
        cell: 44,
      }),
      headGrid({
        values: data.heads,
        title: "The output of one head, at all positions",
        limit: 1,
        scale: "diverging",
        legendLabel: "share restored",
      }),
    ],
    columns: 1,
  });
}

/** The list's entry. */
export const inductionPatchingEntry: FigureEntry<InductionPatching> = {
  name: "induction-patching",
  number: 23,
  title: TITLE,
  source: 'TransformerLens, "Activation patching"; Meng et al. 2022, "Causal Tracing"',
  needs: NEEDS,
  output: "svg",
  make: inductionPatching,
  draw: drawInductionPatching,
};
