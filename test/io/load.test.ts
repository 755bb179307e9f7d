import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadTransformer, writeSafetensors } from "../../src/io/index.ts";
import { readSafetensors } from "../support/tensors.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { attentionCases, expectClose, goldenFile, loadGolden } from "../support/golden.ts";
import type { GoldenCase } from "../support/golden.ts";
import { errorOf, fileOf } from "./bytes.ts";

const bytesOf = (name: GoldenCase, file: string): Uint8Array => readFileSync(goldenFile(name, file));
const configOf = (name: GoldenCase): Record<string, unknown> =>
  JSON.parse(readFileSync(goldenFile(name, "config.json"), "utf8")) as Record<string, unknown>;

/** A golden case's file with its tensors changed. */
function weightsOf(
  name: GoldenCase,
  change: (weights: Map<string, Tensor>) => void,
  dtype: "F32" | "F16" | "BF16" = "F32",
): Uint8Array {
  const weights = readSafetensors(bytesOf(name, "model.safetensors"));
  change(weights);
  return writeSafetensors(weights, { dtype });
}

test.each(attentionCases)(
  "%s computes TransformerLens's logits, within 2e-5 (float32 sums in another order)",
  (name) => {
    const golden = loadGolden(name);
    expectClose(golden.model.forward(golden.tokens()), golden.expected("logits"), { atol: 2e-5 });
  },
);

test("the configuration as object, text and bytes", () => {
  const weights = bytesOf("attn-1l-standard", "model.safetensors");
  const config = bytesOf("attn-1l-standard", "config.json");
  for (const form of [configOf("attn-1l-standard"), new TextDecoder().decode(config), config]) {
    expect(loadTransformer({ config: form, weights }).config.d_vocab).toBe(97);
  }
});

describe("what TransformerLens stores beside weights", () => {
  const name = "attn-2l-ln";
  const golden = loadGolden(name);

  test("mask buffers are not read, even as NaN", () => {
    const weights = weightsOf(name, (w) => {
      w.set("blocks.0.attn.mask", Tensor.from("a b", [1, 1], [1], "int32"));
      w.set("blocks.0.attn.IGNORE", Tensor.from("", [], [-Infinity]));
      w.set("blocks.1.attn.IGNORE", Tensor.from("", [], [NaN]));
    });
    const model = loadTransformer({ config: golden.config, weights });
    expect([...model.weights.keys()].sort()).toEqual([...golden.model.weights.keys()].sort());
  });

  test("a missing b_U is zero", () => {
    const model = loadTransformer({
      config: golden.config,
      weights: weightsOf(name, (w) => w.delete("unembed.b_U")),
    });
    expect([...model.b_U.data]).toEqual(new Array<number>(97).fill(0));
  });

  test("no other missing weight is", () => {
    for (const missing of golden.model.weights.keys()) {
      if (missing === "unembed.b_U") continue;
      const weights = weightsOf(name, (w) => w.delete(missing));
      const { name: kind, message } = errorOf(() => loadTransformer({ config: golden.config, weights }));
      expect(kind).toBe("ConfigError");
      expect(message).toContain(`the weights have no "${missing}"`);
    }
  });
});

describe("rotary tables", () => {
  const name = "attn-3l-rotary";
  const config = configOf(name);
  const [n_ctx, rotary_dim] = [config["n_ctx"] as number, config["rotary_dim"] as number];

  /** TransformerLens's tables, by its own formula: halves or neighbours share an angle. */
  const table = (of: (x: number) => number, base: number, adjacent = false): Tensor => {
    const half = rotary_dim / 2;
    const angle = (pos: number, i: number): number => pos / base ** ((adjacent ? Math.floor(i / 2) : i % half) / half);
    const values = Array.from({ length: n_ctx * rotary_dim }, (_, i) =>
      of(angle(Math.floor(i / rotary_dim), i % rotary_dim)),
    );
    return Tensor.from("pos rotary_dim", [n_ctx, rotary_dim], values);
  };
  const load = (sin: Tensor, changes: object = {}): unknown => {
    const weights = weightsOf(name, (w) => {
      w.set("blocks.0.attn.rotary_sin", sin);
      w.set("blocks.0.attn.rotary_cos", table(Math.cos, 10000));
    });
    return loadTransformer({ config: { ...config, ...changes }, weights, name: "m" });
  };

  test("the configuration's own are dropped", () => {
    const model = load(table(Math.sin, 10000)) as ReturnType<typeof loadTransformer>;
    expect([...model.weights.keys()].filter((key) => key.includes("rotary"))).toEqual([]);
  });

  test("the same in float32, float16 and bfloat16", () => {
    for (const dtype of ["F32", "F16", "BF16"] as const) {
      const weights = weightsOf(name, (w) => w.set("blocks.0.attn.rotary_cos", table(Math.cos, 10000)), dtype);
      expect(loadTransformer({ config, weights }).config.rotary_dim).toBe(4);
    }
  });

  test("those of another rotation are refused", () => {
    const { name: kind, message } = errorOf(() => load(table(Math.sin, 500)));
    expect(kind).toBe("ConfigError");
    expect(message).toMatch(
      /^loadTransformer: m, tensor "blocks\.0\.attn\.rotary_sin": the rotary table has 0\.044\d+ at \[1, 1\], not the 0\.010000 of this configuration, rotary_dim=4, rotary_base=10000, rotary_adjacent_pairs=false\. Other rotations are not supported\.$/,
    );
    expect(errorOf(() => load(table(Math.sin, 10100))).name).toBe("ConfigError");
    expect(errorOf(() => load(table(Math.sin, 10000, true))).message).toContain("at [1, 1], not the 0.010000");
    expect(errorOf(() => load(table(Math.sin, 10000).slice("pos", 1))).message).toBe(
      `loadTransformer: m, tensor "blocks.0.attn.rotary_sin": a rotary table of shape [${n_ctx - 1}, 4] does not belong to n_ctx=${n_ctx}, rotary_dim=4, rotary_base=10000, rotary_adjacent_pairs=false. Other rotations are not supported.`,
    );
  });

  test("in a model that is not rotary they are refused", () => {
    const weights = weightsOf("attn-1l-standard", (w) => w.set("blocks.0.attn.rotary_sin", table(Math.sin, 10000)));
    expect(errorOf(() => loadTransformer({ config: configOf("attn-1l-standard"), weights })).message).toContain(
      `a rotary table of shape [${n_ctx}, 4] does not belong to n_ctx=32, rotary_dim=0`,
    );
  });
});

