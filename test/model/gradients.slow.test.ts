/**
 * Gradients: laws that hold for any model, through edits and from any hook, and what is refused.
 *
 * By weights: against central differences of the forward pass of test/support/reference-forward.ts, in float64. By hooks
 * and through edits: against central differences of the library's own float32 runs; with steps of 4e-3 both rounding and
 * curvature leave some 1e-3 of the size of the terms.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  combineEdits,
  crossEntropy,
  customMetric,
  editAt,
  editWithDerivative,
  gradients,
  hookNames,
  klDivergence,
  logitDifference,
} from "../../src/model/index.ts";
import type { Edits, HookName, Transformer } from "../../src/model/index.ts";
import { gradientsInto, parameterArrays } from "../../src/model/internal.ts";
import { add, astype, map, multiply, randomNormal, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import { referenceRun } from "../support/reference-forward.ts";

const draw = (like: Tensor, seed: number): Tensor => randomNormal(like.axes, like.shape, { seed });
const inner = (a: Tensor, b: Tensor): number => {
  let sum = 0;
  for (const [i, y] of b.data.entries()) if (y !== 0) sum += y * (a.data[i] as number);
  return sum;
};
const size = (a: Tensor, b: Tensor): number => inner(map(a, Math.abs), map(b, Math.abs));

/** The mean loss in float64, of nested arrays. */
function referenceLoss(model: Transformer, tokens: readonly (readonly number[])[]): number {
  const { logits } = referenceRun(model, tokens);
  let sum = 0;
  let count = 0;
  for (const [b, prompt] of tokens.entries()) {
    for (const [p, id] of prompt.slice(1).entries()) {
      const row = logits[b]?.[p] as number[];
      const top = Math.max(...row);
      sum += top + Math.log(row.reduce((s, x) => s + Math.exp(x - top), 0)) - (row[id] as number);
      count++;
    }
  }
  return sum / count;
}

describe("by weights", () => {
  const inDoubles = (model: Transformer): Transformer => withWeights(model, (_, weight) => astype(weight, "float64"));

  test("the derivative along a random direction of each weight is the float64 difference within 1e-4", () => {
    fc.assert(
      fc.property(fc.oneof(modelOptions, mlpModelOptions), fc.nat(1000), (options, seed) => {
        const d_vocab = Math.max(3, options.d_vocab);
        const model = randomModel({ ...options, d_vocab, dtype: "float32" });
        const tokens = [
          [seed, seed + 1, seed * 3, 1].map((x) => x % d_vocab),
          [2, 0, seed, seed].map((x) => x % d_vocab),
        ];
        const found = gradients(model, tokens, crossEntropy(tokens));
        const doubles = inDoubles(model);
        for (const [name, gradient] of found.parameters) {
          const direction = draw(gradient, seed);
          const moved = (by: number): number =>
            referenceLoss(
              withWeights(doubles, (other, weight) =>
                other === name ? add(weight, astype(multiply(direction, by), "float64")) : weight,
              ),
              tokens,
            );
          const h = 1e-5;
          const expected = (moved(h) - moved(-h)) / (2 * h);
          expectClose([inner(gradient, direction)], [expected], { atol: 1e-4 * size(gradient, direction) + 1e-6 });
        }
      }),
      runs(16, 6),
    );
  });
});

/** Models of every position, norm, kind of MLP. */
const models: Record<string, Transformer> = {
  shortformer: randomModel({ norm: "LN", bias: true, seed: 3 }),
  standard: randomModel({ position: "standard", norm: "LNPre", bias: true, seed: 4 }),
  rotary: randomModel({ position: "rotary", norm: "RMS", bias: true, seed: 5, config: { rotary_dim: 4 } }),
  "without norms": randomModel({ position: "none", norm: null, seed: 6 }),
  gelu: randomModel({ position: "standard", norm: "LN", bias: true, mlp: "gelu", seed: 7 }),
  "parallel solu_ln": randomModel({
    position: "rotary",
    norm: "LN",
    bias: true,
    mlp: "solu_ln",
    parallel: true,
    seed: 8,
  }),
  bidirectional: randomModel({ norm: "RMSPre", mlp: "silu", seed: 9, config: { attention_dir: "bidirectional" } }),
};
const tokens = [
  [0, 3, 9, 3, 7],
  [5, 5, 1, 2, 0],
];
const STEP = 4e-3;
const shape = (model: Transformer): [number, number, number] => [2, 5, model.config.d_model];

