/** How models begin, schedules, and numbers that are none. */
import { describe, expect, test } from "vitest";
import { CircuitsError } from "../../src/errors.ts";
import { parseConfig } from "../../src/model/index.ts";
import {
  adam,
  adamW,
  constantSchedule,
  cosineSchedule,
  initialModel,
  inverseSquareRootSchedule,
  linearSchedule,
  parameterKind,
  scheduleFactor,
  sgd,
  stepSchedule,
} from "../../src/train/index.ts";
import type { InitialModelOptions } from "../../src/train/index.ts";

const config = parseConfig({
  n_layers: 2,
  n_heads: 4,
  n_key_value_heads: 2,
  d_model: 64,
  n_ctx: 64,
  d_vocab: 100,
  act_fn: "silu",
  gated_mlp: true,
});

describe("initialModel", () => {
  const seed = 7;
  /** The standard deviations of what is drawn, as the three libraries say. */
  const normals: readonly (readonly [InitialModelOptions, (name: string) => number])[] = [
    [{ seed }, () => 0.8 / 8],
    [{ seed, init: "transformer-lens", std: 0.3 }, () => 0.3],
    [{ seed, init: "gpt2" }, (name) => (/W_(O|out)$/.test(name) ? 0.02 / 2 : 0.02)],
    [{ seed, init: "gpt2", std: 0.1 }, (name) => (/W_(O|out)$/.test(name) ? 0.05 : 0.1)],
  ];

  test.each(normals)("%o draws normal numbers; norms are the identity and biases 0", (options, stdOf) => {
    const model = initialModel(config, options);
    for (const [name, weight] of model.weights) {
      const data = Array.from(weight.data);
      const kind = parameterKind(name);
      if (kind === "norm") expect(new Set(data)).toEqual(new Set([name.endsWith(".w") ? 1 : 0]));
      else if (kind === "bias") expect(new Set(data)).toEqual(new Set([0]));
      else {
        const std = stdOf(name);
        const moment = (power: number): number => data.reduce((sum, x) => sum + (x / std) ** power, 0) / data.length;
        // Five standard errors of each moment of n normal numbers: 1, 2 and 96 over n, square roots.
        const error = 5 / Math.sqrt(data.length);
        expect(Math.abs(moment(1))).toBeLessThan(error);
        expect(Math.abs(moment(2) - 1)).toBeLessThan(Math.SQRT2 * error);
        expect(Math.abs(moment(4) - 3)).toBeLessThan(Math.sqrt(96) * error);
      }
    }
  });

  test("as torch draws within the root of one over the inputs, biases too, and embeddings normal", () => {
    const model = initialModel(config, { seed, init: "pytorch" });
    const inputs = (name: string): number => (/_out$/.test(name) ? 256 : 64);
    for (const [name, weight] of model.weights) {
      const data = Array.from(weight.data);
      const kind = parameterKind(name);
      const squares = data.reduce((sum, x) => sum + x * x, 0) / data.length;
      if (kind === "norm") expect(new Set(data)).toEqual(new Set([name.endsWith(".w") ? 1 : 0]));
      else if (kind === "embedding") expect(Math.abs(squares - 1)).toBeLessThan(0.1);
      else {
        const bound = 1 / Math.sqrt(inputs(name));
        const most = Math.max(...data.map(Math.abs));
        expect(most).toBeLessThanOrEqual(bound);
        expect(most).toBeGreaterThan(0.8 * bound);
        // A uniform number's variance is a third of the bound's square; its square has the deviation 0.9 of that.
        expect(Math.abs(squares / (bound * bound) - 1 / 3)).toBeLessThan((5 * 0.3) / Math.sqrt(data.length));
      }
    }
  });

  test("gives the same numbers for a seed, and others for another", () => {
    const numbers = (options: InitialModelOptions): number[] => [
      ...initialModel(config, options).weight("embed.W_E").data,
    ];
    expect(numbers({ seed: 1 })).toEqual(numbers({ seed: 1 }));
    expect(numbers({ seed: 1 })).not.toEqual(numbers({ seed: 2 }));
  });
});

test("weights are of six kinds", () => {
  const model = initialModel(config, { seed: 1 });
  const kinds = Object.fromEntries(
    ["embed.W_E", "pos_embed.W_pos", "blocks.0.attn.W_Q", "blocks.0.attn._W_K", "blocks.1.attn.W_O"].map((name) => [
      name,
      parameterKind(name),
    ]),
  );
  expect(kinds).toEqual({
    "embed.W_E": "embedding",
    "pos_embed.W_pos": "embedding",
    "blocks.0.attn.W_Q": "attention",
    "blocks.0.attn._W_K": "attention",
    "blocks.1.attn.W_O": "attention",
  });
  const rest = ["mlp.W_in", "mlp.W_gate", "mlp.W_out", "mlp.b_in", "attn._b_V", "ln1.w", "ln2.b", "mlp.ln.w"];
  expect(rest.map((name) => parameterKind(`blocks.0.${name}`)).join(" ")).toBe("mlp mlp mlp bias bias norm norm norm");
  expect([parameterKind("unembed.W_U"), parameterKind("unembed.b_U"), parameterKind("ln_final.w")]).toEqual([
    "unembedding",
    "bias",
    "norm",
  ]);
  for (const name of model.weights.keys()) expect(() => parameterKind(name)).not.toThrow();
  expect(() => parameterKind("hook_embed")).toThrow("is no name of a weight");
});

