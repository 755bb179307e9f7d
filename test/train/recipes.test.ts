/** Runs of training as data. */
import { describe, expect, test } from "vitest";
import { edit } from "../../src/interventions/index.ts";
import { train, trainingRecipe } from "../../src/train/index.ts";
import type { RecipeData, RecipeJSON } from "../../src/train/index.ts";

const DRAWN = ["repeated-tokens", "markov-chains", "skip-trigrams", "associative-recall", "max-of-k"] as const;

/** One token a character. */
const letters = { encode: (text: string) => Array.from(text, (c) => c.charCodeAt(0) % 32), vocabSize: 32 };
const options = { text: "abcdefghij ".repeat(200), tokenizer: letters };

describe("the usual runs", () => {
  test.each([...DRAWN, "text"] as const)("%s: trains, and its JSON gives it again, to the bit", async (kind) => {
    const recipe = trainingRecipe({ data: { kind, batch: 2 }, steps: 2, seed: 3 }, options);
    const first = await train(recipe.start(), recipe.data, recipe.options);
    const json = JSON.parse(JSON.stringify(recipe)) as RecipeJSON;
    const again = trainingRecipe(json, options);
    expect(again.toJSON()).toEqual(json);
    const second = await train(again.start(), again.data, again.options);
    expect(second.losses).toEqual(first.losses);
    expect([...second.model.weights.keys()].length).toBeGreaterThan(4);
    for (const [name, weight] of first.model.weights) expect(second.model.weights.get(name)?.data).toEqual(weight.data);
  });

  test("another seed is another model and other data", () => {
    const [a, b] = [1, 2].map((seed) => trainingRecipe({ seed }));
    expect(a?.start().weights.get("embed.W_E")?.data).not.toEqual(b?.start().weights.get("embed.W_E")?.data);
    expect(a?.data.batch(0).tokens).not.toEqual(b?.data.batch(0).tokens);
  });

  test("data fill the vocabulary and the context of a model that is given", () => {
    const { data, config } = trainingRecipe({ model: { n_ctx: 20, d_vocab: 9 } });
    expect([data.n_ctx, data.d_vocab, config.n_ctx, config.d_vocab]).toEqual([20, 9, 20, 9]);
    const larger = trainingRecipe({ model: { n_ctx: 64 }, data: { kind: "max-of-k", k: 3 } });
    expect([larger.data.n_ctx, larger.config.n_ctx]).toEqual([3, 64]);
  });

  test("held-out prompts are those of no step", () => {
    const { data, heldOut } = trainingRecipe({ data: { kind: "markov-chains", batch: 4 }, steps: 5 });
    for (let step = 0; step < 5; step++) expect(data.batch(step).tokens.data).not.toEqual(heldOut.tokens.data);
  });
});

describe("known losses", () => {
  test("of Markov chains: uniform, unigram and bigram guesses, counted by hand on the held-out prompts", () => {
    const { floors, heldOut } = trainingRecipe({ data: { kind: "markov-chains", d_vocab: 3, n_ctx: 12, batch: 5 } });
    const rows = heldOut.tokens.toNested() as number[][];
    const lossOf = (counts: (row: number[], t: number) => number[]): number => {
      const losses = rows.flatMap((row) =>
        row.slice(1).map((next, t) => {
          const seen = counts(row, t);
          return -Math.log(((seen[next] ?? 0) + 1) / (seen.reduce((sum, n) => sum + n, 0) + 3));
        }),
      );
      return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    };
    const tally = (tokens: number[]): number[] => [0, 1, 2].map((id) => tokens.filter((one) => one === id).length);
    expect(Object.keys(floors)).toEqual(["uniform", "unigram", "bigram"]);
    expect(floors["uniform"]).toBeCloseTo(Math.log(3), 12);
    expect(floors["unigram"]).toBeCloseTo(
      lossOf((row, t) => tally(row.slice(0, t + 1))),
      10,
    );
    expect(floors["bigram"]).toBeCloseTo(
      lossOf((row, t) => tally(row.slice(1, t + 1).filter((_, i) => row[i] === row[t]))),
      10,
    );
  });

  test("of other data: an even guess and the optimum, where predictions count", () => {
    const max = trainingRecipe({ data: { kind: "max-of-k", d_vocab: 10 } }).floors;
    expect(max).toEqual({ uniform: Math.log(10), optimum: 0 });
    const recall = { kind: "associative-recall", keys: 4, values: 8, pairs: 2, questions: 1, lossOn: "all" } as const;
    // The second of four keys, two values, which of two keys is asked, and its value for nothing; the first is given.
    const sum = Math.log(3) + 2 * Math.log(8) + Math.log(2);
    expect(trainingRecipe({ data: recall }).floors["optimum"]).toBeCloseTo(sum / 5, 12);
    expect(trainingRecipe({ data: { kind: "text" } }, options).floors).toEqual({});
  });
});

