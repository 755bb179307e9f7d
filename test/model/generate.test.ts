import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { generate, generateTokens } from "../../src/model/index.ts";
import type { GeneratedToken, GenerateOptions } from "../../src/model/index.ts";
import { maxAbs } from "../../src/tensor/internal.ts";
import { filledModel } from "../support/filled-model.ts";
import { root } from "../support/files.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { randomModel } from "../support/random-model.ts";

interface Fixture {
  readonly prompts: number[][];
  readonly models: Readonly<Record<string, { config: Readonly<Record<string, unknown>>; texts: number[][] }>>;
}

const fixture = JSON.parse(readFileSync(`${root}/test/fixtures/runs/generation.json`, "utf8")) as Fixture;

async function collected(...given: Parameters<typeof generateTokens>): Promise<GeneratedToken[]> {
  const all: GeneratedToken[] = [];
  for await (const each of generateTokens(...given)) all.push(each);
  return all;
}

describe("TransformerLens 3.9, the largest logit each time", () => {
  test.each(Object.entries(fixture.models))("%s", (_, { config, texts }) => {
    const model = filledModel(config);
    const written = fixture.prompts.map((prompt) => generate(model, prompt, { temperature: 0 }));
    expect(written).toEqual(texts);
  });
});

test("each token's logits are those of a run of the whole text, to 1e-5 of their size, up to n_ctx", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(modelOptions, mlpModelOptions),
      fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 6 }),
      async (options, prompt) => {
        const model = randomModel(options);
        const ids = [...prompt];
        for (const { token, logits, logProbability } of await collected(model, prompt, { temperature: 0 })) {
          const whole = Array.from(model.run(ids, { unembed: "last", cache: [] }).logits.data);
          const bound = 1e-5 * (1 + maxAbs(whole));
          for (const [id, logit] of logits.data.entries()) {
            expect(Math.abs(logit - (whole[id] as number))).toBeLessThan(bound);
          }
          const total = Math.log(whole.reduce((sum, x) => sum + Math.exp(x - maxAbs(whole)), 0));
          expect(Math.abs(logProbability - ((whole[token] as number) - maxAbs(whole) - total))).toBeLessThan(3 * bound);
          // Among logits that are equal to rounding either may be taken.
          expect(Math.max(...whole) - (whole[token] as number)).toBeLessThan(bound);
          ids.push(token);
        }
        expect(ids.length).toBe(model.config.n_ctx);
      },
    ),
    runs(41, 40),
  );
});

describe("draws", () => {
  const model = randomModel({ d_vocab: 6, n_ctx: 4 });
  const logits = Array.from(model.run([1, 2], { unembed: "last" }).logits.data);
  const next = (options: GenerateOptions): number =>
    generate(model, [1, 2], { maxNewTokens: 1, ...options }).at(-1) as number;
  const N = 500;
  const shares = (options: GenerateOptions): number[] => {
    const counts = new Array<number>(6).fill(0);
    for (let seed = 0; seed < N; seed++) {
      const token = next({ ...options, seed });
      counts[token] = (counts[token] as number) + 1;
    }
    return counts.map((count) => count / N);
  };
  const softmaxOf = (temperature: number, keep: (rank: number, before: number) => boolean): number[] => {
    const weights = logits.map((x) => Math.exp(x / temperature));
    const whole = weights.reduce((a, b) => a + b);
    const order = logits.map((_, id) => id).sort((a, b) => (logits[b] as number) - (logits[a] as number));
    let before = 0;
    const kept = new Set(
      order.filter((id, rank) => {
        const isKept = keep(rank, before);
        before += (weights[id] as number) / whole;
        return isKept;
      }),
    );
    const total = weights.reduce((sum, w, id) => sum + (kept.has(id) ? w : 0), 0);
    return weights.map((w, id) => (kept.has(id) ? w / total : 0));
  };

  test.each([
    ["temperature 1", {}, softmaxOf(1, () => true)],
    ["temperature 0.5", { temperature: 0.5 }, softmaxOf(0.5, () => true)],
    ["the 3 most likely", { topK: 3 }, softmaxOf(1, (rank) => rank < 3)],
    ["the likeliest 0.6", { topP: 0.6 }, softmaxOf(1, (_, before) => before < 0.6)],
    ["the likeliest 0.7 at temperature 2", { topP: 0.7, temperature: 2 }, softmaxOf(2, (_, before) => before < 0.7)],
  ] as const)("%s: shares over 500 seeds are the probabilities, to 5 standard errors", (_, options, expected) => {
    for (const [id, share] of shares(options).entries()) {
      const p = expected[id] as number;
      expect(Math.abs(share - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / N));
    }
  });

  test("are the largest logit where one token is left, and the same for a seed", () => {
    const best = next({ temperature: 0 });
    expect([next({ topK: 1, seed: 3 }), next({ topP: 1e-9, seed: 3 }), next({ temperature: 1e-9 })]).toEqual([
      best,
      best,
      best,
    ]);
    const text = (seed: number): string => generate(model, [1], { seed, temperature: 3 }).join();
    expect(text(5)).toBe(text(5));
    expect(new Set([0, 1, 2, 3, 4].map(text)).size).toBeGreaterThan(1);
  });
});

