import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError, ShapeError } from "../../src/errors.ts";
import { lossPerToken, meanLoss, padPrompts } from "../../src/model/index.ts";
import { maxAbsDifference, Tensor } from "../../src/tensor/index.ts";
import { distance, filledModel } from "../support/filled-model.ts";
import { root } from "../support/files.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { randomModel } from "../support/random-model.ts";

interface Fixture {
  readonly tokens: number[][];
  readonly masks: Readonly<Record<string, number[][]>>;
  readonly models: Readonly<
    Record<
      string,
      {
        readonly config: Readonly<Record<string, unknown>>;
        readonly runs: Readonly<Record<string, { logits: number[]; pattern: number[]; loss: number }>>;
      }
    >
  >;
}

const fixture = JSON.parse(readFileSync(`${root}/test/fixtures/runs/attention-mask.json`, "utf8")) as Fixture;

describe.each(Object.entries(fixture.models))(
  "TransformerLens 3.9 under a mask: %s",
  (_, { config, runs: expected }) => {
    const model = filledModel(config);
    test.each(Object.entries(expected))(
      "%s: logits, patterns and loss, to 1e-5 (float32 sums)",
      (kind, { logits, pattern, loss }) => {
        const attentionMask = fixture.masks[kind] ?? [];
        const run = model.run(fixture.tokens, { attentionMask });
        expect(distance(run.logits, logits)).toBeLessThan(1e-5);
        expect(distance(run.cache.get("blocks.1.attn.hook_pattern"), pattern)).toBeLessThan(1e-5);
        expect(Math.abs(meanLoss(run.logits, run.tokens, { attentionMask }) - loss)).toBeLessThan(1e-5);
        // Without patterns in sight, and with booleans.
        const isText = attentionMask.map((row) => row.map((entry) => entry === 1));
        expect(distance(model.run(fixture.tokens, { attentionMask: isText, cache: [] }).logits, logits)).toBeLessThan(
          1e-5,
        );
      },
    );
  },
);

test("padded on either side, a prompt of any model has the logits that it has alone, to 2e-5 of their size", () => {
  const prompt = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(
      fc.oneof(modelOptions, mlpModelOptions),
      fc.array(prompt, { minLength: 1, maxLength: 3 }),
      fc.constantFrom("left", "right"),
      fc.integer({ min: 0, max: 1 }),
      (options, prompts, side, pad) => {
        const model = randomModel(options);
        const { tokens, attentionMask } = padPrompts(prompts, { side, pad });
        const { logits } = model.run(tokens, { attentionMask, unembed: "last", cache: [] });
        for (const [b, ids] of prompts.entries()) {
          const alone = model.run(ids, { unembed: "last", cache: [] }).logits;
          const bound = 2e-5 * (1 + Math.max(...alone.data.map(Math.abs)));
          expect(maxAbsDifference(logits.slice("batch", b, b + 1), alone)).toBeLessThan(bound);
        }
      },
    ),
    runs(11, 80),
  );
});

test("bidirectional attention sees no padding either", () => {
  const model = randomModel({ config: { attention_dir: "bidirectional" } });
  const { tokens, attentionMask } = padPrompts([[1, 2, 3], [4]], { side: "right" });
  const { logits, cache } = model.run(tokens, { attentionMask });
  expect(cache.get("blocks.0.attn.hook_pattern").at(1, 0, 0, 1)).toBe(0);
  expect(Math.abs(logits.at(1, 0, 3) - model.forward([4]).at(0, 0, 3))).toBeLessThan(1e-5);
});

test("a mask that hides nothing is as none, to the bit", () => {
  const model = randomModel({ position: "rotary" });
  const { logits } = model.run([1, 2, 3], { attentionMask: [1, 1, 1] });
  expect(maxAbsDifference(logits, model.forward([1, 2, 3]))).toBe(0);
});

test("losses of padding are 0 and count for nothing", () => {
  const logits = Tensor.zeros("batch pos d_vocab", [1, 4, 8]);
  const attentionMask = [0, 1, 1, 0];
  expect([...lossPerToken(logits, [1, 2, 3, 4], { attentionMask }).data]).toEqual([0, Math.fround(Math.log(8)), 0]);
  expect(meanLoss(logits, [1, 2, 3, 4], { attentionMask })).toBeCloseTo(Math.log(8), 6);
  expect(() => meanLoss(logits, [1, 2, 3, 4], { attentionMask: [0, 1, 0, 1] })).toThrow("no prediction");
});

describe("refused", () => {
  const model = randomModel();
  const runWith = (attentionMask: unknown) => () =>
    model.run(
      [
        [1, 2],
        [3, 4],
      ],
      { attentionMask: attentionMask as never },
    );

  test("masks of another shape", () => {
    expect(runWith([1, 1])).toThrow(ShapeError);
    expect(runWith([[1, 1], [1]])).toThrow("the attention mask is 2, 1 but the tokens are [batch=2 pos=2]");
    expect(runWith(Tensor.zeros("batch pos", [1, 2]))).toThrow(ShapeError);
  });

  test("entries other than 0 and 1, naming the place, and prompts without text", () => {
    expect(
      runWith([
        [1, 1],
        [1, 0.5],
      ]),
    ).toThrow("the attention mask is 0.5 at position 1 of prompt 1");
    expect(
      runWith([
        [1, 1],
        [0, 0],
      ]),
    ).toThrow("hides all of prompt 1");
    expect(runWith("left")).toThrow(InputError);
  });

  test("nothing to pad, and an unknown side", () => {
    expect(() => padPrompts([[1], []])).toThrow("prompt 1 is empty");
    expect(() => padPrompts([[1]], { side: "both" as never })).toThrow("the choices are left, right");
  });
});