test("schedules, worked by hand", () => {
  const factors = (schedule: Parameters<typeof scheduleFactor>[0], ...steps: readonly number[]): number[] =>
    steps.map((step) => scheduleFactor(schedule, step));
  expect(factors(constantSchedule(), 0, 5)).toEqual([1, 1]);
  expect(factors(constantSchedule({ warmup: 2 }), 0, 1, 2)).toEqual([0, 0.5, 1]);
  expect(factors(linearSchedule({ steps: 4, floor: 0.5 }), 0, 2, 4, 9)).toEqual([1, 0.75, 0.5, 0.5]);
  expect(factors(cosineSchedule({ steps: 6, warmup: 2, floor: 0.5 }), 1, 2, 4, 6)).toEqual([0.5, 1, 0.75, 0.5]);
  expect(factors(inverseSquareRootSchedule({ timescale: 4 }), 0, 12)).toEqual([1, 0.5]);
  expect(factors(stepSchedule({ every: 2, factor: 0.5, warmup: 2 }), 1, 2, 4)).toEqual([0.5, 0.5, 0.25]);
});

describe("numbers that are none are refused", () => {
  const takers: Record<string, (value: never) => unknown> = {
    "adamW lr": (lr) => adamW({ lr }),
    "adamW eps": (eps) => adamW({ eps }),
    "adamW weightDecay": (weightDecay) => adamW({ weightDecay }),
    "adam betas": (beta) => adam({ betas: [0.9, beta] }),
    "sgd momentum": (momentum) => sgd({ momentum }),
    "constantSchedule warmup": (warmup) => constantSchedule({ warmup }),
    "linearSchedule steps": (steps) => linearSchedule({ steps }),
    "cosineSchedule floor": (floor) => cosineSchedule({ steps: 3, floor }),
    "inverseSquareRootSchedule timescale": (timescale) => inverseSquareRootSchedule({ timescale }),
    "stepSchedule every": (every) => stepSchedule({ every }),
    "stepSchedule factor": (factor) => stepSchedule({ every: 3, factor }),
    "initialModel seed": (seed) => initialModel(config, { seed }),
    "initialModel std": (std) => initialModel(config, { seed: 1, std }),
    "initialModel gain": (gain) => initialModel(config, { seed: 1, gain, init: "kaiming_normal" }),
  };
  test.each(Object.entries(takers))("%s", (name, take) => {
    const [operation = "", argument = ""] = name.split(" ");
    for (const value of [NaN, Infinity, -1, "1", null, {}, 1n]) {
      let error: unknown;
      try {
        take(value as never);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(CircuitsError);
      expect((error as CircuitsError).operation).toBe(operation);
      expect((error as CircuitsError).argument).toBe(argument);
    }
  });

  test.each<readonly [string, () => unknown, string]>([
    ["betas of 1", () => adamW({ betas: [1, 0.9] }), "at least 0 and below 1"],
    ["one beta", () => adamW({ betas: [0.9] as never }), "give two numbers"],
    ["Nesterov's without momentum", () => sgd({ nesterov: true }), "needs momentum"],
    ["decay of what is none", () => adamW({ decays: ["W_Q"] as never }), '"matrices", or a list of kinds'],
    ["half a step", () => cosineSchedule({ steps: 2.5 }), "steps is 2.5"],
    ["std as torch", () => initialModel(config, { seed: 1, std: 1, init: "pytorch" }), "std is for"],
    ["std of Xavier", () => initialModel(config, { seed: 1, std: 1, init: "xavier_normal" }), "std is for"],
    ["gain as GPT-2", () => initialModel(config, { seed: 1, gain: 2, init: "gpt2" }), "gain is for what is of Xavier"],
    ["as nobody", () => initialModel(config, { seed: 1, init: "keras" as never }), "the choices are"],
    ["no seed", () => initialModel(config, {} as never), "seed is undefined"],
    ["no configuration", () => initialModel(undefined as never, { seed: 1 }), "Make one with parseConfig"],
    ["no schedule", () => scheduleFactor({} as never, 1), "Make one with cosineSchedule"],
  ])("%s", (_, make, text) => {
    expect(make).toThrow(text);
  });
});
