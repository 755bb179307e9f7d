/**
 * GGUF files against the package `gguf`, to the bit, and their models against transformers' own logits of the same
 * weights; test/fixtures/gguf/make.py made the files.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import {
  detectFormat,
  inspect,
  openCheckpoint,
  parseCheckpoint,
  parseSafetensors,
  readTensors,
  safetensorsChunks,
  transformerFromCheckpoint,
} from "../../../src/io/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";

const bytesOf = (file: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/gguf/${file}`, import.meta.url)));
const packed = bytesOf("packed.gguf");
const expected = parseSafetensors(bytesOf("packed.safetensors"));

describe("packed numbers", () => {
  const file = parseCheckpoint(packed, { name: "packed.gguf" });

  test.each([...expected.tensors.keys()])("%s is that of the package gguf, to the bit", (name) => {
    const found = file.read(name, { dtype: "float32" });
    const wanted = expected.read(name);
    expect(found.shape).toEqual(wanted.shape);
    const bits = (t: Tensor): number[] => [...new Uint32Array(Float32Array.from(t.data).buffer)];
    expect(bits(found)).toEqual(bits(wanted));
  });

  test("a kind that is not read is named, and values are there", () => {
    expect(file.unread.get("unread")).toBe("packed as IQ2_XXS");
    expect(() => file.read("unread")).toThrow(/packed as IQ2_XXS, which is not read/);
    expect(file.format).toBe("gguf");
    expect(detectFormat(packed)).toBe("gguf");
    expect(file.values["large"]).toBe(2n ** 60n);
    expect(file.values["list"]).toEqual([[1, 2], [3]]);
  });

  test("inspect names the packing; converted to safetensors the numbers stay", async () => {
    const { tensors } = await inspect(packed);
    expect(tensors.find(({ name }) => name === "Q4_K.bytes")).toMatchObject({
      ...{ dtype: "F32", quantization: "Q4_K", shape: [2, 512], byteLength: 4096 },
    });
    const checkpoint = await openCheckpoint(packed);
    const chunks: Uint8Array[] = [];
    for await (const chunk of safetensorsChunks(checkpoint)) chunks.push(chunk);
    const written = parseSafetensors(Buffer.concat(chunks));
    expect([...written.read("Q6_K.bytes").data]).toEqual([...expected.read("Q6_K.bytes").data]);
    expect((await readTensors(checkpoint)).size).toBe(expected.tensors.size);
  });
});

const models = JSON.parse(new TextDecoder().decode(bytesOf("expected.json"))) as Record<
  string,
  { tokens: number[][]; logits: number[][][] }
>;
const kinds: Record<string, object> = {
  llama: { n_key_value_heads: 2, d_head: 6, rotary_base: 777, eps: 1e-5, rotary_adjacent_pairs: false },
  "llama-q8": { n_key_value_heads: 1, d_head: 8, eps: 1e-6 },
  qwen2: { n_key_value_heads: 2, rotary_base: 5000 },
  gpt2: { act_fn: "gelu_new", positional_embedding_type: "standard" },
  gptneox: { rotary_dim: 2, rotary_base: 300, parallel_attn_mlp: true, act_fn: "gelu" },
};

describe.each(Object.entries(models))("%s.gguf", (name, { tokens, logits }) => {
  test("logits are transformers' own within 1e-5 of the largest", async () => {
    const model = await transformerFromCheckpoint(await openCheckpoint(bytesOf(`${name}.gguf`)));
    expect(model.config).toMatchObject(kinds[name] ?? {});
    const wanted = Tensor.fromNested("batch pos d_vocab", logits);
    expectClose(model.forward(tokens), wanted, { atol: 1e-5 * Math.max(...wanted.data.map(Math.abs)) });
  });
});

test("llama's queries are those of the file that Hugging Face wrote of the same weights", async () => {
  const model = await transformerFromCheckpoint(await openCheckpoint(bytesOf("llama.gguf")));
  // Rotated by halves, as there, and not by neighbours, as llama.cpp lays them.
  expect(model.config.rotary_adjacent_pairs).toBe(false);
  expect(model.weight("blocks.0.attn._W_K").shape).toEqual([2, 16, 6]);
});

describe("refused", () => {
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const out = packed.slice();
    out.set(bytes, at);
    return out;
  };
  test.each([
    ["another version", changed(4, 1), /has version 1/],
    ["big-endian numbers", changed(4, 0, 0, 0, 3), /order of big-endian machines/],
    ["more tensors than bytes", changed(8, 255, 255, 255, 255), /the number of tensors at byte 8 is/],
    ["more values than bytes", changed(16, 255, 255, 255, 255, 255, 255, 255, 255), /the number of values/],
    ["a text beyond the file", changed(24, 255, 255, 255, 127), /more than the rest of the file can hold/],
    ["a file cut short", packed.slice(0, 900), /cut short|do not lie in the file/],
    ["nothing after the name", packed.slice(0, 4), /cut short/],
  ])("%s", (_, bytes, text) => {
    expect(() => parseCheckpoint(bytes, { name: "g" })).toThrow(FormatError);
    expect(() => parseCheckpoint(bytes, { name: "g" })).toThrow(text);
  });

  test.each([
    ["general.architecture", "gemma", "general.architecture"],
    ["llama.rope.scaling.type", "linear", "llama.rope.scaling.type"],
    ["llama.attention.sliding_window", 5, "llama.attention.sliding_window"],
    ["llama.expert_count", 8, "llama.expert_count"],
    ["llama.rope.dimension_count", 4, "llama.rope.dimension_count"],
    ["llama.attention.head_count_kv", 3, "n_key_value_heads"],
    ["llama.block_count", 3, "blk.2.attn_norm.weight"],
    ["llama.block_count", 1, "blk.1."],
  ])("%s of %j", async (field, value, text) => {
    const checkpoint = await openCheckpoint(bytesOf("llama.gguf"));
    const config = { ...checkpoint.settings, [field]: value };
    await expect(transformerFromCheckpoint(checkpoint, { config })).rejects.toThrow(text);
  });
});