describe("ends", () => {
  const model = randomModel({ n_ctx: 8 });
  const [first = 0, second = 0] = generate(model, [1, 2], { temperature: 0, maxNewTokens: 2 }).slice(2);

  test("after a stop token, which it still gives, or after so many", () => {
    expect(generate(model, [1, 2], { temperature: 0, stopTokens: [first] })).toEqual([1, 2, first]);
    expect(generate(model, [1, 2], { temperature: 0, maxNewTokens: 2 })).toEqual([1, 2, first, second]);
    expect(generate(model, [1, 2]).length).toBe(8);
  });

  test("when its signal says so, between tokens", async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { token } of generateTokens(model, [1, 2], { signal: abort.signal })) {
        seen.push(token);
        abort.abort(new Error("enough"));
      }
    })();
    await expect(reading).rejects.toThrow("enough");
    expect(seen.length).toBe(1);
    expect(() => generate(model, [1], { signal: AbortSignal.abort(new Error("no")) })).toThrow("no");
  });
});

describe("refused", () => {
  const model = randomModel({ n_ctx: 4 });
  test("more than n_ctx holds, with how many fit", () => {
    expect(() => generate(model, [1, 2, 3], { maxNewTokens: 2 })).toThrow(
      "a prompt of 3 tokens leaves room for 1 of n_ctx=4, not for 2",
    );
    expect(() => generate(model, [1, 2, 3, 4])).toThrow("leaves room for 0 of n_ctx=4");
    expect(() => generate(model, [1, 2, 3, 4, 5])).toThrow(InputError);
  });

  test.each<[string, GenerateOptions, string]>([
    ["no tokens", { maxNewTokens: 0 }, "maxNewTokens is 0"],
    ["a negative temperature", { temperature: -1 }, "temperature is -1"],
    ["a temperature that is no number", { temperature: NaN }, "temperature is NaN"],
    ["no token to draw from", { topK: 0 }, "topK is 0"],
    ["a share beyond 1", { topP: 1.5 }, "topP is 1.5"],
    ["a stop token out of range", { stopTokens: [99] }, "a stop token is 99"],
  ])("%s", (_, options, text) => {
    expect(() => generate(model, [1], options)).toThrow(text);
  });

  test("several prompts, and models that see later tokens or write others than they read", () => {
    expect(() => generate(model, [[1], [2]])).toThrow("tokens are 2 prompts");
    expect(() => generate(randomModel({ config: { attention_dir: "bidirectional" } }), [1])).toThrow(ConfigError);
    expect(() => generate(randomModel({ config: { d_vocab_out: 5 } }), [1])).toThrow(ConfigError);
  });
});
