/**
 * The forward pass against a float64 one written apart from it, over norms, positions, biases, depths and the switches of the
 * configuration; and what must hold of it whatever the weights are.
 */
import { openBundledModel } from "../../src/io/bundled.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { astype, kernelInfo, maxAbsDifference, Tensor } from "../../src/tensor/index.ts";
import { Transformer } from "../../src/model/index.ts";
import type { NormalizationType, PositionalEmbeddingType } from "../../src/model/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { referenceRun } from "../support/reference-forward.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const norms: readonly NormalizationType[] = [null, "LN", "LNPre", "RMS", "RMSPre"];
const positions: readonly PositionalEmbeddingType[] = ["standard", "shortformer", "rotary", "none"];

/**
 * float32 storage and sums against float64: some tens of roundings of numbers as large as the largest, about 5 where there is a norm; 2e-5 is
 * about 60 of them. Without a norm numbers grow from layer to layer, and what a small logit is a difference of grows with them.
 */
const tolerance = { atol: 2e-5, rtol: 2e-5 };
const toleranceOfLogits = (logits: readonly number[]): { atol: number; rtol: number } => ({
  atol: 2e-5 * Math.max(1, Math.max(...logits.map(Math.abs)) / 5),
  rtol: 2e-5,
});

function compare(options: RandomModelOptions): void {
  const model = randomModel({ bias: true, ...options });
  const reference = referenceRun(model, tokens);
  const run = model.run(tokens);
  const logits = reference.logits.flat(2);
  expectClose(run.logits.data, logits, toleranceOfLogits(logits));
  for (const [layer, patterns] of reference.patterns.entries()) {
    expectClose(run.cache.get(`blocks.${layer}.attn.hook_pattern`).data, patterns.flat(3), tolerance);
  }
}

describe("logits and patterns agree with float64 within 2e-5 of the largest over 5, absolute, plus 2e-5 relative", () => {
  const grid = norms.flatMap((norm) => positions.map((position) => ({ norm, position })));
  test.each(grid)("norm $norm, positions $position, 0 to 3 layers, with and without biases", ({ norm, position }) => {
    for (const n_layers of [0, 1, 2, 3]) {
      for (const bias of [false, true]) compare({ norm, position, n_layers, bias, seed: 7 + n_layers });
    }
  });

  test.each([
    ["bidirectional attention", { attention_dir: "bidirectional" }],
    ["scores divided by the layer's number", { scale_attn_by_inverse_layer_idx: true }],
    ["unscaled scores", { use_attn_scale: false }],
    ["another scale", { attn_scale: 1.5 }],
    ["a final RMSNorm after LayerNorms", { final_rms: true }],
    ["an epsilon of one half", { eps: 0.5 }],
    ["more output tokens than input tokens", { d_vocab_out: 23 }],
  ])("%s", (_, config) => {
    compare({ norm: "LN", position: "standard", n_layers: 2, config });
  });

  test("no final RMSNorm where there are no norms, as in TransformerLens", () => {
    compare({ norm: null, config: { final_rms: true } });
  });

  test.each([
    ["halves, two of four coordinates", { rotary_dim: 2 }],
    ["halves, all coordinates", { rotary_dim: 4 }],
    ["adjacent pairs", { rotary_dim: 4, rotary_adjacent_pairs: true }],
    ["another base", { rotary_dim: 4, rotary_base: 100 }],
  ])("rotary positions: %s", (_, config) => {
    compare({ position: "rotary", config });
  });

  const activations = [
    "gelu",
    "gelu_new",
    "gelu_fast",
    "gelu_pytorch_tanh",
    "relu",
    "silu",
    "solu",
    "solu_ln",
  ] as const;
  test.each(activations.flatMap((mlp) => [false, true].map((parallel) => ({ mlp, parallel }))))(
    "MLPs of $mlp, parallel: $parallel, over norms and positions",
    ({ mlp, parallel }) => {
      for (const [i, norm] of norms.entries()) {
        const position = positions[i % positions.length] ?? "standard";
        compare({ mlp, parallel, norm, position, n_layers: 2, seed: 31 + i });
      }
    },
  );

  test("the comparison notices that a parallel MLP reads another stream, and gelu_new is not gelu", () => {
    const options = { mlp: "gelu", norm: "LN", bias: true } as const;
    const model = randomModel(options);
    const others = [randomModel({ ...options, parallel: true }), randomModel({ ...options, mlp: "gelu_new" })];
    const differences = others.map((other) => maxAbsDifference(model.forward(tokens), other.forward(tokens)));
    expect(differences[0]).toBeGreaterThan(0.1);
    expect(differences[1]).toBeGreaterThan(1e-4);
  });

  test("the comparison notices that adjacent pairs are not halves", () => {
    const model = randomModel({ position: "rotary", config: { rotary_dim: 4 } });
    const other = randomModel({ position: "rotary", config: { rotary_dim: 4, rotary_adjacent_pairs: true } });
    expect(maxAbsDifference(model.forward(tokens), other.forward(tokens))).toBeGreaterThan(1e-2);
  });
});

