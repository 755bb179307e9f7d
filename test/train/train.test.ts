/** The loop of training: what it comes to, what it shows on the way, and what it refuses. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { Random, useKernels } from "../../src/tensor/index.ts";
import { adamW, constantSchedule, initialModel, sgd, train, TrainingError } from "../../src/train/index.ts";
import type { TrainingBatch, TrainingCheckpoint } from "../../src/train/index.ts";

const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 16, n_ctx: 8, d_vocab: 6, attn_only: true });
const model = initialModel(config, { seed: 1 });

/** Sequences that count up from anywhere. */
function counting(step: number): TrainingBatch {
  const random = new Random(step);
  const starts = Array.from({ length: 4 }, () => random.int(6));
  return { tokens: starts.map((first) => Array.from({ length: 8 }, (_, i) => (first + i) % 6)) };
}

const numbersOf = (of: Transformer): number[] => [...of.weights.values()].flatMap(({ data }) => [...data]);

describe("train", () => {
  test("goes down, and leaves the model that it began with as it was", async () => {
    const before = numbersOf(model);
    const {
      losses,
      gradientNorms,
      state,
      model: trained,
    } = await train(model, counting, {
      steps: 80,
      optimizer: adamW({ lr: 0.01 }),
    });
    expect(losses[0]).toBeGreaterThan(1.5);
    expect(losses[79]).toBeLessThan(0.1);
    expect(gradientNorms.every((norm) => norm > 0)).toBe(true);
    expect(state.step).toBe(80);
    expect(numbersOf(state.model)).toEqual(numbersOf(trained));
    expect(numbersOf(model)).toEqual(before);
  });

  test("gives checkpoints that stay as they are, the first and the last included", async () => {
    const given: TrainingCheckpoint[] = [];
    const copies: number[][] = [];
    const { losses, model: last } = await train(model, counting, {
      steps: 7,
      checkpoints: 3,
      onCheckpoint: async (checkpoint) => {
        await Promise.resolve();
        given.push(checkpoint);
        copies.push(numbersOf(checkpoint.model));
      },
    });
    expect(given.map(({ step }) => step)).toEqual([0, 3, 6, 7]);
    expect(given.map(({ loss }) => loss)).toEqual([undefined, losses[2], losses[5], losses[6]]);
    expect(given.map((checkpoint) => numbersOf(checkpoint.model))).toEqual(copies);
    expect(copies[0]).toEqual(numbersOf(model));
    expect(copies[3]).toEqual(numbersOf(last));
    expect(copies[1]).not.toEqual(copies[2]);
  });

  test("goes on from a state as if it had never stopped", async () => {
    const options = { steps: 9, optimizer: adamW({ lr: 0.01 }), schedule: constantSchedule({ warmup: 4 }) };
    const whole = await train(model, counting, options);
    const half = await train(model, counting, { ...options, onStep: ({ step }) => (step === 3 ? "stop" : undefined) });
    expect(half.state.step).toBe(4);
    const rest = await train(half.state, counting, { steps: 9 });
    expect([...half.losses, ...rest.losses]).toEqual([...whole.losses]);
    expect(numbersOf(rest.model)).toEqual(numbersOf(whole.model));
  });

  test("says at which step and rate a loss is not finite, and keeps the run before", async () => {
    const run = train(model, counting, { steps: 9, optimizer: sgd({ lr: 1e30 }) });
    const error: unknown = await run.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TrainingError);
    const { step, rate, state, message } = error as TrainingError;
    expect([step, rate, state?.step]).toEqual([1, 1e30, 1]);
    expect(message).toContain("step 1: the loss is NaN, at a rate of 1e+30. Take a lower rate");
  });

  test("says so where an update is beyond float32", async () => {
    const run = train(model, counting, { steps: 1, optimizer: sgd({ lr: 1e300 }) });
    const error: unknown = await run.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TrainingError);
    expect((error as TrainingError).message).toContain("step 0: its update is beyond float32");
    expect((error as TrainingError).state).toBeUndefined();
  });

  test("with plain kernels comes to what WebAssembly comes to, within 1e-5", async () => {
    const options = { steps: 5, optimizer: adamW({ lr: 0.01 }) };
    const fast = await train(model, counting, options);
    useKernels("blocked");
    try {
      const plain = await train(model, counting, options);
      const others = numbersOf(plain.model);
      // Biases of keys have a gradient of rounding alone, which Adam divides by its own size.
      const names = [...model.weights].flatMap(([name, { size }]) => Array.from({ length: size }, () => name));
      for (const [i, x] of numbersOf(fast.model).entries()) {
        if (!names[i]?.endsWith("b_K")) expect(Math.abs(x - (others[i] as number))).toBeLessThan(1e-5);
      }
    } finally {
      useKernels("auto");
    }
  });

  test("shows itself in a few lines, and writes short JSON", async () => {
    const checkpoints: TrainingCheckpoint[] = [];
    const training = await train(model, counting, {
      steps: 200,
      optimizer: sgd({ lr: 0.5, momentum: 0.5 }),
      clip: { norm: 1 },
      checkpoints: [1],
      onCheckpoint: (checkpoint) => void checkpoints.push(checkpoint),
    });
    const { state } = training;
    expect(inspect(training)).toMatch(/^Training to 200 updates, loss [\d.]+ to [\d.e-]+ nats\n/);
    expect(inspect(state)).toContain("sgd lr=0.5 momentum=0.5 nesterov=false weightDecay=0 decays=all");
    expect(inspect(state)).toContain("norm=1");
    expect(inspect(checkpoints[0])).toMatch(/^Checkpoint after 1 update\n/);
    for (const value of [training, state, checkpoints[0]]) {
      expect(inspect(value).split("\n").length).toBeLessThanOrEqual(10);
      expect(JSON.parse(JSON.stringify(value))).toBeDefined();
    }
    expect(JSON.stringify(state).length).toBeLessThan(2000);
    expect(JSON.stringify(state)).toContain('"moments":["momentum_buffer"]');
  });
});
