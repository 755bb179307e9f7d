/** Checkpoints of Hugging Face: the golden ones against its own logits, and what contradicts them. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadTransformer, parseSafetensors, transformerFromTensors } from "../../../src/io/index.ts";
import { readSafetensors } from "../../support/tensors.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { errorOf } from "../bytes.ts";

const goldens = ["hf-gpt2", "hf-gpt-neox", "hf-gpt-neox-f16", "hf-gpt2-bf16-sharded"] as const;
type Case = (typeof goldens)[number];
const folder = (name: Case): URL => new URL(`../../fixtures/golden/${name}/`, import.meta.url);
const bytesOf = (name: Case, file: string): Uint8Array => readFileSync(new URL(file, folder(name)));
const configOf = (name: Case): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL("config.json", folder(name)), "utf8")) as Record<string, unknown>;

/** All tensors of a case, those of several files together. */
function tensorsOf(name: Case): Map<string, Tensor> {
  const files = readdirSync(folder(name)).filter((file) => /^model.*\.safetensors$/.test(file));
  return new Map(files.flatMap((file) => [...readSafetensors(bytesOf(name, file))]));
}

describe("Hugging Face's own logits", () => {
  test.each(goldens)("%s: within 1e-4 relative and 1e-5 of the largest logit", (name) => {
    const expected = parseSafetensors(bytesOf(name, "expected.safetensors"));
    const model = transformerFromTensors({ tensors: tensorsOf(name), config: configOf(name) });
    const logits = model.forward(expected.read("tokens").toNested() as number[][]);
    const wanted = expected.read("logits");
    const largest = Math.max(...Array.from(wanted.data, Math.abs));
    expect(largest).toBeGreaterThan(0.1);
    expectClose(logits.data, wanted.data, { atol: 1e-5 * largest, rtol: 1e-4 });
  });

  test.each(["hf-gpt2", "hf-gpt-neox"] as const)("%s from the bytes of its one file", (name) => {
    const model = loadTransformer({
      config: bytesOf(name, "config.json"),
      weights: bytesOf(name, "model.safetensors"),
    });
    const again = transformerFromTensors({ tensors: tensorsOf(name), config: configOf(name) });
    expect(model.forward([1, 2, 3]).toNested()).toEqual(again.forward([1, 2, 3]).toNested());
  });

  test("names without the prefix, and the buffers of older files", () => {
    for (const [name, prefix, buffers] of [
      ["hf-gpt2", "transformer.", ["h.0.attn.bias", "h.1.attn.masked_bias"]],
      [
        "hf-gpt-neox",
        "gpt_neox.",
        ["layers.0.attention.bias", "layers.1.attention.masked_bias", "layers.0.attention.rotary_emb.inv_freq"],
      ],
    ] as const) {
      const tensors = tensorsOf(name);
      const bare = new Map([...tensors].map(([key, t]) => [key.replace(prefix, ""), t]));
      for (const buffer of buffers) bare.set(buffer, Tensor.from("a", [1], [1], "int32"));
      const model = transformerFromTensors({ tensors: bare, config: configOf(name) });
      const plain = transformerFromTensors({ tensors, config: configOf(name) });
      expect(model.forward([5, 6, 7]).toNested()).toEqual(plain.forward([5, 6, 7]).toNested());
    }
  });

  test("tied embeddings: an equal lm_head is the same, another contradicts the configuration or stands alone", () => {
    const tensors = tensorsOf("hf-gpt2");
    const wte = tensors.get("transformer.wte.weight") as Tensor;
    const config = configOf("hf-gpt2");
    const tied = transformerFromTensors({ tensors: new Map(tensors).set("lm_head.weight", wte), config });
    expect(tied.forward([1, 2]).toNested()).toEqual(
      transformerFromTensors({ tensors, config }).forward([1, 2]).toNested(),
    );
    expect(tied.weight("unembed.W_U").at(3, 7)).toBe(wte.at(7, 3));
    const other = new Map(tensors).set("lm_head.weight", Tensor.zeros("a b", wte.shape));
    expect(errorOf(() => transformerFromTensors({ tensors: other, config })).message).toBe(
      'transformerFromTensors: the weights, tensor "lm_head.weight": it is not transformer.wte.weight, though the configuration ties the two. One of them is wrong.',
    );
    const untied = transformerFromTensors({ tensors: other, config: { ...config, tie_word_embeddings: false } });
    expect(untied.forward([1, 2]).data.every((x) => x === 0)).toBe(true);
    expect(
      errorOf(() => transformerFromTensors({ tensors, config: { ...config, tie_word_embeddings: false } })).message,
    ).toContain('tensor "lm_head.weight": it is missing; the configuration calls for it [101, 32].');
  });

  test("the older fields of a GPT-NeoX configuration say the same", () => {
    const rest = configOf("hf-gpt-neox");
    const tensors = tensorsOf("hf-gpt-neox");
    const older = { ...rest, rope_parameters: null, rotary_pct: 0.25, rotary_emb_base: 10000, rope_scaling: null };
    const model = transformerFromTensors({ tensors, config: older });
    expect(model.config).toEqual(transformerFromTensors({ tensors, config: configOf("hf-gpt-neox") }).config);
    expect(
      transformerFromTensors({ tensors, config: { ...older, use_parallel_residual: false } }).config,
    ).toMatchObject({
      parallel_attn_mlp: false,
    });
  });
});

