/** Figure: where neurons of an MLP are most active, in the text around. */
import { neuronExamples } from "../heads/index.ts";
import type { NeuronExamples } from "../heads/index.ts";
import { InputError } from "../errors.ts";
import { formatNumber, tokenTable } from "../viz/index.ts";
import type { Captions, Figure } from "../viz/index.ts";
import { requireData } from "./arguments.ts";
import type { FigureEntry } from "./entry.ts";
import { requireNeeds, windowsOf } from "./input.ts";
import type { FigureInput, FigureNeed, FigureOptions, FigureTokenizer } from "./input.ts";
import { shownTexts } from "./labels.ts";
import type { FigureToken } from "./labels.ts";

/** Neurons in one table, at most. */
const MOST = 50;

const NEEDS: readonly FigureNeed[] = ["mlps", "text"];
const WINDOWS = { length: 128, count: 16 };
const LISTED = 6;
const SHOWN = 4;

/** The examples of a few neurons of a model, with the texts of the tokens in them. */
interface NeuronFigure extends NeuronExamples {
  readonly tokens: readonly FigureToken[];
}

/** Of the middle layer the neurons that are most active somewhere in the text. */
function strongNeurons(input: FigureInput, options: FigureOptions = {}): NeuronFigure {
  requireNeeds(NEEDS, input, "neuron-examples", options);
  const { model, tokenizer } = input;
  const windows = windowsOf(input, WINDOWS, "neuron-examples");
  const layer = Math.floor((model.config.n_layers - 1) / 2);
  const { signal, onProgress } = options;
  const found = neuronExamples(model, windows, { layer, count: SHOWN, signal, onProgress });
  const peak = ({ examples }: NeuronExamples["neurons"][number]): number => examples[0]?.activation ?? 0;
  const neurons = [...found.neurons].sort((a, b) => peak(b) - peak(a) || a.neuron - b.neuron).slice(0, LISTED);
  const ids = new Set(neurons.flatMap(({ examples }) => examples.flatMap(({ tokens }) => tokens)));
  const textOf = shownTexts(tokenizer);
  return { ...found, neurons, tokens: [...ids].map((id) => ({ id, text: textOf(id) })) };
}

function drawStrongNeurons({ tokens, ...found }: NeuronFigure, captions: Captions = {}): Figure {
  const texts = new Map(tokens.map(({ id, text }) => [id, text]));
  const tokenString = (id: number): string => texts.get(id) ?? `#${id}`;
  return drawNeuronExamples(found, { tokenString, encode: () => [], bos: undefined }, captions);
}

/**
 * Draws the examples of neurons that {@link neuronExamples} finds: under each neuron its most active places, every
 * token on what the neuron does there.
 *
 * @param found - of at most 50 neurons.
 * @param tokenizer - makes text of token ids; without one they are shown as `#123`.
 * @throws {@link InputError} when the data is none, or of more neurons.
 * @category Figures
 * @example
 * ```ts
 * import { Transformer, expectedWeights, parseConfig } from "transformer-circuits";
 * import { drawNeuronExamples } from "transformer-circuits/figures";
 * import { neuronExamples } from "transformer-circuits/heads";
 * import { randomNormal } from "transformer-circuits/tensor";
 *
 * const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, act_fn: "gelu" });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const model = Transformer.fromWeights(config, weights);
 * const found = neuronExamples(model, [[0, 1, 2, 3], [4, 5, 6]], { layer: 0, neurons: [7] });
 * console.log(drawNeuronExamples(found).label);
 * // Where neurons are most active
 * ```
 */
export function drawNeuronExamples(
  found: NeuronExamples,
  tokenizer?: FigureTokenizer,
  captions: Captions = {},
): Figure {
  const operation = "drawNeuronExamples";
  requireData(found, "prompts positions neurons", "neuronExamples", operation, captions);
  const { neurons, positions, prompts } = found;
  if (neurons.length > MOST) {
    throw new InputError(`${neurons.length} neurons are more than a table shows. Name at most ${MOST} of them.`, {
      operation,
      argument: "found",
      expected: `<= ${MOST}`,
      actual: neurons.length,
    });
  }
  const textOf = shownTexts(tokenizer);
  return tokenTable({
    title: ENTRY_TITLE,
    subtitle: `Of ${formatNumber(positions)} positions in ${formatNumber(prompts)} prompts the most active, one a prompt; the outlined token is the place.`,
    ...captions,
    columns: [{ label: "activation" }, { label: "in the text", legend: "activation of each token" }],
    groups: neurons.map(({ layer, neuron, examples, mean, active }) => ({
      label: `L${layer} neuron ${neuron}`,
      note: `above 0 at ${formatNumber(100 * active)} % of positions; mean ${formatNumber(mean)}`,
      rows: examples.map((one) => [
        one.activation,
        one.tokens.map((id, i) => ({ token: textOf(id), value: one.activations[i] ?? 0, marked: i === one.at })),
      ]),
    })),
  });
}

const ENTRY_TITLE = "Where neurons are most active";

/** The list's entry. */
export const neuronExamplesEntry: FigureEntry<NeuronFigure> = {
  name: "neuron-examples",
  number: 28,
  title: ENTRY_TITLE,
  source: 'Elhage et al. 2022, Softmax Linear Units, "dataset examples"',
  needs: NEEDS,
  output: "svg",
  make: (input, options) => strongNeurons(input, options),
  draw: (data, captions) => drawStrongNeurons(data, captions),
};
