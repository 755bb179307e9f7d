/** Figure: which heads' ablation takes back what training changed. */
import { beforeAndAfterAttribution, headAblation } from "../../heads/index.ts";
import { runLosses } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { headGrid } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { checkpointsOf, eachCheckpoint } from "./checkpoints.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { equalWindows } from "./training-losses.ts";

/**
 * The change of the losses between two checkpoints, attributed to heads by ablation.
 * @category Figures
 */
export interface ChangeAttribution {
  /** Labels of the two checkpoints. */
  readonly before: string;
  readonly after: string;
  readonly windows: number;
  readonly length: number;
  /**
   * `[layer, head]`: the effect of ablating the head along the change, in nats times the root of the number of tokens;
   * negative for heads that made losses fall.
   */
  readonly attribution: Tensor<"layer head">;
}

const NEEDS: readonly FigureNeed[] = ["layer", "text", "causal", "next token", "checkpoints"];
const LENGTH = 256;
const MOST_WINDOWS = 8;
const WORK = 2e10;

/**
 * The change of per-token losses from the first checkpoint to the last, attributed to the heads of the last by
 * pattern-preserving ablation (*In-context Learning and Induction Heads*, "before-and-after vector"). Give the
 * checkpoints at both ends of a phase change.
 *
 * @param options - `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, its output tokens are not its input
 * tokens, or a checkpoint is of another model; {@link InputError} when there is no text or a single checkpoint.
 * @category Figures
 * @example
 * ```ts
 * import { map } from "transformer-circuits";
 * import { changeAttribution } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 * import { Transformer } from "transformer-circuits";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(20);
 * const { model, tokenizer } = await openBundledModel();
 * // Before: the same model without its second layer.
 * const weights = [...model.weights].map(
 *   ([name, W]) => [name, name === "blocks.1.attn.W_O" ? map(W, () => 0) : W] as const,
 * );
 * const before = Transformer.fromWeights(model.config, new Map(weights));
 * const checkpoints = [before, model].map((one, step) => ({ label: `${step}`, step, load: () => one }));
 * const { attribution } = await changeAttribution({ model, tokenizer, text, checkpoints });
 * console.log(attribution.at(1, 4) < 0);
 * // true
 * ```
 */
export async function changeAttribution(input: FigureInput, options: FigureOptions = {}): Promise<ChangeAttribution> {
  const operation = "changeAttribution";
  requireNeeds(NEEDS, input, operation, options);
  const all = checkpointsOf(input);
  const ends = [all[0], all[all.length - 1]] as [(typeof all)[number], (typeof all)[number]];
  const { n_layers, n_heads } = input.model.config;
  const windows = equalWindows(input, LENGTH, MOST_WINDOWS, WORK / (n_layers * n_heads), operation);
  const { signal, onProgress } = options;
  const ablated: Tensor[] = [];
  const [before, after] = (await eachCheckpoint(
    { ...input, checkpoints: ends },
    { signal },
    operation,
    (model, index) => {
      if (index === 1)
        headAblation(model, windows, {
          patterns: "kept",
          signal,
          onProgress,
          onLosses: (_, losses) => ablated.push(losses),
        });
      return runLosses(model, windows);
    },
  )) as [Tensor, Tensor];
  return {
    before: ends[0].label,
    after: ends[1].label,
    windows: windows.length,
    length: windows[0]?.length ?? 0,
    attribution: Tensor.from("layer head", [n_layers, n_heads], beforeAndAfterAttribution({ before, after }, ablated)),
  };
}

/**
 * Draws the attribution of a change to heads as a grid.
 *
 * @category Figures
 * @example
 * ```ts
 * import { changeAttribution, drawChangeAttribution } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const input = {
 *   ...(await openBundledModel()),
 *   text: "interface Array<T> { readonly length: number; }\n".repeat(20),
 * };
 * const checkpoints = [1000, 2000].map((step) => ({ label: `${step}`, step, load: () => input.model }));
 * console.log(drawChangeAttribution(await changeAttribution({ ...input, checkpoints })).label);
 * // Which heads carry the change of the losses from 1000 to 2000
 * ```
 */
export function drawChangeAttribution(data: ChangeAttribution, captions: Captions = {}): Figure {
  requireData(
    data,
    "before after windows length attribution",
    "await changeAttribution",
    "drawChangeAttribution",
    captions,
  );
  return headGrid({
    title: `Which heads carry the change of the losses from ${data.before} to ${data.after}`,
    subtitle: `Effect of ablating a head, patterns kept, along the change of the losses of ${data.windows} × ${data.length - 1} tokens. Negative: without the head, what was gained is lost.`,
    values: data.attribution,
    scale: "diverging",
    legendLabel: "nats √tokens",
    ...captions,
  });
}

/** The list's entry. */
export const changeAttributionEntry: FigureEntry<ChangeAttribution> = {
  name: "ablation-attribution",
  number: 25,
  title: "Which heads carry the change of the losses from the first checkpoint to the last",
  source: 'In-context Learning and Induction Heads, "before-and-after vector"',
  needs: NEEDS,
  takesCheckpoints: true,
  output: "svg",
  make: changeAttribution,
  draw: drawChangeAttribution,
};
