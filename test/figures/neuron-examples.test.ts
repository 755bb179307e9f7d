/** The table of neurons' examples. */
import { expect, test } from "vitest";
import { drawNeuronExamples } from "../../src/figures/index.ts";
import { neuronExamples } from "../../src/heads/index.ts";
import { randomModel } from "../support/random-model.ts";

const model = randomModel({ mlp: "gelu" });
const tokenizer = { encode: () => [], tokenString: (id: number) => ` t${id}`, bos: undefined };

test("each place stands in its text, outlined, with the neuron's activations on hover", () => {
  const found = neuronExamples(
    model,
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ],
    { layer: 1, neurons: [4, 2], before: 1, after: 1 },
  );
  const { svg, label } = drawNeuronExamples(found, tokenizer);
  expect(label).toBe("Where neurons are most active");
  expect(svg).toContain("L1 neuron 4");
  expect(svg.match(/·t\d+: /g)?.length).toBe(
    found.neurons.flatMap(({ examples }) => examples.flatMap((e) => e.tokens)).length,
  );
  expect(svg.match(/tc-line tc-s-ink/g)?.length).toBe(4);
  expect(drawNeuronExamples(found).svg).toContain("#1");
});

test("more neurons than a table shows are refused, and what is no data", () => {
  const wide = randomModel({ mlp: "gelu", d_model: 60 });
  const found = neuronExamples(wide, [[1, 2]], { layer: 0 });
  expect(() => drawNeuronExamples(found)).toThrow("63 neurons are more than a table shows. Name at most 50 of them");
  expect(() => drawNeuronExamples(5 as never)).toThrow("drawNeuronExamples");
});