/** Moves the embedding along a direction, by an edit whose derivative is known. */
const moving = (direction: Tensor<"batch pos d_model">, by: number): Edits =>
  editAt(
    "hook_embed",
    editWithDerivative<"hook_embed">(
      (x) => add(x, multiply(direction, by)),
      (gradient) => gradient,
    ),
  );

describe.each(Object.entries(models))("%s", (_, model) => {
  const names = hookNames(model.config).slice(1);
  const direction = randomNormal("batch pos d_model", shape(model), { seed: 77 });

  test.each(names)("a gradient put in at %s reaches the embedding as differences of runs say", (name) => {
    const activation = model.run(tokens).cache.get(name) as Tensor;
    const isFinite = map(activation, (x) => (Number.isFinite(x) ? 1 : 0));
    const given = multiply(draw(activation, 5), isFinite);
    const value = (by: number): number => {
      const { cache } = model.run(tokens, { edits: moving(direction, by), cache: [name] });
      return inner(
        map(cache.get(name) as Tensor, (x) => (Number.isFinite(x) ? x : 0)),
        given,
      );
    };
    const found = gradients(model, tokens, new Map([[name, given]]), { at: ["hook_embed", name] });
    const derivative = (value(STEP) - value(-STEP)) / (2 * STEP);
    const gradient = found.at("hook_embed");
    expectClose([inner(gradient, direction)], [derivative], { atol: 3e-3 * size(gradient, direction) + 1e-4 });
    expectClose([found.value], [value(0)], { atol: 1e-4 });
    if (name !== "hook_embed") expectClose(found.at(name) as Tensor, given, { atol: 0 });
  });

  test.each(names)("the gradient goes through an edit of %s as differences of edited runs say", (name) => {
    const change = { [name]: (x: Tensor) => map(x, (v) => 0.7 * v + 0.1) } as unknown as Edits;
    const own = (change as Record<string, never>)[name] as never;
    editWithDerivative(own, ((gradient: Tensor) => multiply(gradient, 0.7)) as never);
    const metric = logitDifference({ answer: [[1, 2], 3], wrong: 4 });
    const value = (by: number): number => {
      const { logits } = model.run(tokens, { edits: combineEdits(moving(direction, by), change), cache: [] });
      const [a = 0, b = 0] = metric.values(logits);
      return (a + b) / 2;
    };
    const edits = name === "hook_embed" ? change : [moving(direction, 0), change];
    const found = gradients(model, tokens, metric, { at: ["hook_embed", name], edits });
    expectClose([found.value], [value(0)], { atol: 1e-6 });
    const derivative = (value(STEP) - value(-STEP)) / (2 * STEP);
    // At the hook itself the gradient is by what the edit returned.
    const factor = name === "hook_embed" ? 0.7 : 1;
    const gradient = multiply(found.at("hook_embed"), factor);
    expectClose([inner(gradient, direction)], [derivative], { atol: 3e-3 * size(gradient, direction) + 1e-4 });
  });

  test("what is asked for does not change what is found: of weights to the bit, of hooks within 1e-5 of the largest or 1e-6", () => {
    // Asked for patterns, a pass goes through them, where it otherwise goes through attention as a whole.
    const metric = crossEntropy(tokens);
    const all = gradients(model, tokens, metric, { at: () => true, parameters: true });
    const expectLike = (found: Tensor | undefined, want: Tensor | undefined, name: string): void => {
      const most = Math.max(...(want?.data ?? []).map(Math.abs).filter(Number.isFinite));
      expect(found?.shape, name).toEqual(want?.shape);
      expectClose(found?.data ?? [], want?.data ?? [], { atol: 1e-5 * Math.max(most, 0.1) });
    };
    for (const name of names) {
      const one = gradients(model, tokens, metric, { at: [name] });
      expect(one.names).toEqual([name]);
      expect(one.parameters.size).toBe(0);
      expectLike(one.at(name) as Tensor, all.at(name) as Tensor, name);
    }
    const weights = gradients(model, tokens, metric).parameters;
    for (const name of model.weights.keys()) {
      const one = gradients(model, tokens, metric, { parameters: [name] });
      expect([...one.parameters.keys()]).toEqual([name]);
      expect(one.parameters.get(name)?.data, name).toEqual(weights.get(name)?.data);
      expectLike(one.parameters.get(name), all.parameters.get(name), name);
    }
  });

  test("a gradient at a cut of the model put in there gives what lies before it, within 1e-5 of its size", () => {
    const all = gradients(model, tokens, crossEntropy(tokens), { at: () => true, parameters: true });
    for (const cut of ["blocks.0.hook_resid_post", "unembed.hook_in"] as const) {
      const seeded = gradients(model, tokens, new Map([[cut, all.at(cut) as Tensor]]), {
        at: () => true,
        parameters: true,
      });
      for (const name of ["hook_embed", "blocks.0.attn.hook_k", "blocks.0.hook_q_input", cut] as const) {
        const expected = all.at(name) as Tensor;
        expectClose(seeded.at(name) as Tensor, expected, { atol: 1e-5 * Math.max(...expected.data.map(Math.abs)) });
      }
      expect(seeded.parameters.get("unembed.W_U")?.data.every((x) => x === 0)).toBe(true);
    }
  });
});

