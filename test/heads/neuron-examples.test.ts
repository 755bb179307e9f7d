/** Most active places of neurons against a plain search through all activations of a run of each prompt. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { neuronExamples } from "../../src/heads/index.ts";
import { randomModel } from "../support/random-model.ts";

describe("neuronExamples", () => {
  test("finds what a search through every run finds, whatever the prompts (1e-6)", () => {
    const prompt = fc.array(fc.integer({ min: 0, max: 16 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(
        fc.array(prompt, { minLength: 1, maxLength: 8 }),
        fc.record({
          count: fc.integer({ min: 1, max: 4 }),
          before: fc.integer({ min: 0, max: 3 }),
          after: fc.integer({ min: 0, max: 3 }),
          layer: fc.integer({ min: 0, max: 1 }),
        }),
        fc.boolean(),
        (prompts, options, isStream) => {
          const model = randomModel({ mlp: "gelu", norm: "LN", position: "standard" });
          const given = isStream
            ? (function* () {
                yield* prompts;
              })()
            : prompts;
          const { neurons, positions } = neuronExamples(model, given, options);
          expect(positions).toBe(prompts.flat().length);
          expect(neurons.map(({ neuron }) => neuron)).toEqual(Array.from({ length: 15 }, (_, n) => n));
          const all = prompts.map((ids) => model.run(ids).cache.get(`blocks.${options.layer}.mlp.hook_post`));
          for (const { neuron, examples, mean, active } of neurons) {
            const values = all.map((post, b) => (prompts[b] ?? []).map((_, p) => post.at(0, p, neuron)));
            const best = values.map((list) => Math.max(...list)).sort((a, b) => b - a);
            expect(examples.length).toBe(Math.min(options.count, prompts.length));
            for (const [i, one] of examples.entries()) {
              expect(Math.abs(one.activation - (best[i] ?? NaN))).toBeLessThan(1e-6);
              const ids = prompts[one.prompt] ?? [];
              const from = Math.max(0, one.pos - options.before);
              expect(one.tokens).toEqual(ids.slice(from, one.pos + options.after + 1));
              expect(one.at).toBe(one.pos - from);
              for (const [k, x] of one.activations.entries()) {
                expect(Math.abs(x - (values[one.prompt]?.[from + k] ?? NaN))).toBeLessThan(1e-6);
              }
            }
            expect(new Set(examples.map((one) => one.prompt)).size).toBe(examples.length);
            const flat = values.flat();
            expect(Math.abs(mean - flat.reduce((a, b) => a + b, 0) / flat.length)).toBeLessThan(1e-6);
            expect(active).toBeCloseTo(flat.filter((x) => x > 0).length / flat.length, 9);
          }
        },
      ),
      { seed: 3, numRuns: 30 },
    );
  });

  test("a stream of prompts is read as far as it is needed: cancelled, no more of it is asked for", () => {
    const model = randomModel({ mlp: "relu", n_ctx: 64 });
    let asked = 0;
    const endless = (function* () {
      for (;;) {
        asked++;
        yield Array.from({ length: 64 }, (_, i) => (i * asked) % 17);
      }
    })();
    const abort = new AbortController();
    const totals: number[] = [];
    const onProgress = (done: number, total: number): void => {
      totals.push(total);
      if (done >= 200) abort.abort(new Error("enough"));
    };
    expect(() => neuronExamples(model, endless, { layer: 1, signal: abort.signal, onProgress })).toThrow("enough");
    expect(asked).toBeLessThan(400);
    expect(totals[0]).toBe(Infinity);
  });

  test("positions before `from` count for nothing", () => {
    const model = randomModel({ mlp: "relu" });
    const found = neuronExamples(model, [[1, 2, 3], [4]], { layer: 0, from: 1 });
    expect(found.positions).toBe(2);
    expect(found.neurons.every(({ examples }) => examples.length === 1 && examples[0]?.pos !== 0)).toBe(true);
    expect(() => neuronExamples(model, [[4]], { layer: 0, from: 1 })).toThrow("there is no position that counts");
  });

  test("what a model has not is refused", () => {
    const model = randomModel({ mlp: "relu" });
    expect(() => neuronExamples(randomModel(), [[1]], { layer: 0 })).toThrow(ConfigError);
    expect(() => neuronExamples(model, [[1]], { layer: 2 })).toThrow(InputError);
    expect(() => neuronExamples(model, [[1]], { layer: 0, neurons: [15] })).toThrow("neuron 15 is none of 15");
    expect(() => neuronExamples(model, [[1]], { layer: 0, neurons: [] })).toThrow("no neuron is named");
    expect(() => neuronExamples(model, [[1]], { layer: 0, before: -1 })).toThrow("before is -1");
    expect(() => neuronExamples(model, [[17]], { layer: 0 })).toThrow("is not a token id");
    expect(() => neuronExamples(model, 5 as never, { layer: 0 })).toThrow("prompts is no list");
  });
});