test("edits hold for their steps: a head at nothing is moved by weight decay alone", async () => {
  const silent = [edit("L0H0", "zero")];
  const written = JSON.parse(JSON.stringify([{ edits: silent, to: 3 }])) as NonNullable<RecipeJSON["edits"]>;
  const recipe = trainingRecipe({
    data: { kind: "markov-chains", batch: 2 },
    model: { n_layers: 1, n_heads: 2, d_model: 8 },
    optimizer: { kind: "adamw", lr: 0.1, weightDecay: 0.5 },
    steps: 3,
    edits: written,
  });
  const start = recipe.start();
  const { model } = await train(start, recipe.data, recipe.options);
  const [before, after] = [start, model].map((one) => one.weights.get("blocks.0.attn.W_O"));
  const half = (before?.size ?? 0) / 2;
  // AdamW's decay: (1 - lr * weightDecay) at each step.
  for (let i = 0; i < half; i++) expect(after?.data[i]).toBeCloseTo((before?.data[i] ?? NaN) * (1 - 0.1 * 0.5) ** 3, 6);
  expect(after?.data[half]).not.toBeCloseTo((before?.data[half] ?? NaN) * 0.95 ** 3, 3);
});

test("schedules that fall do so until the last step, and what is given is kept", () => {
  const { options: told } = trainingRecipe({ steps: 7, schedule: { kind: "cosine", warmup: 2 }, clip: { norm: 1 } });
  expect(told.schedule).toEqual({ kind: "cosine", warmup: 2, steps: 7, floor: 0 });
  expect(told.clip).toEqual({ norm: 1 });
});

test.each([
  ["a field that is none", { stepz: 3 }, 'there is no option "stepz". Did you mean steps?'],
  ["data that are none", { data: { kind: "poems" } }, 'data.kind is "poems"; the choices are repeated-tokens, markov'],
  ["an option that the data have not", { data: { kind: "max-of-k", length: 3 } }, 'there is no option "length"'],
  ["an optimizer that is none", { optimizer: { kind: "lion" } }, 'optimizer.kind is "lion"; the choices are adamw'],
  ["a setting that is none", { optimizer: { kind: "sgd", betas: [0, 0] } }, 'there is no option "betas"'],
  ["a schedule that is none", { schedule: { kind: "rising" } }, "schedule is an object"],
  ["no steps", { steps: 0 }, "steps is 0"],
  ["a seed that is none", { seed: -1 }, "seed is -1"],
  ["a model that cannot be", { model: { n_heads: 3, d_model: 8 } }, "is no multiple of n_heads=3"],
  ["edits that are none", { edits: [{ edits: 3 }] }, "edits[0].edits is 3"],
  ["a text without text", { data: { kind: "text" as RecipeData } }, "there is no text"],
])("refuses %s", (_, json, said) => {
  expect(() => trainingRecipe(json as RecipeJSON)).toThrow(said);
});
