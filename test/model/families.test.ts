/**
 * Shared keys and values, gated MLPs and windows of positions against TransformerLens in float64, on small random models;
 * test/fixtures/families/make.py computed them. This side is float32: 2e-5 of the largest entry of a tensor is some
 * hundred roundings.
 */
import { describe, expect, test } from "vitest";
import {
  editAt,
  foldLayerNorm,
  foldValueBiases,
  generate,
  gradients,
  hookNames,
  parseConfig,
  ungroupAttention,
} from "../../src/model/index.ts";
import type { HookName } from "../../src/model/index.ts";
import { argmax, Tensor } from "../../src/tensor/index.ts";
import { file, kinds, modelOf, tokensOf } from "../support/families.ts";
import { expectClose } from "../support/golden.ts";

const largest = (t: Tensor): number => Math.max(...t.data.map(Math.abs).filter((x) => x < 1e38));

/** Masked scores as they are here. */
const withInfinities = (t: Tensor): Tensor =>
  Tensor.from(
    t.axes,
    t.shape,
    Float32Array.from(t.data, (x) => (x < -1e38 ? -Infinity : x)),
  );

/** With the second head or neuron set to zero. */
function zeroed(t: Tensor): Tensor {
  const n = t.shape[2] ?? 1;
  const inner = t.size / ((t.shape[0] ?? 1) * (t.shape[1] ?? 1) * n);
  const data = Float32Array.from(t.data, (x, i) => (Math.floor(i / inner) % n === Math.min(1, n - 1) ? 0 : x));
  return Tensor.from(t.axes, t.shape, data);
}

describe.each(Object.keys(kinds))("%s", (kind) => {
  const model = modelOf(kind);
  const { config } = model;
  const tokens = tokensOf(kind);
  const logits = file.read(`${kind}/logits`);
  const hooks = hookNames(config).slice(1);
  const atol = 2e-5 * largest(logits);

  test("the configuration is read again from what it is", () => {
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test("logits agree within 2e-5 of the largest, with every activation kept and with none", () => {
    expectClose(model.forward(tokens), logits, { atol });
    expectClose(model.run(tokens).logits, logits, { atol });
  });

  const run = model.run(tokens);
  const known = hooks.filter((name) => file.tensors.has(`${kind}/act/${name}`));
  test.each(known)("the activation at %s agrees within 2e-5 of its largest", (name) => {
    const expected = withInfinities(file.read(`${kind}/act/${name}`));
    const found: Tensor = run.cache.get(name);
    expect(found.shape).toEqual(expected.shape);
    expectClose(found, expected, { atol: 2e-5 * largest(expected) });
  });

  const edits = [...file.tensors.keys()].flatMap((name) => name.split(`${kind}/zeroed/`)[1] ?? []) as HookName[];
  test.each(edits)("zeroing the second of %s gives the same logits within 2e-5 of the largest", (name) => {
    const edited = model.run(tokens, { edits: editAt(name, zeroed as never) }).logits;
    expectClose(edited, file.read(`${kind}/zeroed/${name}`), { atol });
  });

  const given = Tensor.from("batch pos d_vocab", file.read(`${kind}/given`).shape, file.read(`${kind}/given`).data);
  const found = gradients(model, tokens, { "unembed.hook_out": given }, { at: () => true, parameters: true });
  test("every hook and every parameter has a gradient to compare with", () => {
    expect(found.names).toEqual(hooks);
    expect(hooks.filter((name) => !file.tensors.has(`${kind}/grad/${name}`))).toEqual([]);
  });

  test.each(hooks)("the gradient at %s agrees within 2e-5 of its largest entry", (name) => {
    const expected = file.read(`${kind}/grad/${name}`);
    expectClose(found.at(name), expected, { atol: 2e-5 * largest(expected) });
  });

  test.each([...model.weights.keys()])("the gradient by %s agrees within 2e-5 of its largest entry", (name) => {
    const expected = file.read(`${kind}/param/${name}`);
    const isZero = name.endsWith("b_K") && largest(expected) < 1e-6;
    expectClose(found.parameters.get(name) as Tensor, expected, { atol: isZero ? 1e-5 : 2e-5 * largest(expected) });
  });

  test("text written on token by token is that of whole runs", () => {
    const prompt = tokens[0]?.slice(0, 3) ?? [];
    const whole = [...prompt];
    while (whole.length < config.n_ctx) whole.push(argmax(model.forward(whole), "d_vocab").at(0, whole.length - 1));
    expect(generate(model, prompt, { temperature: 0, maxNewTokens: config.n_ctx - 3 })).toEqual(whole);
  });

  test("heads with keys and values of their own compute the same", () => {
    const own = ungroupAttention(model);
    expect(own.config.n_key_value_heads).toBeUndefined();
    expect(own.layer(0).stored.W_K.shape[0]).toBe(config.n_heads);
    expectClose(own.forward(tokens), logits, { atol });
    expectClose(own.layer(1).W_K, model.layer(1).W_K, { atol: 0 });
    for (const { layer, head, W_K, keyValueHead } of model.heads) {
      expect(keyValueHead).toBe(Math.floor((head * (config.n_key_value_heads ?? config.n_heads)) / config.n_heads));
      expect(String(W_K)).toBe(String(own.layer(layer).head(head).W_K));
    }
  });

  test("weight processing leaves logits as they were within 4e-5 of the largest", () => {
    expectClose(foldValueBiases(model).forward(tokens), logits, { atol: 2 * atol });
    if (config.positional_embedding_type === "shortformer") return;
    if (config.gated_mlp === true && config.normalization_type === "LN") {
      expect(() => foldLayerNorm(model)).toThrow(/gate/);
    } else expectClose(foldLayerNorm(model).forward(tokens), logits, { atol: 2 * atol });
  });
});