describe("what holds of every model", () => {
  const arbitrary = fc.record({
    norm: fc.constantFrom(...norms),
    position: fc.constantFrom(...positions),
    n_layers: fc.integer({ min: 0, max: 3 }),
    bias: fc.boolean(),
    seed: fc.integer({ min: 0, max: 1000 }),
  });

  test("causality (P32): logits and patterns up to a position do not change, to the last bit, with the tokens after it", () => {
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 16 }), (options, cut, other) => {
        const model = randomModel(options);
        const [prompt = []] = tokens;
        const changed = prompt.map((id, i) => (i < cut ? id : (id + 1 + other) % 17));
        const [before, after] = [model.forward(prompt), model.forward(changed)];
        expect(after.slice("pos", 0, cut).toNested()).toEqual(before.slice("pos", 0, cut).toNested());
      }),
      { seed: 32, numRuns: 30 },
    );
  });

  test("a prompt gives the same logits, to the last bit, alone and in a batch", () => {
    fc.assert(
      fc.property(arbitrary, (options) => {
        const model = randomModel(options);
        const together = model.forward(tokens);
        for (const [b, prompt] of tokens.entries()) {
          expect(model.forward(prompt).select("batch", 0).toNested()).toEqual(together.select("batch", b).toNested());
        }
      }),
      { seed: 33, numRuns: 20 },
    );
  });

  test("a model without layers is its bigram table: W_E W_U plus b_U, whatever came before", () => {
    const model = randomModel({ n_layers: 0, position: "none", bias: true });
    const [W_E, W_U] = [
      model.weight("embed.W_E").toNested() as number[][],
      model.weight("unembed.W_U").toNested() as number[][],
    ];
    const logits = model.forward([5, 2, 5]);
    const expected = (id: number): number[] =>
      (W_U[0] ?? []).map((_, t) => (W_E[id] ?? []).reduce((s, x, i) => s + x * (W_U[i]?.[t] ?? 0), model.b_U.at(t)));
    // One float32 rounding of the product and one of the sum.
    expectClose(logits.data, [...expected(5), ...expected(2), ...expected(5)], { atol: 1e-6, rtol: 1e-6 });
  });

  test("without a causal mask the first position sees the last", () => {
    const causal = randomModel();
    const bidirectional = randomModel({ config: { attention_dir: "bidirectional" } });
    const first = (model: typeof causal, prompt: number[]): unknown =>
      model.forward(prompt).select("pos", 0).toNested();
    expect(first(causal, [1, 2, 3])).toEqual(first(causal, [1, 2, 4]));
    expect(first(bidirectional, [1, 2, 3])).not.toEqual(first(bidirectional, [1, 2, 4]));
  });

  test("dividing the scores of layer l by l + 1 leaves layer 0 alone and halves those of layer 1", () => {
    const plain = randomModel({ n_layers: 2 }).run(tokens[0] ?? []);
    const scaled = randomModel({ n_layers: 2, config: { scale_attn_by_inverse_layer_idx: true } }).run(tokens[0] ?? []);
    const scores = (run: typeof plain, layer: number): number[] =>
      [...run.cache.get(`blocks.${layer}.attn.hook_attn_scores`).data].filter((x) => x !== -Infinity);
    expect(scores(scaled, 0)).toEqual(scores(plain, 0));
    // Halving is exact in float32 but for the quotient's own rounding.
    expectClose(
      scores(scaled, 1),
      scores(plain, 1).map((x) => x / 2),
      { rtol: 2 ** -22 },
    );
  });

  test("every attention row sums to 1 within 1e-6: at most ten float32 roundings of probabilities", () => {
    fc.assert(
      fc.property(arbitrary, (options) => {
        const model = randomModel(options);
        const { cache } = model.run(tokens);
        for (const { layer } of model.layers) {
          const pattern = cache.get(`blocks.${layer}.attn.hook_pattern`);
          const n = pattern.sizeOf("key_pos");
          for (let row = 0; row < pattern.size; row += n) {
            const sum = [...pattern.data.subarray(row, row + n)].reduce((s, x) => s + x, 0);
            expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
          }
        }
      }),
      { seed: 34, numRuns: 20 },
    );
  });

  test("a norm of a zero stream is its bias: zeros stay finite under every kind of norm", () => {
    for (const norm of norms) {
      const model = withWeights(randomModel({ norm, n_layers: 1, bias: true }), (name, weight) =>
        name === "embed.W_E" ? Tensor.zeros(weight.axes, weight.shape) : weight,
      );
      expect([...model.forward([0, 1]).data].every(Number.isFinite)).toBe(true);
    }
  });

  test("Pre norms are the norms with weights 1 and bias 0", () => {
    for (const [norm, pre] of [
      ["LN", "LNPre"],
      ["RMS", "RMSPre"],
    ] as const) {
      const plain = withWeights(randomModel({ norm, position: "standard" }), (name, weight) => {
        if (!/ln\w*\.[wb]$/.test(name)) return weight;
        return Tensor.from(weight.axes, weight.shape, new Float32Array(weight.size).fill(name.endsWith(".w") ? 1 : 0));
      });
      const shared = randomModel({ norm: pre, position: "standard" });
      const same = withWeights(shared, (name) => plain.weight(name));
      expect(same.forward(tokens).toNested()).toEqual(plain.forward(tokens).toNested());
    }
  });
});

