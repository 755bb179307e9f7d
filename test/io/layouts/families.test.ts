/**
 * The llama family and GPT-Neo as Hugging Face stores them: logits within 1e-5 of the largest of transformers' own, in
 * float32 both. test/fixtures/huggingface/make.py made the files.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openCheckpoint, transformerFromCheckpoint, transformerFromTensors } from "../../../src/io/index.ts";
import { loadFolder } from "../../../src/io/node.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";

const path = (name: string, file = ""): URL => new URL(`../../fixtures/huggingface/${name}/${file}`, import.meta.url);
const json = (name: string, file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path(name, file), "utf8")) as Record<string, unknown>;

const kinds = {
  llama: { n_key_value_heads: 2, d_head: 6, gated_mlp: true, rotary_base: 777, eps: 1e-5 },
  "llama-tied": { n_key_value_heads: 1, d_head: 4, eps: 1e-6 },
  mistral: { n_key_value_heads: 2, window_size: 5, attn_types: ["local", "local"] },
  qwen2: { n_key_value_heads: 2, window_size: 4, attn_types: ["global", "local"], rotary_base: 5000 },
  "gpt-neo": { use_attn_scale: false, window_size: 5, attn_types: ["global", "local"], act_fn: "gelu_new" },
};

describe.each(Object.entries(kinds))("%s", (name, fields) => {
  const { tokens, logits } = json(name, "expected.json") as { tokens: number[][]; logits: number[][][] };

  test("logits are transformers' own within 1e-5 of the largest", async () => {
    const { model } = await loadFolder(path(name).pathname);
    expect(model.config).toMatchObject(fields);
    expect(model.notes).toEqual([]);
    const expected = Tensor.fromNested("batch pos d_vocab", logits);
    expectClose(model.forward(tokens), expected, { atol: 1e-5 * Math.max(...expected.data.map(Math.abs)) });
  });
});

/** A checkpoint in memory, with some fields of its configuration changed. */
async function changed(name: string, fields: Record<string, unknown>): Promise<unknown> {
  const checkpoint = await openCheckpoint(readFileSync(path(name, "model.safetensors")));
  return transformerFromCheckpoint(checkpoint, { config: { ...json(name, "config.json"), ...fields } });
}

describe("refused by name", () => {
  test.each([
    ["llama", { model_type: "gemma" }, '"model_type" is "gemma": this architecture is not supported.'],
    ["llama", { rope_scaling: { rope_type: "llama3", factor: 8 } }, "rescaled rotations are not supported"],
    ["llama", { rope_parameters: { rope_type: "yarn" } }, "rescaled rotations are not supported"],
    ["llama", { rope_parameters: { partial_rotary_factor: 0.5 } }, "rotations of a share"],
    ["llama", { rope_interleaved: true }, "rotations of neighbours"],
    ["llama", { num_key_value_heads: 3 }, "n_key_value_heads"],
    ["llama", { head_dim: 4 }, "shape"],
    ["llama", { attention_bias: false }, "bias"],
    ["llama", { layer_types: ["linear_attention"] }, ""],
    ["qwen2", { layer_types: ["full_attention"] }, "2 kinds"],
    ["qwen2", { layer_types: ["full_attention", "linear_attention"] }, "sliding_attention"],
    ["gpt-neo", { attention_layers: ["global"] }, '"global" or "local" for 2 layers'],
    ["gpt-neo", { attention_layers: null, attention_types: [[["global"], 1e9]] }, '"global" or "local" for 2 layers'],
    ["gpt-neo", { model_type: "gptj" }, "this architecture is not supported"],
  ] as const)("%s with %j", async (name, fields, text) => {
    if (text === "") await expect(changed(name, fields)).resolves.toBeDefined();
    else await expect(changed(name, fields)).rejects.toThrow(text);
  });

  test("windows that no prompt reaches are none", async () => {
    const model = (await changed("mistral", { sliding_window: 20 })) as { config: object };
    expect(model.config).not.toHaveProperty("window_size");
    const without = (await changed("mistral", { sliding_window: null })) as { config: object };
    expect(without.config).toEqual(model.config);
  });

  test("a layer of a model whose head is missing, and one that is left over", async () => {
    const checkpoint = await openCheckpoint(readFileSync(path("mistral", "model.safetensors")));
    const tensors = new Map<string, Tensor>();
    for (const name of checkpoint.tensors.keys()) tensors.set(name, await checkpoint.read(name));
    const config = json("mistral", "config.json");
    const without = new Map([...tensors].filter(([name]) => name !== "lm_head.weight"));
    expect(() => transformerFromTensors({ tensors: without, config })).toThrow(/lm_head\.weight.*missing/);
    expect(() => transformerFromTensors({ tensors, config: { ...config, num_hidden_layers: 1 } })).toThrow(
      /layers\.1\./,
    );
  });
});
