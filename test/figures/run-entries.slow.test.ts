/** Every figure of the list's second part on models of all kinds: made, or refused with the reason. */
import { describe, expect, it } from "vitest";
import { figureEntries, figureFromJson, figureJson, makeFigure } from "../../src/figures/index.ts";
import { CircuitsError } from "../../src/errors.ts";
import { randomModel } from "../support/random-model.ts";
import { kinds, text } from "./kinds.ts";

const entries = figureEntries().filter(({ number }) => number >= 12);

describe.each(kinds)("%s", (kind, options) => {
  const model = randomModel({ n_ctx: 30, ...options });
  const ids = text.map((id) => id % model.config.d_vocab);
  const checkpoints = [1, 2].map((step) => ({ label: `${step}`, step, load: () => model }));
  it.each(entries.map((entry) => [entry.name, entry] as const))("%s", async (name, entry) => {
    const input = { model, text: ids, ...(entry.takesCheckpoints === true && { checkpoints }) };
    const lacksLayers = entry.needs.includes("two layers") && model.config.n_layers < 2;
    const lacksPositions = entry.needs.includes("positions") && model.config.positional_embedding_type === "none";
    const type = model.config.positional_embedding_type;
    const lacksTable = entry.needs.includes("table of positions") && (type === "none" || type === "rotary");
    const lacksMLPs = entry.needs.includes("mlps") && model.config.attn_only;
    if (lacksLayers || lacksPositions || lacksTable || lacksMLPs) {
      await expect(makeFigure(name, input)).rejects.toThrow(
        lacksMLPs
          ? "this model has no MLPs (attn_only=true)"
          : lacksLayers
            ? "this model has one layer (n_layers=1)"
            : lacksTable
              ? `this model has no table of them (positional_embedding_type=${type})`
              : "this model has none (positional_embedding_type=none)",
      );
      return;
    }
    const { figure, data } = await makeFigure(name, input);
    expect(figure.svg.length, kind).toBeGreaterThan(500);
    // Images are left out: their letters are any.
    const drawn = figure.svg.replace(/base64,[^"]*/g, "");
    expect(/="[^"]*(NaN|undefined|Infinity)[^"]*"/.exec(drawn)?.[0]).toBeUndefined();
    const json = figureJson(name, data);
    expect(json).toMatch(/^\{"figure":/);
    // what went through JSON is drawn alike
    const { figure: again } = figureFromJson(json);
    expect(again.html).toBe(figure.html);
  });
});

it("a model without layers has its embeddings alone, and is refused by all that show heads", async () => {
  const model = randomModel({ n_layers: 0, n_ctx: 30 });
  for (const { name, needs, takesCheckpoints } of entries) {
    const checkpoints =
      takesCheckpoints === true
        ? [
            { label: "a", load: () => model },
            { label: "b", load: () => model },
          ]
        : undefined;
    const made = makeFigure(name, { model, text, checkpoints });
    if (needs.some((need) => /layer|mlps/.test(need))) await expect(made).rejects.toThrow(CircuitsError);
    else expect((await made).figure.svg).toContain("<svg");
  }
});

it("heads that the model does not have are refused by name", async () => {
  const model = randomModel({ n_ctx: 30 });
  for (const name of ["ov-sample", "induction-examples", "all-heads", "offset-ablation", "positional-pattern"]) {
    await expect(makeFigure(name, { model, text }, { heads: ["L5H0"] })).rejects.toThrow(
      "there is no head L5H0 in this model",
    );
  }
});

it("models whose output tokens are others are refused where tokens are compared", async () => {
  const model = randomModel({ n_ctx: 30, config: { d_vocab_out: 5 } });
  for (const { name, needs } of entries) {
    if (!needs.includes("next token")) continue;
    await expect(
      makeFigure(name, {
        model,
        text,
        checkpoints: [
          { label: "a", load: () => model },
          { label: "b", load: () => model },
        ],
      }),
    ).rejects.toThrow("this model's output tokens are others than its input tokens (d_vocab=17, d_vocab_out=5)");
  }
});

it.each([
  ["not JSON", "nothing"],
  ["a list", "[1]"],
  ["data without a name", '{"data":{}}'],
  ["no text", undefined as unknown as string],
])("figureFromJson refuses %s", (_, json) => {
  expect(() => figureFromJson(json)).toThrow(
    'figureFromJson: json is not the text that figureJson gives, {"figure": "ov-eigenvalues", "data": { … }}.',
  );
});

it("figureFromJson refuses a figure that there is not", () => {
  expect(() => figureFromJson('{"figure":"loss-on-repeat","data":{}}')).toThrow("Nearest: loss-on-repeats");
});