describe("a run that keeps no pattern takes scores, softmax and weighted values in one pass", () => {
  test.each(norms.flatMap((norm) => positions.map((position) => ({ norm, position }))))(
    "with the same logits to the bit: norm $norm, positions $position",
    ({ norm, position }) => {
      const model = randomModel({ bias: true, norm, position, n_layers: 2, seed: 3 });
      expect(model.forward(tokens).data).toEqual(model.run(tokens).logits.data);
    },
  );

  test("on the bundled model's own sizes too", async () => {
    const { model } = await openBundledModel();
    const prompt = Array.from({ length: model.config.n_ctx }, (_, i) => (i * 37) % model.config.d_vocab);
    expect(model.forward(prompt).data).toEqual(model.run(prompt).logits.data);
  });
});

describe("a forward pass keeps nothing but its logits, whose numbers are those of a run, to the bit", () => {
  // Of so many numbers that they lie in the kernels' memory, where blocks serve again.
  const sizes = { d_model: 48, n_heads: 4, d_head: 12, d_vocab: 61, n_ctx: 64, n_layers: 5, bias: true, seed: 11 };
  const prompts = Array.from({ length: 2 }, (_, b) =>
    Array.from({ length: 60 }, (_, i) => (37 * i * (b + 1) + b) % 61),
  );
  const kinds = [
    ...norms.flatMap((norm) => positions.map((position) => ({ norm, position }))),
    { norm: "LN", position: "standard", mlp: "gelu" },
    { norm: "LN", position: "rotary", mlp: "gelu_new", parallel: true },
    { norm: "LNPre", position: "standard", mlp: "solu_ln" },
    { norm: "RMS", position: "rotary", mlp: "silu", config: { gated_mlp: true, n_key_value_heads: 2, window_size: 9 } },
    { norm: null, position: "shortformer", config: { attention_dir: "bidirectional" } },
    { norm: "RMS", position: "rotary", dtype: "float64" },
  ] as const satisfies readonly RandomModelOptions[];

  test.each(kinds)("%j", (kind) => {
    const model = randomModel({ ...sizes, ...kind });
    const expected = model.run(prompts).logits.data;
    const first = model.forward(prompts);
    const others = model.forward(prompts.map((row) => [...row].reverse()));
    expect(first.data).toEqual(expected);
    expect(model.forward(prompts).data).toEqual(expected);
    expect(others.data).toEqual(model.run(prompts.map((row) => [...row].reverse())).logits.data);
    expect(model.run(prompts).logits.data).toEqual(expected);
  });

  test("passes within one task take no more memory than a few", () => {
    const model = randomModel({ ...sizes, n_layers: 12 });
    const pass = (): number => (Number.isFinite(model.forward(prompts).at(0, 0, 0)) ? kernelInfo().memoryBytes : NaN);
    for (let i = 0; i < 5; i++) pass();
    const before = pass();
    for (let i = 0; i < 200; i++) pass();
    // Logits, 30 kB each, alone wait for the collector.
    expect(pass() - before).toBeLessThan(16 * 2 ** 20 + 1);
  });
});

test("float64 weights run as their float32 roundings, and everything of a run says float32", () => {
  for (const options of [
    { norm: "LN", position: "standard", bias: true, mlp: "gelu" },
    { norm: "RMS", position: "rotary" },
    { position: "shortformer" },
  ] as const) {
    const double = randomModel({ ...options, dtype: "float64" });
    const weights = new Map([...double.weights].map(([name, weight]) => [name, astype(weight, "float32")]));
    const single = Transformer.fromWeights(double.config, weights);
    const [run, expected] = [double.run([1, 2, 3]), single.run([1, 2, 3])];
    for (const name of run.cache.names()) {
      expect(run.cache.get(name).dtype, name).toBe(name === "hook_tokens" ? "int32" : "float32");
      expect(run.cache.get(name).data, name).toEqual(expected.cache.get(name).data);
    }
    expect(run.logits.dtype).toBe("float32");
    expect(double.forward([1, 2, 3]).data).toEqual(expected.logits.data);
    expect(double.weight("embed.W_E").dtype).toBe("float64");
  }
});
