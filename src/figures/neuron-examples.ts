/** Figure: where neurons of an MLP are most active, in the text around. */
import type { NeuronExamples } from "../heads/index.ts";
import { InputError } from "../errors.ts";
import { formatNumber, tokenTable } from "../viz/index.ts";
import type { Captions, Figure } from "../viz/index.ts";
import { requireData } from "./arguments.ts";
import type { FigureTokenizer } from "./input.ts";
import { tokenTexts } from "./labels.ts";

/** Neurons in one table, at most. */
const MOST = 50;

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
  const textOf = tokenTexts(tokenizer);
  return tokenTable({
    title: "Where neurons are most active",
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
