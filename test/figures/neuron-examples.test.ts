/** The table of neurons' examples. */
import { describe, expect, test } from "vitest";
import { drawNeuronExamples, figureEntry, figureFromJson, figureJson, makeFigure } from "../../src/figures/index.ts";
import { neuronExamples } from "../../src/heads/index.ts";
import { splitWindows } from "../../src/model/index.ts";
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

describe("the entry of the list", () => {
  const text = Array.from({ length: 40 }, (_, i) => (i * i + 3) % 9);

  test.each([1, 2, 3, 4])("shows the most active neurons of the middle one of %d layers", async (n_layers) => {
    const one = randomModel({ mlp: "gelu", n_layers, n_ctx: 16 });
    const { figure, data } = await makeFigure("neuron-examples", { model: one, tokenizer, text });
    const layer = Math.floor((n_layers - 1) / 2);
    const shown = [...figure.svg.matchAll(/L(\d+) neuron (\d+)/g)].map(([, l, n]) => [Number(l), Number(n)]);
    expect(new Set(shown.map(([l]) => l))).toEqual(new Set([layer]));
    expect(shown).toHaveLength(6);
    const found = neuronExamples(one, splitWindows(text, { length: 16 }), { layer, count: 4 });
    const peaks = found.neurons.map(({ neuron, examples }) => ({ neuron, peak: examples[0]?.activation ?? 0 }));
    peaks.sort((a, b) => b.peak - a.peak);
    expect(shown.map(([, n]) => n)).toEqual(peaks.slice(0, 6).map(({ neuron }) => neuron));
    expect(figureFromJson(figureJson("neuron-examples", data)).figure.svg).toBe(figure.svg);
    expect(figure.svg).toContain("·t3");
  });

  test("is refused in words for models without MLPs, and without a text", async () => {
    expect(figureEntry("neuron-examples").needs).toEqual(["mlps", "text"]);
    await expect(makeFigure("neuron-examples", { model: randomModel(), text })).rejects.toThrow(
      "this figure cannot be made of this model: it shows neurons, and this model has no MLPs (attn_only=true). Choose another figure or model.",
    );
    await expect(makeFigure("neuron-examples", { model })).rejects.toThrow("runs the model on a text");
  });
});