describe("refusals name the file or the tensor", () => {
  const config = configOf("attn-1l-standard");
  const weights = bytesOf("attn-1l-standard", "model.safetensors");

  test("a damaged file", () => {
    expect(errorOf(() => loadTransformer({ config, weights: weights.subarray(0, 20), name: "a.safetensors" }))).toEqual(
      {
        name: "FormatError",
        message: expect.stringMatching(/^loadTransformer: a\.safetensors: the header should take /) as string,
      },
    );
    expect(errorOf(() => loadTransformer({ config, weights: fileOf("[]") })).message).toBe(
      "loadTransformer: the weights: the header is not a JSON object.",
    );
  });

  test("a configuration that is not JSON", () => {
    const { name, message } = errorOf(() => loadTransformer({ config: "{", weights }));
    expect(name).toBe("FormatError");
    expect(message).toMatch(/^loadTransformer: config\.json is not JSON: /);
  });

  test.each([
    ["d_model", 64, "embed.W_E"],
    ["d_vocab", 96, "embed.W_E"],
    ["n_ctx", 64, "pos_embed.W_pos"],
    ["n_heads", 2, "blocks.0.attn.W_Q"],
    ["d_head", 4, "blocks.0.attn.W_Q"],
    ["d_vocab_out", 5, "unembed.W_U"],
    ["n_layers", 2, "blocks.1.attn.W_Q"],
    ["n_layers", 0, "blocks.0.attn.W_K"],
    ["normalization_type", "LN", "blocks.0.ln1.w"],
    ["positional_embedding_type", "none", "pos_embed.W_pos"],
  ])("a configuration that contradicts the weights: %s %j", (field, value, tensor) => {
    const { name, message } = errorOf(() => loadTransformer({ config: { ...config, [field]: value }, weights }));
    expect(name).toBe("ConfigError");
    expect(message).toContain(`"${tensor}"`);
  });

  test("a weight that is not a number", () => {
    const broken = weightsOf("attn-1l-standard", (w) => {
      const values = Float32Array.from(w.get("blocks.0.attn.b_O")?.data ?? []);
      values[3] = NaN;
      w.set("blocks.0.attn.b_O", Tensor.from("a", [values.length], values));
    });
    const { name, message } = errorOf(() => loadTransformer({ config, weights: broken }));
    expect(name).toBe("InputError");
    expect(message).toContain('"blocks.0.attn.b_O" holds NaN at [3]');
  });

  test("tensors of no known layout", () => {
    const foreign = writeSafetensors(
      new Map([["encoder.layer.0.attention.self.query.weight", Tensor.zeros("a", [1])]]),
    );
    expect(errorOf(() => loadTransformer({ config, weights: foreign, name: "m" }))).toEqual({
      name: "FormatError",
      message:
        "loadTransformer: m: no token embedding was found under a known name (embed.W_E, transformer.wte.weight, gpt_neox.embed_in.weight, model.embed_tokens.weight, wte.weight, embed_in.weight, embed_tokens.weight, tok_emb.weight, embed.weight, token_embd.weight); the tensors are encoder.layer.0.attention.self.query.weight. Read are checkpoints of TransformerLens, Hugging Face's GPT-2, GPT-Neo, GPT-NeoX and llama family, nanoGPT and minGPT.",
    });
  });

  test("TransformerLens's configuration for another library's tensors", () => {
    const foreign = writeSafetensors(new Map([["wte.weight", Tensor.zeros("a", [1])]]));
    expect(errorOf(() => loadTransformer({ config, weights: foreign, name: "m" }))).toEqual({
      name: "ConfigError",
      message: 'loadTransformer: "n_layers" is 1: no field of that name is read here. Did you mean n_layer?',
    });
  });
});