test("into arrays that are kept, one step's gradients leave nothing of another's, to the bit", () => {
  for (const model of Object.values(models)) {
    const arrays = parameterArrays(model);
    const steps = [tokens, [[4, 4, 8]], tokens.map((prompt) => prompt.map((id) => 16 - id))];
    for (const prompts of steps) {
      const expected = gradients(model, prompts, crossEntropy(prompts));
      const { value } = gradientsInto(arrays, model, prompts, crossEntropy(prompts));
      expect(value).toBe(expected.value);
      for (const [name, t] of expected.parameters) expect(arrays.get(name), name).toEqual(t.data);
    }
  }
});

describe("of metrics", () => {
  const model = models.standard as Transformer;
  const seeds = { "unembed.hook_out": randomNormal("batch pos d_vocab", [2, 5, 17], { seed: 1 }) };

  test("some logits give what all of them give with zeros at the others, within 1e-6", () => {
    const metric = logitDifference({ answer: [[1, 2], 3], wrong: [4, 4], pos: [-1, 2] });
    const { logits } = model.run(tokens, { cache: [] });
    const gradient = map(metric.gradient?.(logits) as Tensor<"batch pos d_vocab">, (x) => x / 2);
    const some = gradients(model, tokens, metric, { at: () => true, parameters: true });
    const all = gradients(model, tokens, { "unembed.hook_out": gradient }, { at: () => true, parameters: true });
    for (const name of some.names) expectClose(some.at(name) as Tensor, all.at(name) as Tensor, { atol: 1e-6 });
    for (const [name, t] of some.parameters) expectClose(t, all.parameters.get(name) as Tensor, { atol: 1e-6 });
  });

  test("a function with its gradient is as good as the metric that it is", () => {
    const metric = crossEntropy(tokens);
    const own = customMetric((logits) => metric.values(logits), {
      gradient: (logits) => metric.gradient?.(logits) as Tensor<"batch pos d_vocab">,
    });
    const [a, b] = [metric, own].map((m) => gradients(model, tokens, m));
    expect(a?.value).toBe(b?.value);
    const name = "blocks.0.attn.W_K";
    expectClose(a?.parameters.get(name) as Tensor, b?.parameters.get(name) as Tensor, { atol: 1e-7 });
  });

  test("the divergence from a model's own logits is at its least: value and gradients are 0", () => {
    const { logits } = model.run(tokens, { cache: [] });
    const { value, parameters } = gradients(model, tokens, klDivergence(logits));
    expectClose([value], [0], { atol: 1e-7 });
    for (const t of parameters.values())
      expectClose(
        t,
        map(t, () => 0),
        { atol: 1e-6 },
      );
  });

  test("a prompt's own gradient is its part times the number of prompts", () => {
    const metric = (b: number) => logitDifference({ answer: [[1], [3]][b] ?? [], wrong: 0 });
    const both = gradients(model, tokens, logitDifference({ answer: [1, 3], wrong: 0 }), { at: ["hook_embed"] });
    const one = gradients(model, [tokens[1] ?? []], logitDifference({ answer: 3, wrong: 0 }), { at: ["hook_embed"] });
    expect(metric(0).name).toBe("logit difference");
    expectClose(multiply(both.at("hook_embed").slice("batch", 1, 2), 2), one.at("hook_embed"), { atol: 1e-6 });
  });

  test("cancels", () => {
    const signal = AbortSignal.abort(new Error("enough"));
    expect(() => gradients(model, tokens, seeds, { signal })).toThrow("enough");
  });

  const opaque = editAt("blocks.1.attn.hook_z", (z) => multiply(z, 2));

  test("an edit whose derivative is unknown is refused only where a gradient has to pass it", () => {
    const metric = crossEntropy(tokens);
    const after = gradients(model, tokens, metric, {
      at: ["blocks.1.attn.hook_z", "blocks.1.hook_attn_out"],
      edits: opaque,
    });
    expect(after.names).toHaveLength(2);
    expect(() => gradients(model, tokens, metric, { at: ["blocks.1.attn.hook_v"], edits: opaque })).toThrow(
      'the run edits "blocks.1.attn.hook_z"',
    );
    expect(() => gradients(model, tokens, metric, { parameters: ["blocks.0.attn.W_V"], edits: opaque })).toThrow(
      "editWithDerivative",
    );
  });

  test("an edit whose derivative is zero holds its hook constant", () => {
    const frozen = editAt(
      "blocks.1.attn.hook_pattern",
      editWithDerivative<"blocks.1.attn.hook_pattern">(
        (pattern) => pattern,
        (gradient) => multiply(gradient, 0),
      ),
    );
    const found = gradients(model, tokens, crossEntropy(tokens), { edits: frozen });
    expect(found.parameters.get("blocks.1.attn.W_Q")?.data.every((x) => x === 0)).toBe(true);
    expect(found.parameters.get("blocks.1.attn.W_V")?.data.some((x) => x !== 0)).toBe(true);
  });

  test.each<[string, () => unknown, string]>([
    ["a metric without gradient", () => gradients(model, tokens, (l) => l.at(0, 0, 0)), "has no gradient"],
    ["no metric", () => gradients(model, tokens, 3 as never), "metric is 3"],
    ["a metric of other prompts", () => gradients(model, [[1, 2]], crossEntropy(tokens)), "is of 2 prompts"],
    ["an unknown hook", () => gradients(model, tokens, seeds, { at: ["hook_z" as HookName] }), 'no hook "hook_z"'],
    ["tokens", () => gradients(model, tokens, seeds, { at: ["hook_tokens"] }), "no real numbers"],
    ["a hook's name alone", () => gradients(model, tokens, seeds, { at: "hook_embed" as never }), 'at is "hook_embed"'],
    ["an unknown weight", () => gradients(model, tokens, seeds, { parameters: ["W_E"] }), 'no weight "W_E"'],
    ["an unknown option", () => gradients(model, tokens, seeds, { hooks: [] } as never), "no option"],
    ["a seed at no hook", () => gradients(model, tokens, { embed: 1 } as never), 'no hook "embed"'],
    [
      "a seed of other sizes",
      () => gradients(model, tokens, { hook_embed: Tensor.zeros("batch pos d_model", [1, 5, 12]) }),
      'the gradient put in at "hook_embed" is',
    ],
    [
      "a derivative of other sizes",
      () => {
        const bad = editWithDerivative<"hook_embed">(
          (x) => x,
          (gradient) => gradient.slice("pos", 0, 1),
        );
        gradients(model, tokens, crossEntropy(tokens), { edits: editAt("hook_embed", bad) });
      },
      'the derivative of the edit of "hook_embed" returned',
    ],
    [
      "a gradient that was not kept",
      () => gradients(model, tokens, seeds, { at: ["hook_embed"] }).at("unembed.hook_in"),
      "was not kept",
    ],
  ])("refuses %s", (_, make, text) => {
    expect(make).toThrow(text);
  });
});