describe("what contradicts is named", () => {
  const gpt2 = tensorsOf("hf-gpt2");
  const neox = tensorsOf("hf-gpt-neox");
  const load = (name: Case, change: (t: Map<string, Tensor>) => unknown, fields: object = {}): (() => unknown) => {
    const tensors = new Map(name === "hf-gpt2" ? gpt2 : neox);
    change(tensors);
    return () => transformerFromTensors({ tensors, config: { ...configOf(name), ...fields }, name: "m" });
  };
  const nothing = (): void => undefined;

  test("every tensor that is missing", () => {
    for (const [name, tensors] of [
      ["hf-gpt2", gpt2],
      ["hf-gpt-neox", neox],
    ] as const) {
      for (const missing of tensors.keys()) {
        const { name: kind, message } = errorOf(load(name, (t) => t.delete(missing)));
        expect(kind).toBe("ConfigError");
        expect(message).toContain(`transformerFromTensors: m, tensor "${missing}": it is missing`);
      }
    }
  });

  test("every tensor of another shape, and integers", () => {
    for (const [name, tensors] of [
      ["hf-gpt2", gpt2],
      ["hf-gpt-neox", neox],
    ] as const) {
      for (const [wrong, t] of tensors) {
        const shape = t.shape.map((n, a) => (a === 0 ? n + 1 : n));
        const { name: kind, message } = errorOf(load(name, (m) => m.set(wrong, Tensor.zeros(t.axes, shape))));
        expect(kind).toBe("ConfigError");
        expect(message).toBe(
          `transformerFromTensors: m, tensor "${wrong}": its shape is [${shape.join(", ")}] but the configuration calls for [${t.shape.join(", ")}]. One of the two is wrong.`,
        );
      }
    }
    expect(
      errorOf(load("hf-gpt2", (m) => m.set("transformer.ln_f.bias", Tensor.zeros("a", [32], "int32")))).message,
    ).toBe('transformerFromTensors: m, tensor "transformer.ln_f.bias": it holds integers, not weights.');
  });

  test("a tensor left over", () => {
    const extra = Tensor.zeros("a", [3]);
    expect(errorOf(load("hf-gpt2", (t) => t.set("transformer.h.2.ln_1.weight", extra))).message).toBe(
      'transformerFromTensors: m, tensor "transformer.h.2.ln_1.weight": the configuration does not call for it, and it is no part of GPT-2. One of the two is wrong; the option ignore passes over what is no part of the model.',
    );
    expect(errorOf(load("hf-gpt-neox", (t) => t.set("gpt_neox.x", extra))).message).toContain('tensor "gpt_neox.x"');
    expect(errorOf(load("hf-gpt2", (t) => t.set("score.weight", extra))).message).toContain('tensor "score.weight"');
  });

  test("a number that is not finite", () => {
    const { name, message } = errorOf(
      load("hf-gpt2", (t) => t.set("transformer.ln_f.bias", Tensor.from("a", [32], new Float32Array(32).fill(NaN)))),
    );
    expect(name).toBe("InputError");
    expect(message).toContain('"ln_final.b" holds NaN at [0]');
  });

  test.each([
    ["hf-gpt2", { n_head: undefined }, 'the configuration\'s "n_head" is missing: it is a size.'],
    [
      "hf-gpt2",
      { n_head: 5 },
      'the configuration\'s "n_head" is 5: heads share 32 coordinates evenly. Expected a divisor of 32.',
    ],
    ["hf-gpt2", { n_layer: 1.5 }, 'the configuration\'s "n_layer" is 1.5: it is a size.'],
    [
      "hf-gpt2",
      { activation_function: "mish" },
      '"activation_function" is "mish": this activation function is not supported.',
    ],
    ["hf-gpt2", { add_cross_attention: true }, '"add_cross_attention" is true: cross-attention is not supported.'],
    ["hf-gpt2", { layer_norm_epsilon: "x" }, '"layer_norm_epsilon" is "x": it is a number.'],
    ["hf-gpt2", { scale_attn_weights: 1 }, '"scale_attn_weights" is 1: it is a switch.'],
    [
      "hf-gpt-neox",
      { rope_scaling: { type: "linear", factor: 2 } },
      '"rope_scaling" is {"type":"linear","factor":2}: rescaled',
    ],
    [
      "hf-gpt-neox",
      { rope_parameters: { rope_type: "yarn" } },
      '"rope_parameters" is {"rope_type":"yarn"}: rescaled rotations',
    ],
    ["hf-gpt-neox", { hidden_act: "tanh" }, '"hidden_act" is "tanh": this activation function is not supported.'],
  ] as const)("%s with %j", (name, fields, text) => {
    const error = errorOf(load(name, nothing, fields));
    expect(error.name).toBe("ConfigError");
    expect(error.message).toContain(text);
  });

  test.each(["gpt_neo", "gptj"])("an architecture that begins like GPT-2: %s", (type) => {
    expect(errorOf(load("hf-gpt2", nothing, { model_type: type })).message).toBe(
      `transformerFromTensors: the configuration's "model_type" is "${type}": this architecture is not supported. Expected gpt2.`,
    );
  });

  test("sizes without end, in every layout: the tensor that cannot be there is named, and nothing of that size is made", () => {
    const huge = 2 ** 40;
    const attention = randomModel({ norm: "LN", position: "standard" });
    const cases: [ReadonlyMap<string, Tensor>, object, string][] = [
      [gpt2, { ...configOf("hf-gpt2"), n_layer: huge }, "h.2.ln_1.weight"],
      [gpt2, { ...configOf("hf-gpt2"), vocab_size: huge }, "wte.weight"],
      [gpt2, { ...configOf("hf-gpt2"), n_inner: huge }, "h.0.mlp.c_fc.weight"],
      [neox, { ...configOf("hf-gpt-neox"), num_hidden_layers: huge }, "layers.2.input_layernorm.weight"],
      [neox, { ...configOf("hf-gpt-neox"), intermediate_size: huge }, "layers.0.mlp.dense_h_to_4h.weight"],
      [attention.weights, { ...attention.config, n_layers: huge }, "blocks.2.ln1.w"],
      [
        new Map([...attention.weights].filter(([name]) => name !== "unembed.b_U")),
        { ...attention.config, d_vocab_out: huge },
        "unembed.W_U",
      ],
      [attention.weights, { ...attention.config, n_layers: huge, architecture: "neel-solu-old" }, "blocks.2.ln1.w"],
    ];
    for (const [tensors, config, name] of cases) {
      const error = errorOf(() => transformerFromTensors({ tensors, config }));
      expect(error.name).toBe("ConfigError");
      expect(error.message).toContain(name);
    }
    const bare = new Map(
      [...gpt2]
        .filter(([name]) => !name.endsWith("bias"))
        .map(([name, t]) => {
          const [rows = 0, cols = 0] = t.shape;
          const isMatrix = /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
          return [name, isMatrix ? Tensor.zeros("a b", [cols, rows]) : t];
        }),
    );
    const nano = { n_layer: huge, n_head: 4, n_embd: 32, block_size: 40, vocab_size: 101, bias: false };
    expect(errorOf(() => transformerFromTensors({ tensors: bare, config: nano })).message).toContain("h.2.ln_1.weight");
  });

  test("no configuration at all", () => {
    expect(errorOf(() => transformerFromTensors({ tensors: gpt2 })).message).toBe(
      "transformerFromTensors: the weights: Hugging Face's GPT-2 needs its configuration, as the tensors do not say how many heads there are, but there is none. Pass the content of config.json, or put the file beside the weights.",
    );
  });

  test("a prototype's fields are none of the configuration's", () => {
    const polluted = JSON.parse('{"__proto__": {"n_embd": 32}, "n_layer": 2}') as unknown;
    expect(errorOf(() => transformerFromTensors({ tensors: gpt2, config: polluted })).message).toContain(
      '"n_embd" is missing',
    );
  });
});
